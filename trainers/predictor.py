"""A model at work: predictions over data, their loss and metrics, one file's label, a picture of results.

Everything here leaves the model as it is; the Learner adds how it changes.
"""

import os
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, gather_object
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import UsageError
from ..pipeline import Loader
from ..pipeline.service.answers import Answer, Refusal
from . import exporting
from .answering import answering
from .answers import answers
from .metrics import Metric, names_of
from .objective import Loss, Objective, Points, objective_for
from .results_plot import results
from .training_data import Batches, Predicted_co, batches_of, kind_of, vocab_of


class Architecture(NamedTuple):
    """A model that can be made again from its name."""

    name: str
    outputs: int


class Outputs(NamedTuple):
    """A model's outputs `float32[N, ...]` for some samples, with their targets and keys (empty where there are none).

    `inputs` are batches of images, where they were asked for. All are on the CPU.
    """

    outputs: Tensor
    targets: Tensor
    inputs: list[Tensor]
    keys: list[str]


def in_order(batches: Batches) -> Batches:
    """A loader of ours in the order of its rows and without augmentation; any other iterable of batches as it is."""
    return batches.in_order() if isinstance(batches, Loader) and (batches.shuffle or batches.augments) else batches


def sample_evenly(batches: Batches, count: int) -> Sequence[Any]:
    """A batch of samples spread evenly over a loader of ours, which is often sorted by class; else the first batch."""
    if not isinstance(batches, Loader):
        return next(iter(batches))
    loader = batches.in_order()
    return loader.batch_at(torch.linspace(0, loader.total - 1, min(count, loader.total)).long().tolist(), loader.epoch)


class Predictor(Generic[Predicted_co]):
    """Data, a model and what its outputs mean; the device and the precision are accelerate's."""

    def __init__(
        self,
        dls: Predicted_co,
        model: nn.Module,
        loss_func: Loss | Objective | None = None,
        metrics: Metric | Sequence[Metric] = (),
        *,
        precision: str = "no",
        arch: Architecture | None = None,
    ) -> None:
        self.dls = dls
        self.arch = arch
        self.model = model
        self.objective = objective_for(dls, loss_func)
        self.metrics = tuple(metrics) if isinstance(metrics, Sequence) else (metrics,)
        self.precision = precision
        self.accelerator = self._new_accelerator()

    def export(self, path: str | Path) -> Path:
        """Write what it takes to predict elsewhere (weights, vocabulary, pipeline); see `load_learner`."""
        return exporting.save(self, Path(path))

    def to_fp16(self) -> Self:
        """From now on compute in half precision with loss scaling, which takes a GPU; returns the learner."""
        if self.accelerator.device.type == "cpu":
            raise UsageError("to_fp16 must have a GPU, but there is only a CPU: use to_bf16()")
        return self._to("fp16")

    def to_bf16(self) -> Self:
        """From now on compute in bfloat16; returns the learner."""
        return self._to("bf16")

    def to_fp32(self) -> Self:
        """From now on compute in single precision; returns the learner."""
        return self._to("no")

    @answering()
    def validate(self, dl: Batches | None = None) -> dict[str, float]:
        """The loss (`valid_loss`) and the metrics over `dl`, or over the validation set."""
        network = self._prepare()
        try:
            return self.evaluate(network, self.dls.valid if dl is None else dl)
        finally:
            self._release(network)

    @answering()
    def get_preds(
        self,
        dl: Batches | None = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        with_keys: bool = False,
    ) -> tuple[Any, ...]:
        """Predictions and targets over `dl` (the validation set), on the CPU.

        A loader that shuffles or augments (`dls.train`) is read in the order of its rows and without augmentation. In
        this order: inputs if asked, predictions (probabilities), targets (None where there are none), decoded
        predictions if asked, losses of each sample if asked, keys of the samples if asked.
        """
        network = self._prepare()
        try:
            done = self._outputs(network, in_order(self.batches_or_valid(dl)), with_input)
        finally:
            self._release(network)
        if len({x.shape[1:] for x in done.inputs}) > 1:
            raise UsageError("with_input must have batches of one size, but they differ: give batch_tfms a size")
        labelled, predictions = len(done.targets) > 0, self.objective.activation(done.outputs)
        result: list[Any] = [torch.cat(done.inputs)] if with_input else []
        result += [predictions, done.targets if labelled else None]
        result += [self.objective.decode(predictions)] if with_decoded else []
        result += [self.objective.losses(done.outputs, done.targets).cpu() if labelled else None] if with_loss else []
        return (*result, done.keys) if with_keys else tuple(result)

    def predict(self, item: str | Path | Any) -> tuple[Any, Tensor, Tensor]:
        """What one file shows: its label, the label's number (or the decoded tensor), and the predictions.

        The file takes the way of the validation set.
        """
        predictions, _, decoded = self.get_preds(batches_of(self.dls, [item]), with_decoded=True)
        assert predictions is not None
        assert decoded is not None
        return self.label(decoded[0]), decoded[0], predictions[0]

    def answers(self, items: Sequence[Any], bs: int = 64) -> Iterator[Answer | Refusal]:
        """What each of several files shows, in order; one that cannot be read is refused, and the others are not."""
        return answers(self, items, bs)

    def label(self, decoded: Tensor) -> Any:
        """A decoded prediction, or a target, in words where there is a vocabulary: a name, or a list of names."""
        vocab = vocab_of(self.dls)
        if vocab is None or kind_of(self.dls) not in ("category", "multicategory"):
            return decoded
        if decoded.ndim == 0:
            return vocab[int(decoded)]
        return [name for name, holds in zip(vocab, decoded.tolist(), strict=True) if holds]

    def show_results(
        self, max_n: int = 9, dl: Batches | None = None, figsize: tuple[float, float] | None = None
    ) -> Figure:
        """Images of the validation set with their targets and what is predicted: green is right, red is wrong.

        They are spread evenly over a loader of ours; of other batches they are the first.
        """
        sample = sample_evenly(self.batches_or_valid(dl), max_n)
        images, _, targets, decoded = self.get_preds([sample], with_input=True, with_decoded=True)
        assert images is not None
        assert decoded is not None
        if targets is None:
            raise UsageError("show_results must have targets to compare with, but there are none: use get_preds")
        return results(
            self.dls, kind_of(self.dls), images[:max_n], targets[:max_n], decoded[:max_n], self.label, figsize
        )

    @torch.no_grad()
    def evaluate(self, network: nn.Module, batches: Batches | None) -> dict[str, float]:
        """The loss, by its own reduction, and the metrics over all of `batches`; nothing where there are none."""
        if batches is None or (isinstance(batches, Sized) and len(batches) == 0):
            return {}
        outputs, targets, *_ = self._outputs(network, in_order(batches))
        shown = self.objective.activation(outputs) if isinstance(self.objective, Points) else outputs
        scores = [float(metric(shown, targets)) for metric in self.metrics]
        return {"valid_loss": float(self.objective.loss(outputs, targets))} | dict(
            zip(names_of(self.metrics), scores, strict=True)
        )

    # Inside --------------------------------------------------------------------------------------------------------

    def batches_or_valid(self, batches: Batches | None) -> Batches:
        """These batches, or those of the validation set. Raises `UsageError` where there are neither."""
        if batches is None and self.dls.valid is None:
            raise UsageError("the data has no validation set (an exported learner has none): give dl=")
        return self.dls.valid if batches is None else batches  # type: ignore[return-value]

    def _to(self, precision: str) -> Self:
        self.precision = precision
        self.accelerator = self._new_accelerator()
        return self

    def _new_accelerator(self) -> Accelerator:
        # accelerate keeps one precision for the whole process; ours may change between two runs.
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != self.precision:
            AcceleratorState._reset_state()
        # On CPUs accelerate starts a group of processes only where it is told to use them.
        several = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available()
        accelerator = Accelerator(mixed_precision=self.precision, cpu=several)
        for loader in (getattr(self.dls, "train", None), getattr(self.dls, "valid", None)):
            _refuse_other_processes(loader, accelerator)
        return accelerator

    def _prepare(self) -> nn.Module:
        self.accelerator = self._new_accelerator()
        network: nn.Module = self.accelerator.prepare_model(self.model)
        return network

    def _release(self, network: nn.Module) -> None:
        self.accelerator.unwrap_model(network, keep_fp32_wrapper=False)  # what accelerate has compiled stays its own
        self.model.__dict__.pop("_is_accelerate_prepared", None)  # or it would not be prepared for another precision

    def _parts(self, batch: Any) -> tuple[Any, Any]:
        """`x` and `y` (None where a batch has no targets) on the device."""
        x, y = (batch[0], None) if len(batch) == 1 else batch[:2]
        device = self.accelerator.device
        x = x.to(device, non_blocking=True)
        return x, y.to(device, non_blocking=True) if isinstance(y, Tensor) else y

    @torch.no_grad()
    def _outputs(self, network: nn.Module, batches: Batches, with_input: bool = False) -> Outputs:
        """What the model makes of all samples over all processes.

        Each process predicts by itself, with the statistics of the first, for it may have a batch less than others.
        """
        network.eval()
        if isinstance(network, DistributedDataParallel):
            for buffer in network.module.buffers():
                broadcast(buffer)
            network = network.module
        rows: list[tuple[Tensor, Tensor, Tensor, list[str]]] = []
        for batch in batches:
            x, y = self._parts(batch)
            valid = getattr(batch, "valid", None)
            keep = torch.ones(len(x), dtype=torch.bool) if valid is None else valid.cpu()
            outputs = network(x)
            if not rows and y is not None:
                self.objective.check(outputs, y)
            keys = getattr(batch, "keys", None) or []
            rows.append(
                (
                    outputs.cpu()[keep],
                    torch.empty(0) if y is None else y.cpu()[keep],
                    x.cpu()[keep] if with_input else torch.empty(0),
                    [key for key, kept in zip(keys, keep.tolist(), strict=False) if kept],
                )
            )
        if self.accelerator.num_processes > 1:
            rows = gather_object(rows)
        if not rows:
            raise UsageError("predictions must have images to be made for, but there are none")
        outputs, targets, inputs, keys = zip(*rows, strict=True)
        images = list(inputs) if with_input else []
        return Outputs(torch.cat(outputs).float(), torch.cat(targets), images, [key for some in keys for key in some])


def _refuse_other_processes(loader: Any, accelerator: Accelerator) -> None:
    """Raise `UsageError` where a loader shares samples out among other processes than those that train together."""
    share = getattr(loader, "rank", 0), getattr(loader, "world_size", 1)
    place = accelerator.process_index, accelerator.num_processes
    if isinstance(loader, Loader) and share != place:
        raise UsageError(
            f"the loader is rank {share[0]} of {share[1]} processes, but the learner trains as rank {place[0]} of "
            f"{place[1]}: start all processes with torchrun or accelerate launch, and leave rank and world_size to them"
        )
