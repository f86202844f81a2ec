"""Where a classifier errs: the confusion matrix, the worst confusions, the images of highest loss, a page of it all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..errors import UsageError
from ..pipeline import Loader
from .learner import Learner
from .page import Page
from .pictures import RIGHT, WRONG, Pixels, grid, heat, to_pictures
from .predictor import in_order
from .training_data import Batches, PredictionData, vocab_of


@dataclass(frozen=True)
class ClassificationInterpretation:
    """Predictions `float[N, c]`, targets, decoded answers `int[N]` and losses `float[N]` of one data set.

    `batches` gives the samples in the same order every time that it is read, and `keys` names them, where they have
    keys.
    """

    dls: PredictionData
    batches: Batches
    vocab: tuple[str, ...]
    predictions: Tensor
    targets: Tensor
    decoded: Tensor
    losses: Tensor
    keys: tuple[str, ...] = ()

    @classmethod
    def from_learner(cls, learn: Learner, dl: Batches | None = None) -> Self:
        """Predict all of `dl` (the validation set) once.

        Raises `UsageError` where the targets are not one class for each image.
        """
        batches = in_order(learn.batches_or_valid(dl))
        found = learn.get_preds(batches, with_decoded=True, with_loss=True, with_keys=True)
        predictions, targets, decoded, losses, keys = found
        if targets is None or decoded.ndim != 1:
            raise UsageError("ClassificationInterpretation must have one class for each image, but the data has not")
        classes = predictions.shape[1]
        vocab = tuple(str(name) for name in vocab_of(learn.dls) or range(classes))
        return cls(learn.dls, batches, vocab, predictions, targets, decoded, losses, tuple(keys))

    def confusion_matrix(self) -> Pixels:
        """`int[c, c]`: row `a`, column `p` counts the images of class `a` for which `p` was predicted."""
        classes = len(self.vocab)
        pairs = self.targets.long() * classes + self.decoded.long()
        counts: Pixels = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).numpy()
        return counts

    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, count) of wrong answers given at least `min_val` times, the most frequent first."""
        matrix = self.confusion_matrix()
        np.fill_diagonal(matrix, 0)
        found = [(self.vocab[a], self.vocab[p], int(matrix[a, p])) for a, p in np.argwhere(matrix >= max(min_val, 1))]
        return sorted(found, key=lambda entry: -entry[2])

    def top_losses(self, k: int | None = None, largest: bool = True) -> tuple[Tensor, Tensor]:
        """The `k` largest losses (all of them, sorted, where `k` is not given) and where in the data set they are."""
        found = self.losses.topk(len(self.losses) if k is None else min(k, len(self.losses)), largest=largest)
        return found.values, found.indices

    def class_report(self) -> list[dict[str, Any]]:
        """For each class: its name, precision, recall, f1, and how many images it has (`support`)."""
        matrix = self.confusion_matrix()
        rows = []
        for number, name in enumerate(self.vocab):
            right, said, there = int(matrix[number, number]), int(matrix[:, number].sum()), int(matrix[number].sum())
            precision, recall = right / said if said else 0.0, right / there if there else 0.0
            f1 = 2 * right / (said + there) if said + there else 0.0
            rows.append({"class": name, "precision": precision, "recall": recall, "f1": f1, "support": there})
        return rows

    def plot_confusion_matrix(
        self, figsize: tuple[float, float] | None = None, dpi: float = 100, title: str = "Confusion matrix"
    ) -> Figure:
        """The matrix as a picture: rows are actual, columns predicted, shades the share of the row."""
        side = 3.2 + 0.28 * len(self.vocab) if len(self.vocab) > 8 else 2.0 + 0.6 * len(self.vocab)
        figure = Figure(figsize=figsize or (side, side), dpi=dpi, layout="constrained")
        heat(figure.subplots(), self.confusion_matrix(), self.vocab, title)
        return figure

    def plot_top_losses(
        self, k: int = 9, figsize: tuple[float, float] | None = None, columns: int | None = None
    ) -> Figure:
        """The `k` images of highest loss, each with what was predicted, what it is, the loss and the probability."""
        losses, where = self.top_losses(k)
        titles = []
        for loss, index in zip(losses.tolist(), where.tolist(), strict=True):
            said, actual = self.vocab[int(self.decoded[index])], self.vocab[int(self.targets[index])]
            sure = float(self.predictions[index].max())
            titles.append(f"{said} {sure:.0%}\nis {actual}, loss {loss:.2f}")
        colours = [RIGHT if self.decoded[i] == self.targets[i] else WRONG for i in where.tolist()]
        return grid(self._images(where.tolist()), titles, columns=columns, colours=colours, figsize=figsize)

    def add_to(self, page: Page, worst: int = 10) -> None:
        """Append the matrix, the confusions, the highest losses and the classes to a page."""
        wrong = int((self.decoded != self.targets).sum())
        total = len(self.targets)
        page.section("Confusion matrix", f"{wrong} of {total} wrong ({wrong / max(total, 1):.1%}). Rows are actual.")
        page.figure(self.plot_confusion_matrix(title=""), "confusion matrix")
        if confused := self.most_confused():
            page.table(["actual", "predicted", "times"], confused[:worst])
        page.section("Highest losses", "Predicted with its probability, then what it is; green where right after all.")
        page.figure(self.plot_top_losses(worst, columns=5), "the images of highest loss")
        page.section("Class by class")
        page.table(["class", "precision", "recall", "f1", "images"], [list(r.values()) for r in self.class_report()])

    def to_html(self, path: str | Path, title: str = "Interpretation") -> Path:
        """One self-contained page; returns where it is."""
        page = Page(title)
        self.add_to(page)
        return page.write(path)

    def _images(self, where: list[int]) -> list[Pixels]:
        """The images at these places in the data set: by key where there are keys.

        Raises `UsageError` where `batches` gives other samples than those that were predicted.
        """
        if self.keys and isinstance(self.batches, Loader):
            return to_pictures(self.dls, torch.stack([self.batches.replay(self.keys[i], epoch=0)[0] for i in where]))
        wanted = dict.fromkeys(where)
        found: dict[int, Pixels] = {}
        start = 0
        for batch in self.batches:
            targets = self.targets[start : start + len(batch[0])]
            if not torch.equal(batch[1].cpu(), targets):
                raise UsageError(
                    "pictures must be of the samples that were predicted, but the batches come in another order: give "
                    "from_learner a loader that does not shuffle"
                )
            here = [i for i in wanted if start <= i < start + len(batch[0])]
            if here:
                found |= dict(zip(here, to_pictures(self.dls, batch[0][[i - start for i in here]]), strict=True))
            start += len(batch[0])
        return [found[i] for i in where]
