"""Pictures of images: grids with titles, and what a batch's numbers look like as pixels."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from ..pipeline.composition.show import displayable
from .training_data import PredictionData, denormalize

RIGHT, WRONG = "#1b7f4b", "#b3261e"
Pixels = np.ndarray[Any, Any]


def to_pictures(dls: PredictionData, images: Tensor) -> list[Pixels]:
    """A batch `[N, 3, h, w]` as it looks: the data's normalisation, if it has one, is taken back."""
    return [displayable(image) for image in denormalize(dls, images)]


def on_square(image: Pixels) -> Pixels:
    """An image in the middle of a white square, so that a grid of many shapes keeps its lines."""
    side = max(image.shape[:2])
    square = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    square[top : top + image.shape[0], left : left + image.shape[1]] = image
    return square


def grid(
    images: Sequence[Pixels],
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    cell: float = 2.1,
    colours: Sequence[str] = (),
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Images beside each other, each with its title; `cell` is a picture's width in inches."""
    columns = columns or max(1, min(len(images), math.ceil(math.sqrt(max(len(images), 1)))))
    rows = max(1, math.ceil(len(images) / columns))
    lines = max((title.count("\n") + 1 for title in titles if title), default=0)
    size = figsize or (columns * cell, rows * (cell + 0.06 + 0.19 * lines))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02))
    for index, axes in enumerate(np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).flat):
        axes.axis("off")
        if index < len(images):
            axes.imshow(images[index], interpolation="nearest" if images[index].shape[0] < 64 else None)
            if index < len(titles):
                axes.set_title(titles[index], fontsize=9, color=colours[index] if colours else "#1c2733", pad=3)
    return figure


def heat(axes: Axes, matrix: Pixels, names: Sequence[str], title: str = "") -> None:
    """A confusion matrix: rows are what is, columns what was said."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = max(4.5, 10 - len(names) / 8)
    ticks = range(len(names))
    few = len(names) <= 6
    slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
    axes.set_xticks(ticks, list(names), fontsize=size, **slant)
    axes.set_yticks(ticks, list(names), fontsize=size)
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        ink = "white" if shares[row, column] > 0.5 else "#1c2733"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=ink, fontsize=size)
