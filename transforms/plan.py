"""What a run of random transforms comes to, for each image of a batch: matrices and colour maps, before any pixel.

A *frame* is the rectangle in which an operation thinks: the source image at first, then what the operation before
leaves. Geometric operations speak of their frames in normalised coordinates (each axis from -1 to 1, as fastai and
`grid_sample` do), so their matrices multiply; a plan holds the product in continuous pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from operator import index
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .random_transform import Params
from .transform import Transform
from .warp.outspec import Padding

Array = NDArray[np.float64]
Size = int | tuple[int, int]


class Stage(IntEnum):
    """The parts of a colour map, in the order in which the warp applies them."""

    LOGIT = 0
    """An affine map `[N, 3, 4]` of the logits of RGB."""
    HUE = 1
    """A turn `[N]` of the hue, in turns."""
    TABLE = 2
    """A table `[N, 256]` over grey levels, each channel on its own."""
    RGB = 3
    """An affine map `[N, 3, 4]` of RGB in 0..1."""
    ERASE = 4
    """A rectangle `[N, 4]` (left, top, right, bottom) of the output, in fractions of its size, that becomes zero."""


@dataclass(frozen=True)
class Segment:
    """A run of operations that is done at once: one warp, one pointwise step, or one barrier; and why it began."""

    kind: Literal["warp", "colour", "barrier"]
    operations: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Step:
    """One segment, decided for a batch."""

    segment: Segment
    matrix: Array | None
    """Output to source in continuous pixels, `float64[N, 3, 3]`; None for a step that moves nothing."""
    size: tuple[int, int] | None
    """Height and width of what the step leaves; None where the images differ."""
    colour: Mapping[Stage, Array]
    padding: Padding
    barrier: tuple[Transform, Params] | None = None


class Composition:
    """A step while its operations are added: one matrix, one colour map, and the frame that they leave.

    `frame` is `[N, 2]`, heights and widths: those of the source at first.
    """

    def __init__(self, frame: Array) -> None:
        self.source = self.frame = frame
        self.matrix: Array | None = None
        self.padding: Padding | None = None
        self.colour: dict[Stage, Array] = {}
        self.barrier: tuple[Transform, Params] | None = None

    def move(self, matrix: Array | None, frame: Array, padding: Padding | None) -> None:
        """Add a homography, output to input in normalised coordinates, and the frame that it leaves."""
        self.matrix, self.frame, self.padding = compose(self.matrix, matrix), frame, padding or self.padding

    def recolour(self, stage: Stage, effect: Array) -> None:
        """Add an effect of a stage, with a row a sample."""
        self.colour[stage] = compose_effects(stage, self.colour[stage], effect) if stage in self.colour else effect

    def step(self, segment: Segment) -> Step:
        """The step of a segment; where all frames are of one size, they are whole pixels from here on."""
        size = common_size(self.frame)
        if segment.kind != "warp":
            return Step(segment, None, size, self.colour, "reflection", self.barrier)
        if size is not None:
            self.frame = frames_of(size, self.frame)
        matrix = compose(compose(to_pixels(self.source), self.matrix), from_pixels(self.frame))
        return Step(segment, matrix, size, self.colour, self.padding or "reflection")


@dataclass(frozen=True)
class Plan:
    """All steps for a batch of `N` images, and the matrix of the whole."""

    steps: tuple[Step, ...]
    sizes: Array
    """Source heights and widths, `[N, 2]`."""

    @property
    def matrix(self) -> Array:
        """Output to source in continuous pixels, `float64[N, 3, 3]`, through all steps."""
        whole: Array | None = None
        for step in self.steps:
            whole = compose(whole, step.matrix)
        return np.tile(np.eye(3), (len(self.sizes), 1, 1)) if whole is None else whole

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the result."""
        return self.steps[-1].size if self.steps else common_size(self.sizes)


def common_size(frame: Array) -> tuple[int, int] | None:
    """The height and width of all frames, rounded; None where they differ."""
    rounded = np.maximum(np.rint(frame), 1)
    return (int(rounded[0, 0]), int(rounded[0, 1])) if len(frame) and (rounded == rounded[0]).all() else None


def height_width(size: Size) -> tuple[int, int]:
    """A size as height and width: a whole number is both. Raises `UsageError` for what is no size."""
    try:
        h, w = (index(side) for side in (size if isinstance(size, tuple | list) else (size, size)))
    except (TypeError, ValueError):
        raise UsageError(f"size must be a whole number, or (height, width), of pixels, but got {size!r}") from None
    if min(h, w) < 1:
        raise UsageError(f"size must be at least 1 pixel on each side, but got {size}")
    return h, w


def frames_of(size: Size, like: Array) -> Array:
    """Frames `[N, 2]` (h, w) of one size, as many as `like` has."""
    frames = np.empty(like.shape)
    frames[:] = height_width(size)
    return frames


def crop_matrix(share: Array, x: Array, y: Array) -> Array:
    """Matrices to boxes that take `share` `[N, 2]` of a frame, at `x`, `y` `[N]` of the room that there is."""
    return _scale_and_move(share, (1 - share) * (2 * stack_xy(x, y) - 1))


def cover(frame: Array, leaves: Array, inside: bool = True) -> Array:
    """The share `[N, 2]` (x, y) of each frame that the largest box of the aspect of `leaves` takes in it.

    With `inside=False`, the smallest box around the frame instead, so shares of one and more.
    """
    aspect = (frame[:, 1] * leaves[:, 0]) / (frame[:, 0] * leaves[:, 1])  # above one: the frame is too wide
    limit = np.minimum if inside else np.maximum
    return stack_xy(limit(1 / aspect, 1.0), limit(aspect, 1.0))


def stack_xy(x: Array, y: Array) -> Array:
    """Two columns `[N]` as `[N, 2]`."""
    both = np.empty((len(x), 2))
    both[:, 0], both[:, 1] = x, y
    return both


def scaling(scale: Array) -> Array | None:
    """Matrices that scale by `[N, 2]`; None where they are all the identity."""
    return None if (scale == 1).all() else _scale_and_move(scale, 0.0)


def _scale_and_move(scale: Array, centre: Array | float) -> Array:
    matrix = np.zeros((len(scale), 9))
    matrix[:, 0:5:4], matrix[:, 2:6:3], matrix[:, 8] = scale, centre, 1
    return matrix.reshape(-1, 3, 3)


def compose(a: Array | None, b: Array | None) -> Array | None:
    """The product `a @ b`, None standing for the identity."""
    if a is None or b is None:
        return b if a is None else a
    return a @ b


def to_pixels(frame: Array) -> Array:
    """Normalised coordinates to continuous pixels of the frames `[N, 2]` (h, w)."""
    half = frame[:, ::-1] / 2
    return _scale_and_move(half, half)


def from_pixels(frame: Array) -> Array:
    """Continuous pixels of the frames `[N, 2]` (h, w) to normalised coordinates."""
    return _scale_and_move(2 / frame[:, ::-1], -1)


def compose_effects(stage: Stage, first: Array, second: Array) -> Array:
    """One effect of a stage that does `first` and then `second`."""
    match stage:
        case Stage.HUE:
            return first + second
        case Stage.TABLE:
            return apply_table(second, first * 255)
        case _:  # an affine map; a second rectangle never comes here: it is a step of its own
            maps = np.asarray(second[..., :3] @ first, np.float64)
            maps[..., 3] += second[..., 3]
            return maps


def apply_table(table: Array, levels: Array) -> Array:
    """Tables `[N, 256]` at grey levels `[N, M]` in 0..255, linearly interpolated."""
    low = np.clip(np.floor(levels), 0, 254).astype(np.int64)
    share = np.clip(levels, 0, 255) - low
    a, b = np.take_along_axis(table, low, 1), np.take_along_axis(table, low + 1, 1)
    return a + (b - a) * share
