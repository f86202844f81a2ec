"""Results as a picture: each image with its target and its prediction, for every kind of target."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from .pictures import RIGHT, WRONG, grid, to_pictures
from .training_data import PredictionData

TARGET, PREDICTED = "#ffd23f", "#ff3d8b"


def results(
    dls: PredictionData,
    kind: str,
    images: Tensor,
    targets: Tensor,
    decoded: Tensor,
    label: Callable[[Tensor], Any],
    figsize: tuple[float, float] | None = None,
) -> Figure:
    """Images `[N, 3, h, w]` with targets and decoded predictions of one kind."""
    pictures = to_pictures(dls, images)
    if kind == "mask":
        return masks(pictures, targets, decoded, figsize)
    if kind == "points":
        return points(pictures, targets, decoded, figsize)
    titles, colours = [], []
    for target, answer in zip(targets, decoded, strict=True):
        right = bool((target == answer).all())
        titles.append(f"{_words(label(target))}\n{_words(label(answer))}")
        colours.append(RIGHT if right else WRONG)
    return grid(pictures, titles, colours=colours, figsize=figsize)


def masks(pictures: list[Any], targets: Tensor, decoded: Tensor, figsize: tuple[float, float] | None) -> Figure:
    """A row for each image: with the mask that it has, and with the one predicted."""
    figure = grid(
        [p for p in pictures for _ in (0, 1)], ["target", "predicted"] * len(pictures), columns=2, figsize=figsize
    )
    top = max(int(targets.max()), int(decoded.max()), 1)
    for index, mask in enumerate(m for pair in zip(targets, decoded, strict=True) for m in pair):
        figure.axes[index].imshow(mask.numpy(), alpha=0.55, cmap="viridis", vmin=0, vmax=top, interpolation="nearest")
    return figure


def points(pictures: list[Any], targets: Tensor, decoded: Tensor, figsize: tuple[float, float] | None) -> Figure:
    """Each image with its points (yellow) and the predicted ones (pink)."""
    figure = grid(pictures, figsize=figsize)
    for axes, target, answer in zip(figure.axes, targets, decoded, strict=False):
        for where, colour, mark in ((target, TARGET, "o"), (answer, PREDICTED, "x")):
            # Pixel centres are at .5 here, and at whole numbers in matplotlib.
            axes.scatter(where[:, 0] - 0.5, where[:, 1] - 0.5, c=colour, marker=mark, s=50, linewidths=2)
    return figure


def _words(label: Any) -> str:
    return ", ".join(label) or "nothing" if isinstance(label, list) else str(label)
