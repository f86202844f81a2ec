"""Samples as pictures: what can be drawn, and drawing it."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from math import ceil
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...errors import UsageError
from ...transforms.types import TensorBBox, TensorImage, TensorMask, TensorPoint, from_torchvision

_DRAWABLE = (TensorImage, TensorMask, TensorPoint, TensorBBox)


def can_show(y: object) -> bool:
    """Whether `y` can be drawn as it is: an image in the range of its dtype, a target, a text, or a tuple of these."""
    y = from_torchvision(y)
    if type(y) is tuple:
        return len(y) > 0 and all(map(can_show, y))
    if isinstance(y, TensorImage):
        in_range = y.dtype == torch.uint8 or (float(y.min()) >= -1e-3 and float(y.max()) <= 1 + 1e-3)
        return y.ndim == 3 and in_range
    return isinstance(y, str | int | float | TensorMask | TensorPoint | TensorBBox) or _texts(y)


def _texts(y: object) -> bool:
    return isinstance(y, list) and all(isinstance(element, str) for element in y)


def show(y: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw a sample onto `ax` (a new one without it): targets over the image, labels as its title. Returns the axes."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(3, 3), layout="constrained")
    words = [] if title is None else [title]
    for element in map(from_torchvision, y if type(y) is tuple else (y,)):
        if isinstance(element, _DRAWABLE):
            _draw(element, ax)
        elif element is not None:
            words.append(", ".join(element) if isinstance(element, list) else str(element))
    ax.set_title(" | ".join(words), fontsize=9)
    ax.axis("off")
    return ax


def _draw(y: Tensor, ax: Any) -> None:
    from matplotlib.patches import Rectangle

    data = y.as_subclass(Tensor).detach().cpu()
    match y:
        case TensorImage():
            ax.imshow(displayable(data), interpolation="antialiased")
        case TensorMask():
            ax.imshow(data.numpy(), alpha=0.5, cmap="tab20", vmin=0, vmax=19, interpolation="nearest")
        case TensorPoint():
            ax.scatter(data[:, 0] - 0.5, data[:, 1] - 0.5, s=14, c="lime", edgecolors="black", linewidths=0.5)
        case _:
            for left, top, right, bottom in data.tolist():
                box = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, ec="lime", lw=1.5)
                ax.add_patch(box)


def displayable(image: Tensor) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """An image `[3, h, w]`, uint8 or floating in 0..1, as `uint8[h, w, 3]`."""
    data = image.detach()
    data = data if data.dtype == torch.uint8 else (data.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return data.permute(1, 2, 0).cpu().numpy()


def show_grid(samples: Sequence[object], nrows: int | None = None, ncols: int | None = None, size: float = 2.6) -> Any:
    """Draw samples in a grid, row by row; returns the figure."""
    import matplotlib.pyplot as plt

    count = len(samples)
    ncols = ncols or (ceil(count / nrows) if nrows else min(max(count, 1), 3))
    nrows = nrows or max(ceil(count / ncols), 1)
    figure, axes = plt.subplots(nrows, ncols, figsize=(size * ncols, size * nrows), squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, sample in zip(axes.flat, samples, strict=False):
        show(sample, ax)
    vars(figure)["_ipython_display_"] = partial(_display, figure)
    return figure


def _display(figure: Any) -> None:
    """What IPython does to show a figure: the picture, and pyplot lets go of it.

    Else a notebook shows it twice: as the value of a cell's last line, and because pyplot holds it when the cell ends.
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image as Picture
    from IPython.display import display

    png = BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    display(Picture(data=png.getvalue()))


def save_picture(pixels: "np.ndarray[Any, np.dtype[np.uint8]]", path: str | PathLike[str]) -> None:
    """Write `uint8[h, w, 3]` to a file, in the format that its name says.

    Raises `UsageError` for a name that says none, and `OSError` where the file cannot be written.
    """
    try:
        Image.fromarray(pixels).save(path)
    except ValueError as error:
        raise UsageError(f"out must end in a format of pictures, as .png, but got {fspath(path)!r}: {error}") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), fspath(path)) from None
