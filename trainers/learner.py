"""The Learner: data, a model, an optimiser and one visible loop.

The loop is `Learner.fit_schedule` and `Learner._train` after it. All else either prepares it (rates, frozen groups), or
is a callback at one of its named moments (`events.py`), or uses the model that it leaves (`predictor.py`).
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from accelerate.utils import gather_object
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ..errors import TrainingError, UsageError
from ..pipeline import Loader
from . import checkpoint, find, optimiser
from .answering import answering
from .events import Callback, Run, StopTraining, notify
from .metrics import Metric
from .objective import Loss, Objective
from .predictor import Architecture, Predictor
from .recorder import EpochTable, Recorder
from .schedule import Constant, OneCycle, Rates, Schedule, per_group_rates
from .training_data import StatefulBatches, Trained_co


class Learner(Predictor[Trained_co]):
    """Trains `model` on `dls.train` and measures it on `dls.valid`: iterables of batches `(x, y)`.

    `metrics` is one or several functions of predictions and targets; `groups` gives lists of parameters from the
    input to the head; `accumulate` batches make one step of the optimiser; `precision` is "no", "fp16" or "bf16".
    With `train_bn=False` the normalising layers of frozen groups stand still, their statistics too: for data so small
    that its batches say less about them than the pretraining did.
    """

    def __init__(
        self,
        dls: Trained_co,
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
        arch: Architecture | None = None,
        cbs: Iterable[Callback] = (),
        table: bool = True,
    ) -> None:
        if accumulate < 1:
            raise UsageError(f"accumulate must be at least 1, but got {accumulate}")
        super().__init__(dls, model, loss_func, metrics, precision=precision, arch=arch)
        self.model.to(self.accelerator.device)  # before the optimiser takes its parameters
        self.layers = optimiser.complete(model, groups(model))
        self.lr, self.train_bn, self.momenta, self.accumulate = lr, train_bn, momenta, accumulate
        self.opt: Optimizer = optimiser.adam(self.model, self.layers, wd, wd_bn_bias)
        self.recorder = Recorder()
        self.cbs: list[Callback] = [self.recorder, *([EpochTable()] if table else []), *cbs]
        self.n_fits = 0  # calls of fit so far
        self.epochs = 0  # epochs of training so far, over all calls: the loader's epoch
        self.run: Run = Run(0, 1, 1, Constant((lr,)))
        self._resume: checkpoint.Position | None = None

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

    @answering()
    def fit_schedule(
        self, epochs: int, schedule: Schedule, cbs: Iterable[Callback] = (), validate: bool = True
    ) -> None:
        """Train for `epochs` along a schedule: the loop."""
        if epochs < 1:
            raise UsageError(f"epochs must be at least 1, but got {epochs}")
        run = Run(self.n_fits, epochs, self._steps(), schedule)
        self.n_fits += 1
        if self._take_up(run):
            return
        self.run, callbacks = run, [*self.cbs, *cbs]
        network = self._prepare()
        opt = self.accelerator.prepare_optimizer(self.opt)
        try:
            notify("before_fit", callbacks, self)
            while run.epoch < epochs:
                notify("before_epoch", callbacks, self)
                self._train(network, opt, callbacks)
                notify("after_train", callbacks, self)
                run.values |= self.evaluate(network, self.dls.valid) if validate else {}
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

    def _steps(self, start: int = 0) -> int:
        """Batches in an epoch from the sample `start` on, as many in every process: they step together."""
        steps, last = _lengths(self.dls.train, start)
        if last == 1 and (steps > 1 or start) and optimiser.has_batch_norm(self.model):
            steps -= 1  # one sample has no variance: torch refuses it, and the next epoch's order leaves out another
        every = gather_object([steps]) if self.accelerator.num_processes > 1 else [steps]
        if len(set(every)) > 1:
            raise UsageError(
                f"processes must have equally many batches in {'the rest of ' if start else ''}an epoch, but have "
                f"{every}: give the loaders tail='drop' or tail='pad'"
            )
        return steps

    def _train(self, network: nn.Module, opt: Any, callbacks: Sequence[Callback]) -> None:
        run, first = self.run, self.run.step  # no gradients wait in a checkpoint: they accumulate from here on
        network.train()
        if not self.train_bn:
            optimiser.freeze_norm_statistics(network)
        for batch in self._batches(run.step):
            run.batch = self._parts(batch)
            run.setting = run.schedule(run.position)
            optimiser.apply(run.setting, self.opt)
            notify("before_batch", callbacks, self)
            count, most = run.step - first, run.steps - first
            steps = (count + 1) % self.accumulate == 0 or count + 1 == most
            with nullcontext() if steps else self.accelerator.no_sync(network):
                run.outputs = _outputs(network, run.batch[0])
                if count == 0:
                    self.objective.check(run.outputs, run.batch[1])
                run.loss = self.objective.loss(run.outputs, run.batch[1])
                self.accelerator.backward(run.loss / self._batches_in_step(count, most))
            notify("after_backward", callbacks, self)
            if steps:
                opt.step()
                notify("after_step", callbacks, self)
                opt.zero_grad()
            run.step += 1
            notify("after_batch", callbacks, self)

    def _batches_in_step(self, count: int, most: int) -> int:
        """How many batches make up the optimiser's step of batch `count` of `most`: fewer at an epoch's end."""
        return min(self.accumulate, most - count // self.accumulate * self.accumulate)

    def _batches(self, done: int) -> Iterator[Any]:
        """The training batches of this epoch, without those done before a checkpoint: from the loader's own position
        where it has one."""
        loader = self.dls.train
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(self.epochs)
        place, self._resume = self._resume, None
        if place is not None and place.step and place.loader is not None and isinstance(loader, StatefulBatches):
            loader.load_state_dict(place.loader)
            done = 0
        end = done + self.run.steps - self.run.step
        for number, batch in enumerate(loader):
            if number >= end:  # a batch too small to train on
                return
            if number >= done:
                yield batch

    def _take_up(self, run: Run) -> bool:
        """Move the run to the checkpoint's position, if that lies within the run; whether it lies beyond the run."""
        place = self._resume
        if place is None:
            return False
        if run.fit_index < place.fit:
            return True
        place.check(run, self.dls.train)
        run.epoch, run.step = place.epoch, place.step
        if behind := place.samples_before(self.dls.train):  # the processes of this run share the rest
            run.step = run.steps - self._steps(behind)
        if place.epoch < run.epochs:
            return False
        self._resume = None  # arrived: this very run had been finished
        return True

    # Parameters ----------------------------------------------------------------------------------------------------

    def rates(self, lr: Rates | None) -> tuple[float, ...]:
        """`lr`, or the learner's own, as one rate for each group of layers."""
        return per_group_rates(self.lr if lr is None else lr, len(self.layers))

    def freeze_to(self, number: int) -> None:
        """Train the groups of layers from `number` on (negative: from the end); those before stand still.

        The optimiser forgets its running means, unless they have just been read from a checkpoint.
        """
        optimiser.freeze_to(self.model, self.layers, number, self.train_bn)
        if self._resume is None:
            self.opt.state.clear()

    def freeze(self) -> None:
        """Train the head alone."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Let all groups of layers learn."""
        self.freeze_to(0)

    # Finding, saving -----------------------------------------------------------------------------------------------

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int = 100,
        stop_div: bool = True,
        suggest_funcs: find.Suggest | Sequence[find.Suggest] = (find.valley,),
    ) -> Any:
        """Suggest learning rates by a mock training with growing rates; model and optimiser are left as they were.

        Returns a named tuple of what each function suggests, with its picture under `.plot()`.
        """
        functions = suggest_funcs if isinstance(suggest_funcs, Sequence) else (suggest_funcs,)
        sweep = find.Sweep(find.Grid(start_lr, end_lr, num_it), len(self.layers), stop_div)
        weights, state = copy.deepcopy(self.model.state_dict()), copy.deepcopy(self.opt.state_dict())
        kept = self.cbs, self.run, self.n_fits, self.epochs
        self.cbs = []
        try:
            with torch.random.fork_rng():
                epochs = num_it // max(self._steps(), 1) + 1
                self.fit_schedule(epochs, sweep, [sweep], validate=False)
        finally:
            self.model.load_state_dict(weights)
            self.opt.load_state_dict(state)
            self.cbs, self.run, self.n_fits, self.epochs = kept
        return find.suggest(sweep, functions)

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint: weights, optimiser, position, history; see `resume`."""
        return checkpoint.save(self, Path(path))

    def resume(self, path: str | Path) -> Self:
        """Go on from a checkpoint: calls of `fit` that it has behind it are skipped, and the one that it stands in goes
        on at the next batch. So a script that was killed is run again as it is, with this line before its first fit.

        Raises `TrainingError` where the checkpoint is of another model or another data pipeline.
        """
        self._resume = checkpoint.load(self, Path(path))
        return self


def _outputs(network: nn.Module, x: Any) -> Any:
    try:
        return network(x)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"a batch of {len(x)} is too small to train a batch norm on ({error}): take a larger batch size, or "
            "tail='drop'"
        ) from error


def _lengths(batches: Any, start: int) -> tuple[int, int | None]:
    """Batches in an epoch, of a loader of ours from the sample `start` on, and how many samples the last of them has,
    where anything says."""
    try:
        steps = len(batches)
    except TypeError:
        raise TrainingError(
            f"the training batches must have a length for the schedule to follow, but {type(batches).__name__} has none"
        ) from None
    if isinstance(batches, Loader):
        share = batches.share(start)
        return len(share), share.last
    if isinstance(batches, DataLoader) and not batches.drop_last and batches.batch_size and batches.batch_sampler:
        return steps, len(batches.sampler) % batches.batch_size  # type: ignore[arg-type]
    return steps, None
