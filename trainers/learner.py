"""The Learner: data, a model, an optimiser and one visible loop.

The loop is `Learner.fit_schedule` and the two functions after it. All else either prepares it (rates, frozen groups),
or is a callback at one of its named moments (`events.py`), or uses the model that it leaves.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import TrainingError, UsageError
from . import optimiser
from .events import Callback, Run, StopTraining, notify
from .metrics import Metric, name_of
from .objective import Loss, Objective, Points, objective_for
from .recorder import EpochTable, Recorder
from .schedule import Constant, OneCycle, Rates, Schedule, spread


class Learner:
    """Trains `model` on `dls.train` and measures it on `dls.valid`: iterables of batches `(x, y)`.

    `metrics` is one or several functions of predictions and targets; `groups` gives lists of parameters from the
    input to the head; `accumulate` batches make one step of the optimiser; `precision` is "no", "fp16" or "bf16".
    """

    def __init__(
        self,
        dls: Any,
        model: nn.Module,
        loss_func: Loss | Objective | None = None,
        metrics: Metric | Sequence[Metric] = (),
        *,
        groups: Callable[[nn.Module], optimiser.Groups] = optimiser.default_groups,
        lr: float = 1e-3,
        wd: float = 0.01,
        wd_bn_bias: bool = False,
        train_bn: bool = True,
        momenta: tuple[float, float, float] = (0.95, 0.85, 0.95),
        accumulate: int = 1,
        precision: str = "no",
        cbs: Iterable[Callback] = (),
        table: bool = True,
    ) -> None:
        if accumulate < 1:
            raise UsageError(f"accumulate must be at least 1, but got {accumulate}")
        self.dls = dls
        self.model = model
        self.objective = objective_for(dls, loss_func)
        self.metrics = tuple(metrics) if isinstance(metrics, Sequence) else (metrics,)
        self.layers = optimiser.complete(model, groups(model))
        self.lr, self.wd, self.wd_bn_bias, self.train_bn = lr, wd, wd_bn_bias, train_bn
        self.momenta = momenta
        self.accumulate = accumulate
        self.opt: Optimizer = self._new_optimiser()
        self.recorder = Recorder()
        self.cbs: list[Callback] = [self.recorder, *([EpochTable()] if table else []), *cbs]
        self.fits = 0  # calls of fit so far
        self.epochs = 0  # epochs of training so far, over all calls: the loader's epoch
        self.run: Run = Run(0, 1, 1, Constant((lr,)))
        self._precision = precision
        self._resume: tuple[int, int, int] | None = None  # the call, epoch and step at which a checkpoint stands
        self.accelerator = self._new_accelerator()

    # Fitting -------------------------------------------------------------------------------------------------------

    def fit(self, epochs: int, lr: Rates | None = None, cbs: Iterable[Callback] = ()) -> None:
        """Train for `epochs` at constant rates: a number, `slice(low, high)` over the groups, or one for each."""
        self.fit_schedule(epochs, Constant(self.rates(lr)), cbs)

    def fit_one_cycle(
        self,
        epochs: int,
        lr_max: Rates | None = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        cbs: Iterable[Callback] = (),
    ) -> None:
        """Train for `epochs` along one cycle: up from `lr_max / div`, down to `lr_max / div_final`."""
        cycle = OneCycle(self.rates(lr_max), pct_start, div, div_final, self.momenta)
        self.fit_schedule(epochs, cycle, cbs)

    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        cbs: Iterable[Callback] = (),
    ) -> None:
        """Train the head with the body frozen, then everything: the body's first layers at `lr_mult` times less."""
        cbs = tuple(cbs)
        self.freeze()
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, cbs=cbs)
        base_lr /= 2
        self.unfreeze()
        self.fit_one_cycle(epochs, slice(base_lr / lr_mult, base_lr), pct_start=pct_start, div=div, cbs=cbs)

    def fit_schedule(self, epochs: int, schedule: Schedule, cbs: Iterable[Callback] = ()) -> None:
        """Train for `epochs` along a schedule: the loop."""
        if epochs < 1:
            raise UsageError(f"epochs must be at least 1, but got {epochs}")
        run = Run(self.fits, epochs, _length(self.dls.train), schedule)
        self.fits += 1
        if self._done_before(run):
            return
        self.run, callbacks = run, [*self.cbs, *cbs]
        network, opt = self._prepare()
        try:
            notify("before_fit", callbacks, self)
            while run.epoch < epochs:
                notify("before_epoch", callbacks, self)
                self._train(network, opt, callbacks)
                notify("after_train", callbacks, self)
                run.values |= self.evaluate(network, self.dls.valid)
                notify("after_validate", callbacks, self)
                self.epochs += 1
                notify("after_epoch", callbacks, self)
                run.epoch, run.step = run.epoch + 1, 0
        except StopTraining:
            pass
        finally:
            self.opt.zero_grad(set_to_none=True)
            self._release(network)
            notify("after_fit", callbacks, self)

    def _train(self, network: nn.Module, opt: Any, callbacks: Sequence[Callback]) -> None:
        run = self.run
        network.train()
        for x, y in self._batches(self.dls.train, self.epochs, skip=run.step):
            run.batch = x, y
            run.setting = run.schedule(run.position)
            optimiser.apply(run.setting, self.opt)
            notify("before_batch", callbacks, self)
            steps = (run.step + 1) % self.accumulate == 0 or run.step + 1 == run.steps
            with nullcontext() if steps else self.accelerator.no_sync(network):
                run.outputs = network(run.batch[0])
                if run.step == 0:
                    self.objective.check(run.outputs, run.batch[1])
                run.loss = self.objective.loss(run.outputs, run.batch[1])
                self.accelerator.backward(run.loss / self.accumulate)
            notify("after_backward", callbacks, self)
            if steps:
                opt.step()
                notify("after_step", callbacks, self)
                opt.zero_grad()
            run.step += 1
            notify("after_batch", callbacks, self)

    @torch.no_grad()
    def evaluate(self, network: nn.Module, batches: Any) -> dict[str, float]:
        """The mean loss (`valid_loss`) and the metrics over all of `batches`; nothing where there are none."""
        if batches is None or _length(batches) == 0:
            return {}
        outputs, targets, losses = self._outputs(network, batches)
        return {"valid_loss": float(losses.double().mean())} | self._measure(outputs, targets)

    # Parameters ----------------------------------------------------------------------------------------------------

    def rates(self, lr: Rates | None) -> tuple[float, ...]:
        """`lr`, or the learner's own, as one rate for each group of layers."""
        return spread(self.lr if lr is None else lr, len(self.layers))

    def freeze_to(self, number: int) -> None:
        """Train the groups of layers from `number` on (negative: from the end); those before stand still."""
        optimiser.freeze_to(self.model, self.layers, number, self.train_bn)

    def freeze(self) -> None:
        """Train the head alone."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train everything."""
        self.freeze_to(0)

    def to_fp16(self) -> "Learner":
        """From now on compute in half precision with loss scaling, which takes a GPU; returns the learner."""
        if self.accelerator.device.type == "cpu":
            raise UsageError("to_fp16 must have a GPU, but there is only a CPU: use to_bf16()")
        return self._to("fp16")

    def to_bf16(self) -> "Learner":
        """From now on compute in bfloat16; returns the learner."""
        return self._to("bf16")

    def to_fp32(self) -> "Learner":
        """From now on compute in single precision; returns the learner."""
        return self._to("no")

    def _to(self, precision: str) -> "Learner":
        self._precision = precision
        self.accelerator = self._new_accelerator()
        return self

    # Using the model -----------------------------------------------------------------------------------------------

    def validate(self, dl: Any = None) -> dict[str, float]:
        """The loss and metrics over `dl`, or over the validation set."""
        network, _ = self._prepare()
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
        inputs: list[Tensor] = []
        network, _ = self._prepare()
        try:
            outputs, targets, losses = self._outputs(network, self.dls.valid if dl is None else dl, inputs)
        finally:
            self._release(network)
        if with_input and len({x.shape[1:] for x in inputs}) > 1:
            raise UsageError("with_input must have batches of one size, but they differ: give batch_tfms a size")
        predictions = self.objective.activation(outputs)
        result: list[Tensor | None] = [torch.cat(inputs)] if with_input else []
        result += [predictions, targets if len(targets) else None]
        result += [self.objective.decode(predictions)] if with_decoded else []
        result += [losses if len(losses) else None] if with_loss else []
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
        """A decoded prediction or a target in words, where there is a vocabulary."""
        vocab = getattr(self.dls, "vocab", None)
        if vocab is None or (decoded.ndim and not decoded.is_floating_point()):
            return decoded
        if decoded.ndim == 0:
            return vocab[int(decoded)]
        return [name for name, holds in zip(vocab, decoded.tolist(), strict=True) if holds]

    # Inside --------------------------------------------------------------------------------------------------------

    def _new_optimiser(self) -> Optimizer:
        return optimiser.adam(self.model, self.layers, self.wd, self.wd_bn_bias)

    def _new_accelerator(self) -> Accelerator:
        # accelerate keeps one precision for the whole process; ours may change between two runs.
        if AcceleratorState._shared_state and AcceleratorState().mixed_precision != self._precision:
            AcceleratorState._reset_state()
        return Accelerator(mixed_precision=self._precision)

    def _prepare(self) -> tuple[nn.Module, Any]:
        self.accelerator = self._new_accelerator()
        network = self.accelerator.prepare_model(self.model)
        return network, self.accelerator.prepare_optimizer(self.opt)

    def _release(self, network: nn.Module) -> None:
        self.model = self.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
        self.model.__dict__.pop("_is_accelerate_prepared", None)  # or it would not be prepared for another precision

    def _batches(self, loader: Any, epoch: int, skip: int = 0) -> Iterator[tuple[Any, Any]]:
        """Batches on the device; the first `skip` are left out, by the loader's own position where it has one."""
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(epoch)
        if skip and self._loader_state is not None:
            loader.load_state_dict(self._loader_state)
            self._loader_state, skip = None, 0
        for number, batch in enumerate(loader):
            if number >= skip:
                x, y = (*batch, None)[:2] if len(batch) == 1 else batch[:2]
                yield _on(x, self.accelerator.device), _on(y, self.accelerator.device)

    _loader_state: dict[str, Any] | None = None

    def _done_before(self, run: Run) -> bool:
        """Whether a checkpoint lies beyond this run; where it lies within, the run starts there."""
        if self._resume is None:
            return False
        number, epoch, step = self._resume
        if run.number < number or (run.number == number and epoch >= run.epochs):
            return True
        if run.number == number:
            run.epoch, run.step = epoch, step
        self._resume = None
        return False

    @torch.no_grad()
    def _outputs(
        self, network: nn.Module, batches: Any, inputs: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs, targets and losses of each sample over all processes, on the CPU."""
        network.eval()
        rows: list[tuple[Tensor, ...]] = []
        for batch in batches:
            x, y = (*batch, None)[:2] if len(batch) == 1 else batch[:2]
            keep = getattr(batch, "valid", None)
            keep = slice(None) if keep is None else keep.cpu()
            x, y = _on(x, self.accelerator.device), _on(y, self.accelerator.device)
            outputs = network(x)
            if inputs is not None:
                inputs.append(x[keep].cpu())
            if y is None:
                rows.append((outputs[keep].cpu(), torch.empty(0), torch.empty(0)))
                continue
            if not rows:
                self.objective.check(outputs, y)
            losses = self.objective.loss(outputs, y, reduction="none")
            rows.append((outputs[keep].cpu(), y[keep].cpu(), losses[keep].cpu()))
        if self.accelerator.num_processes > 1:
            rows = gather_object(rows)
        if not rows:
            raise UsageError("predictions must have images to be made for, but there are none")
        outputs, targets, losses = (torch.cat(parts) for parts in zip(*rows, strict=True))
        return outputs, targets, losses

    def _measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        outputs = self.objective.activation(outputs) if isinstance(self.objective, Points) else outputs.float()
        return {name_of(metric): float(metric(outputs, targets)) for metric in self.metrics}


def _on(value: Any, device: torch.device) -> Any:
    return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value


def _length(batches: Any) -> int:
    try:
        return len(batches)
    except TypeError:
        raise TrainingError(
            f"the training batches must have a length for the schedule to follow, but {type(batches).__name__} has none"
        ) from None
