"""A model at work: predictions over data, their loss and metrics, one file's label, a picture of results.

Everything here leaves the model as it is; the Learner adds how it changes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, gather_object
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import UsageError
from . import exporting
from .metrics import Metric, names_of
from .objective import Loss, Objective, Points, objective_for
from .showing import results


class Architecture(NamedTuple):
    """A model that can be made again from its name."""

    name: str
    outputs: int


class Predictor:
    """Data, a model and what its outputs mean; the device and the precision are accelerate's."""

    def __init__(
        self,
        dls: Any,
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

    def validate(self, dl: Any = None) -> dict[str, float]:
        """The loss (`valid_loss`) and the metrics over `dl`, or over the validation set."""
        network = self._prepare()
        try:
            return self.evaluate(network, self.dls.valid if dl is None else dl)
        finally:
            self._release(network)

    def get_preds(
        self, dl: Any = None, with_input: bool = False, with_decoded: bool = False, with_loss: bool = False
    ) -> tuple[Tensor | None, ...]:
        """Predictions and targets over `dl` (the validation set), on the CPU.

        In this order: inputs if asked, predictions (probabilities), targets (None where there are none), decoded
        predictions if asked, losses of each sample if asked.
        """
        inputs: list[Tensor] | None = [] if with_input else None
        network = self._prepare()
        try:
            outputs, targets = self._outputs(network, self.dls.valid if dl is None else dl, inputs)
        finally:
            self._release(network)
        if inputs is not None and len({x.shape[1:] for x in inputs}) > 1:
            raise UsageError("with_input must have batches of one size, but they differ: give batch_tfms a size")
        predictions = self.objective.activation(outputs)
        result: list[Tensor | None] = [] if inputs is None else [torch.cat(inputs)]
        result += [predictions, targets if len(targets) else None]
        result += [self.objective.decode(predictions)] if with_decoded else []
        result += [self.objective.losses(outputs, targets).cpu() if len(targets) else None] if with_loss else []
        return tuple(result)

    def predict(self, item: str | Path | Any) -> tuple[Any, Tensor, Tensor]:
        """What one file shows: its label, the label's number (or the decoded tensor), and the predictions.

        The file takes the way of the validation set.
        """
        predictions, _, decoded = self.get_preds(self.dls.test_dl([item]), with_decoded=True)
        assert predictions is not None
        assert decoded is not None
        return self.label(decoded[0]), decoded[0], predictions[0]

    def label(self, decoded: Tensor) -> Any:
        """A decoded prediction, or a target, in words where there is a vocabulary: a name, or a list of names."""
        vocab = getattr(self.dls, "vocab", None)
        kind = getattr(self.dls, "loss", "category")
        if vocab is None or kind not in ("category", "multicategory"):
            return decoded
        if decoded.ndim == 0:
            return vocab[int(decoded)]
        return [name for name, holds in zip(vocab, decoded.tolist(), strict=True) if holds]

    def show_results(self, max_n: int = 9, dl: Any = None, figsize: tuple[float, float] | None = None) -> Figure:
        """Images of the validation set with their targets and what is predicted: green is right, red is wrong."""
        first = next(iter(self.dls.valid if dl is None else dl))
        images, _, targets, decoded = self.get_preds([first], with_input=True, with_decoded=True)
        assert images is not None
        assert decoded is not None
        if targets is None:
            raise UsageError("show_results must have targets to compare with, but there are none: use get_preds")
        kind = getattr(self.dls, "loss", "category")
        return results(self.dls, kind, images[:max_n], targets[:max_n], decoded[:max_n], self.label, figsize)

    @torch.no_grad()
    def evaluate(self, network: nn.Module, batches: Any) -> dict[str, float]:
        """The loss, by its own reduction, and the metrics over all of `batches`; nothing where there are none."""
        if batches is None or (hasattr(batches, "__len__") and len(batches) == 0):
            return {}
        outputs, targets = self._outputs(network, batches)
        shown = self.objective.activation(outputs) if isinstance(self.objective, Points) else outputs
        scores = [float(metric(shown, targets)) for metric in self.metrics]
        return {"valid_loss": float(self.objective.loss(outputs, targets))} | dict(
            zip(names_of(self.metrics), scores, strict=True)
        )

    # Inside --------------------------------------------------------------------------------------------------------

    def _to(self, precision: str) -> Self:
        self.precision = precision
        self.accelerator = self._new_accelerator()
        return self

    def _new_accelerator(self) -> Accelerator:
        # accelerate keeps one precision for the whole process; ours may change between two runs.
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != self.precision:
            AcceleratorState._reset_state()
        return Accelerator(mixed_precision=self.precision)

    def _prepare(self) -> nn.Module:
        self.accelerator = self._new_accelerator()
        network: nn.Module = self.accelerator.prepare_model(self.model)
        return network

    def _release(self, network: nn.Module) -> None:
        self.model = self.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
        self.model.__dict__.pop("_is_accelerate_prepared", None)  # or it would not be prepared for another precision

    def _parts(self, batch: Any) -> tuple[Any, Any]:
        """`x` and `y` (None where a batch has no targets) on the device."""
        x, y = (batch[0], None) if len(batch) == 1 else batch[:2]
        device = self.accelerator.device
        x = x.to(device, non_blocking=True)
        return x, y.to(device, non_blocking=True) if isinstance(y, Tensor) else y

    @torch.no_grad()
    def _outputs(self, network: nn.Module, batches: Any, inputs: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (float32) and targets of all samples over all processes, on the CPU; inputs are appended to a list.

        Each process predicts by itself, with the statistics of the first, for it may have a batch less than others.
        """
        network.eval()
        if isinstance(network, DistributedDataParallel):
            for buffer in network.module.buffers():
                broadcast(buffer)
            network = network.module
        rows: list[tuple[Tensor, ...]] = []
        for batch in batches:
            x, y = self._parts(batch)
            valid = getattr(batch, "valid", None)
            keep = slice(None) if valid is None else valid.cpu()
            outputs = network(x)
            if inputs is not None:
                inputs.append(x.cpu()[keep])
            if y is None:
                rows.append((outputs.cpu()[keep], torch.empty(0)))
                continue
            if not rows:
                self.objective.check(outputs, y)
            rows.append((outputs.cpu()[keep], y.cpu()[keep]))
        if self.accelerator.num_processes > 1:
            rows = gather_object(rows)
        if not rows:
            raise UsageError("predictions must have images to be made for, but there are none")
        outputs, targets = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return outputs.float(), targets
