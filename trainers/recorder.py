"""What a training leaves behind: its losses, rates and momenta step by step, the epoch table, and their pictures."""

import sys
import time
from typing import TextIO

from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

from ..errors import TrainingError
from ..pipeline.presizing.progress import can_move_cursor
from .events import Callback, Training

SMOOTHING = 0.98


class Recorder(Callback):
    """Keeps the history of a learner over all its runs.

    A loss is read from its device one step late, so that a GPU always has work in its queue.
    """

    order = -50

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.rates: list[tuple[float, ...]] = []
        self.momenta: list[float] = []
        self.rows: list[dict[str, float]] = []  # one for each epoch: train_loss, valid_loss, metrics, seconds
        self.epoch_ends: list[int] = []  # how many steps had been done at the end of each epoch
        self._pending: list[Tensor] = []
        self._average = 0.0
        self._count = 0
        self._started = 0.0

    def before_fit(self, learn: Training) -> None:
        """The running mean of the loss starts anew, unless a run is being resumed."""
        if learn.run.step == 0 and learn.run.epoch == 0:
            self._average, self._count = 0.0, 0

    def before_epoch(self, learn: Training) -> None:
        """Start the clock of the epoch."""
        self._started = time.perf_counter()

    def after_batch(self, learn: Training) -> None:
        """Keep the loss and the setting of this step."""
        assert learn.run.loss is not None
        assert learn.run.setting is not None
        self._pending.append(learn.run.loss.detach())
        self.rates.append(learn.run.setting.rates)
        self.momenta.append(learn.run.setting.momentum)
        if len(self._pending) > 1:
            self._read(learn)

    def after_train(self, learn: Training) -> None:
        """Read the losses that are still on the device."""
        self.flush(learn)
        learn.run.values = {"train_loss": self.loss}

    def after_epoch(self, learn: Training) -> None:
        """Close the epoch's row."""
        learn.run.values["time"] = time.perf_counter() - self._started
        self.rows.append(dict(learn.run.values))
        self.epoch_ends.append(len(self.losses))

    def after_fit(self, learn: Training) -> None:
        """Read what an early end has left."""
        while self._pending:
            self._keep(float(self._pending.pop(0)))

    def flush(self, learn: Training) -> None:
        """Read every loss that is still on its device."""
        while self._pending:
            self._read(learn)

    @property
    def loss(self) -> float:
        """The running mean of the training loss."""
        return self.smoothed[-1] if self.smoothed else float("nan")

    def _read(self, learn: Training) -> None:
        value = float(self._pending.pop(0))
        self._keep(value)
        if value != value or abs(value) == float("inf"):
            rates = self.rates[len(self.losses) - 1]
            raise TrainingError(
                f"the loss became {value} at step {len(self.losses)} with learning rate {max(rates):.3g}, but must be "
                "finite: lower the rate (lr_find suggests one), or look for NaN in the images"
            )

    def _keep(self, value: float) -> None:
        self._count += 1
        self._average = SMOOTHING * self._average + (1 - SMOOTHING) * value
        self.losses.append(value)
        self.smoothed.append(self._average / (1 - SMOOTHING**self._count))

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps of it."""
        plain = {"losses": self.losses, "smoothed": self.smoothed, "rates": [list(r) for r in self.rates]}
        return plain | {
            "momenta": self.momenta,
            "rows": self.rows,
            "ends": self.epoch_ends,
            "average": self._average,
            "count": self._count,
        }

    def load(self, state: dict[str, list[float]]) -> None:
        """Take up a checkpoint's history."""
        self.losses, self.smoothed = list(state["losses"]), list(state["smoothed"])
        self.rates = [tuple(r) for r in state["rates"]]  # type: ignore[arg-type]
        self.momenta, self.epoch_ends = list(state["momenta"]), [int(e) for e in state["ends"]]
        self.rows = [dict(r) for r in state["rows"]]  # type: ignore[call-overload]
        self._average, self._count = float(state["average"]), int(state["count"])  # type: ignore[arg-type, call-overload]
        self._pending = []

    def plot_loss(self, skip_start: int = 5, figsize: tuple[float, float] = (7, 4)) -> Figure:
        """The training loss step by step (smoothed) and the validation loss after each epoch."""
        figure = Figure(figsize=figsize, layout="constrained")
        axes = figure.subplots()
        steps = range(1, len(self.losses) + 1)
        skip = min(skip_start, max(len(self.losses) - 2, 0))
        axes.plot(steps[skip:], self.losses[skip:], color="#9db8d2", linewidth=0.8, label="train, each step")
        axes.plot(steps[skip:], self.smoothed[skip:], color="#1f5f99", linewidth=1.8, label="train, smoothed")
        if valid := [
            (end, row["valid_loss"]) for end, row in zip(self.epoch_ends, self.rows, strict=True) if "valid_loss" in row
        ]:
            axes.plot(*zip(*valid, strict=True), color="#d1562e", marker="o", linewidth=1.8, label="valid")
        axes.set(xlabel="step", ylabel="loss")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def plot_lr(self, figsize: tuple[float, float] = (9, 3.4)) -> Figure:
        """The learning rate of each group, and the momentum, step by step."""
        figure = Figure(figsize=figsize, layout="constrained")
        left, right = figure.subplots(1, 2)
        groups = max((len(r) for r in self.rates), default=1)
        same = all(len(set(r)) == 1 for r in self.rates)
        for group in range(1 if same else groups):
            name = "all layers" if same else "head" if group == groups - 1 else f"body {group + 1}"
            left.plot([r[min(group, len(r) - 1)] for r in self.rates], label=name)
        left.set(xlabel="step", ylabel="learning rate")
        left.legend(frameon=False)
        right.plot(self.momenta, color="#d1562e")
        right.set(xlabel="step", ylabel="momentum")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


class EpochTable(Callback):
    """Prints the chapter's table, a line an epoch, and on a terminal shows a bar with the loss while it goes."""

    order = 60

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._header: list[str] = []

    def before_fit(self, learn: Training) -> None:
        """Begin a new table of epochs."""
        self._header = []

    def before_epoch(self, learn: Training) -> None:
        """A new bar, where somebody looks on."""
        console = Console(file=sys.stderr)
        if not (can_move_cursor(sys.stderr) and learn.accelerator.is_main_process):
            return
        run = learn.run
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(f"epoch {run.epoch}", total=run.steps, completed=run.step)
        self._bar.start()

    def after_batch(self, learn: Training) -> None:
        """Move the bar on by one batch."""
        if self._bar is not None and self._task is not None:
            text = f"epoch {learn.run.epoch}  loss {learn.recorder.loss:.4f}"
            self._bar.update(self._task, completed=learn.run.step, description=text)

    def after_train(self, learn: Training) -> None:
        """Remove the bar from the terminal."""
        self._close()

    def after_epoch(self, learn: Training) -> None:
        """Print the epoch's line, once over all processes."""
        if not learn.accelerator.is_main_process:
            return
        values = learn.run.values
        if not self._header:
            self._header = ["epoch", *(name for name in values if name != "time"), "time"]
            self._line(self._header)
        cells = [f"{values[name]:.6f}" for name in self._header[1:-1]]
        self._line([str(learn.run.epoch), *cells, clock(values["time"])])

    def after_fit(self, learn: Training) -> None:
        """Take the bar away, if a run was cut short."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, cells: list[str]) -> None:
        widths = [max(len(name), 10) if 0 < i < len(self._header) - 1 else 5 for i, name in enumerate(self._header)]
        text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(text.rstrip(), file=self.file or sys.stdout, flush=True)


def clock(seconds: float) -> str:
    """Seconds as `mm:ss`, or `h:mm:ss`.

    >>> clock(83.4)
    '01:23'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
