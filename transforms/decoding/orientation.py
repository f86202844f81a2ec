"""The eight ways in which EXIF says that a camera was held."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# orientation -> does upright swap the axes of the file, is the file's x flipped, is its y (EXIF 2.32, tag 0x0112)
_TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def swaps_axes(orientation: int) -> bool:
    """Whether height and width change places when the picture is turned upright."""
    return _TURNS[orientation][0]


def flips(orientation: int) -> tuple[bool, bool]:
    """Whether the file's own y and x run against those of the upright picture: `(flip_y, flip_x)`."""
    _, flip_x, flip_y = _TURNS[orientation]
    return flip_y, flip_x


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The file's `pixels[h, w, ...]` turned upright, as a view.

    >>> turn(np.array([[1, 2, 3]]), 6).tolist()    # turned clockwise by 90 degrees
    [[1], [2], [3]]
    """
    swap, flip_x, flip_y = _TURNS[orientation]
    pixels = pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return pixels.swapaxes(0, 1) if swap else pixels


def turn_back(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The inverse of `turn`, as a view."""
    return turn(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def upright_to_file(orientation: int, height: float, width: float) -> NDArray[np.float64]:
    """`float64[3, 3]` from continuous pixels of the upright picture to those of the file, which is `height` x `width`.

    >>> (upright_to_file(6, 480, 640) @ [10.5, 0.5, 1]).tolist()    # x along the file's y, from the bottom
    [0.5, 469.5, 1.0]
    """
    swap, flip_x, flip_y = _TURNS[orientation]
    x = np.array([0.0, 1.0, 0.0] if swap else [1.0, 0.0, 0.0])
    y = np.array([1.0, 0.0, 0.0] if swap else [0.0, 1.0, 0.0])
    end = np.array([0.0, 0.0, 1.0])
    return np.stack([width * end - x if flip_x else x, height * end - y if flip_y else y, end])
