"""Geometric transforms: each is a homography a sample, in the coordinates and with the arguments of its ancestors.

All matrices map output to input, in normalised coordinates (each axis of the frame from -1 to 1). Rotation and shear
are rigid in pixels, so an image that is not square is not skewed by them.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from ..errors import UsageError
from .draw import Draw
from .fusing import Geometric
from .plan import Array, Size, cover, frames_of, height_width, inside_at, pair, times
from .settings import check_choice, check_given, check_number, check_numbers, check_pair
from .transform import Keys, Params, Split
from .types import TensorImage
from .warp.outspec import Padding

Given = float | Sequence[float] | Callable[[Draw], Any] | None
"""A decision taken out of chance's hands: a number, one a sample, or a function of the draw."""


def given_or(given: Given, drawn: Array, draw: Draw) -> Array:
    """What was given in place of `drawn`, for every sample."""
    if given is None:
        return drawn
    value = given(draw) if callable(given) else given
    return np.broadcast_to(np.asarray(value, np.float64), drawn.shape)


def identities(n: int) -> Array:
    """`n` identity matrices."""
    matrix = np.zeros((n, 9))
    matrix[:, ::4] = 1
    return matrix.reshape(n, 3, 3)


def rigid(linear: Array, frame: Array) -> Array:
    """A linear map `[N, 2, 2]` of pixels about the middle of the frames, in normalised coordinates."""
    aspect = frame[:, 1] / frame[:, 0]  # width over height
    matrix = identities(len(linear))
    matrix[:, :2, :2] = linear
    matrix[:, 0, 1] /= aspect
    matrix[:, 1, 0] *= aspect
    return matrix


def rotation(degrees: Array) -> Array:
    """Linear maps `[N, 2, 2]` that turn the image by `degrees` against the clock."""
    angle = np.deg2rad(degrees)
    linear = np.empty((len(angle), 2, 2))
    linear[:, 0, 0] = linear[:, 1, 1] = np.cos(angle)
    linear[:, 0, 1] = np.sin(angle)
    linear[:, 1, 0] = -linear[:, 0, 1]
    return linear


def perspective(x: Array, y: Array) -> Array:
    """Homographies `[N, 3, 3]` that look at the image from the side, by `x` and `y`.

    The one that takes the corners (-1-y, -1-x), (1+y, -1+x), (1-y, 1-x), (-1+y, 1+x) to those of the square, solved.
    """
    b = 2 * x * y / (1 - x * x - y * y)
    matrix = np.ones((len(b), 3, 3))
    matrix[:, 0, 1] = matrix[:, 1, 0] = b
    matrix[:, 0, 2] = matrix[:, 2, 0] = -x - b * y
    matrix[:, 1, 2] = matrix[:, 2, 1] = -y - b * x
    return matrix


class Flip(Geometric):
    """Mirror left and right, with probability `p`; `draw` of 1 mirrors, of 0 does not."""

    draws = 1
    p: float = 0.5
    draw: Given = None
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_given(self, "draw")

    def params(self, draw: Draw) -> Params:
        """`flip`: bool `[N]`."""
        return {"flip": given_or(self.draw, draw.chance(0, self.p).astype(np.float64), draw) > 0}

    def normalised(self, params: Params, frame: Array) -> Array:
        """Minus one on the diagonal where it mirrors."""
        matrix = identities(len(frame))
        matrix[:, 0, 0] = np.where(params["flip"], -1, 1)
        return matrix


class Dihedral(Geometric):
    """One of the eight symmetries of the square, with probability `p`: bit 0 mirrors x, bit 1 y, bit 2 transposes."""

    draws = 2
    p: float = 0.5
    draw: Given = None
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_given(self, "draw", 0, 8, "[)")

    def params(self, draw: Draw) -> Params:
        """`k`: whole numbers 0 to 7, `[N]`."""
        k = np.where(draw.chance(0, self.p), np.floor(draw.uniform(1, 0, 8)), 0)
        return {"k": given_or(self.draw, k, draw).astype(np.int64)}

    def normalised(self, params: Params, frame: Array) -> Array:
        """A signed permutation of the axes."""
        k = params["k"]
        x, y, swap = 1 - 2 * (k & 1), 1 - 2 * (k >> 1 & 1), k >> 2 & 1
        matrix = identities(len(frame))
        matrix[:, 0, 0], matrix[:, 0, 1] = x * (1 - swap), x * swap
        matrix[:, 1, 0], matrix[:, 1, 1] = y * swap, y * (1 - swap)
        return matrix

    def place(self, params: Params | None, frame: Array) -> tuple[Array | None, Array]:
        """As for all, but the frame's sides change places where it transposes."""
        matrix = None if params is None else self.normalised(params, frame)
        if params is not None:
            frame = np.where((params["k"] >= 4)[:, None], frame[:, ::-1], frame)
        rest, leaves = super().place(None, frame)
        return times(matrix, rest), leaves


class Rotate(Geometric):
    """Rotate by up to `max_deg` degrees either way, with probability `p`."""

    draws = 2
    max_deg: float = 10.0
    p: float = 0.5
    draw: Given = None
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_deg")
        check_given(self, "draw")

    def params(self, draw: Draw) -> Params:
        """`degrees`: `[N]`, zero where it does not rotate."""
        degrees = given_or(self.draw, draw.uniform(1, -self.max_deg, self.max_deg), draw)
        return {"degrees": np.where(draw.chance(0, self.p), degrees, 0.0)}

    def normalised(self, params: Params, frame: Array) -> Array:
        """`[[cos, sin], [-sin, cos]]` in a square frame."""
        return rigid(rotation(params["degrees"]), frame)


class Zoom(Geometric):
    """Zoom by `min_zoom` to `max_zoom` about a point of the image, with probability `p`.

    `draw` is the zoom, `draw_x` and `draw_y` the point, as shares of width and height.
    """

    draws = 4
    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    draw: Given = None
    draw_x: Given = None
    draw_y: Given = None
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "min_zoom", 0, ends="(]")
        check_number(self, "max_zoom", self.min_zoom)
        check_given(self, "draw", 0, ends="(]")
        check_given(self, "draw_x")
        check_given(self, "draw_y")

    def params(self, draw: Draw) -> Params:
        """`zoom`: `[N]`, one where it does not zoom; `x`, `y`: `[N]` in 0..1."""
        zoom = given_or(self.draw, draw.uniform(1, self.min_zoom, self.max_zoom), draw)
        return {
            "zoom": np.where(draw.chance(0, self.p), zoom, 1.0),
            "x": given_or(self.draw_x, draw.uniform(2), draw),
            "y": given_or(self.draw_y, draw.uniform(3), draw),
        }

    def normalised(self, params: Params, frame: Array) -> Array:
        """A scale by one over the zoom that keeps the point where it is."""
        scale = 1 / params["zoom"]
        matrix = identities(len(scale))
        matrix[:, 0, 0] = matrix[:, 1, 1] = scale
        matrix[:, 0, 2] = (1 - scale) * (2 * params["x"] - 1)
        matrix[:, 1, 2] = (1 - scale) * (2 * params["y"] - 1)
        return matrix


class Warp(Geometric):
    """A perspective, as if from the side, of up to `magnitude` along each axis, each with probability `p`.

    Where both together reach one, the image is seen edge-on: `magnitude` is less than one half.
    """

    draws = 4
    magnitude: float = 0.2
    p: float = 0.5
    draw_x: Given = None
    draw_y: Given = None
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "magnitude", -0.5, 0.5, "()")
        for name, other in (("draw_x", self.draw_y), ("draw_y", self.draw_x)):
            beside = abs(self.magnitude) if other is None else 0 if callable(other) else float(np.max(np.abs(other)))
            check_given(self, name, beside - 1, 1 - beside, "()")

    def params(self, draw: Draw) -> Params:
        """`x`, `y`: `[N]`, zero where it does not warp."""
        x = given_or(self.draw_x, draw.uniform(1, -self.magnitude, self.magnitude), draw)
        y = given_or(self.draw_y, draw.uniform(3, -self.magnitude, self.magnitude), draw)
        return {"x": np.where(draw.chance(0, self.p), x, 0.0), "y": np.where(draw.chance(2, self.p), y, 0.0)}

    def normalised(self, params: Params, frame: Array) -> Array:
        """The homography of the four corners."""
        return perspective(params["x"], params["y"])


class Affine(Geometric):
    """Rotate, shear, scale and move, with probability `p`.

    `max_deg` and `shear` are in degrees either way, `translate` is the largest shift as a share of width and height,
    `scale` the range of the factor by which the image grows. A `shear` of two numbers is along x and then along y,
    which keeps areas, as in torchvision and kornia.
    """

    draws = 7
    max_deg: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float | tuple[float, float] = 0.0
    p: float = 1.0
    size: Size | None = None
    mode: Literal["bilinear"] = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_deg")
        check_pair(self, "scale", 0, ends="(]")
        check_numbers(self, "translate", 2)
        if isinstance(self.shear, tuple | list):
            check_numbers(self, "shear", 2, -90, 90, "()")
        else:
            check_number(self, "shear", -90, 90, "()")

    def params(self, draw: Draw) -> Params:
        """`degrees`, `shear_x`, `shear_y` (degrees), `scale`, `x`, `y` (shares of the size): `[N]`."""
        shear_x, shear_y = self.shear if isinstance(self.shear, tuple) else (self.shear, 0.0)
        happens = draw.chance(0, self.p)
        ranges = {
            "degrees": (-self.max_deg, self.max_deg, 0.0),
            "x": (-self.translate[0], self.translate[0], 0.0),
            "y": (-self.translate[1], self.translate[1], 0.0),
            "scale": (*self.scale, 1.0),
            "shear_x": (-shear_x, shear_x, 0.0),
            "shear_y": (-shear_y, shear_y, 0.0),
        }
        return {
            name: np.where(happens, draw.uniform(i, low, high), none)
            for i, (name, (low, high, none)) in enumerate(ranges.items(), 1)
        }

    def normalised(self, params: Params, frame: Array) -> Array:
        """The image is scaled and sheared, then turned, then moved; this is the way back."""
        n = len(frame)
        tx, ty = np.tan(np.deg2rad(params["shear_x"])), np.tan(np.deg2rad(params["shear_y"]))
        one = np.ones(n)
        skew = np.stack([one, tx, ty, 1 + tx * ty], -1).reshape(-1, 2, 2)  # along x, then along y
        linear = np.linalg.inv(skew) @ rotation(params["degrees"]) / params["scale"][:, None, None]
        moved = identities(n)
        moved[:, :2, 2] = -2 * pair(params["x"], params["y"])
        return rigid(linear, frame) @ moved


class Resize(Geometric):
    """To `size` by `crop` (the largest box of that aspect), `squish`, or `pad` (the whole image and what is around).

    The box lies anywhere in training, and in the middle in validation.
    """

    draws = 2
    size: Size = 224
    method: Literal["crop", "squish", "pad"] = "crop"
    pad_mode: Padding = "reflection"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "method", ("crop", "squish", "pad"))

    def leaves_to_chance(self) -> bool:
        """Where the box lies, unless the whole image is squeezed."""
        return self.method != "squish"

    def params(self, draw: Draw) -> Params:
        """`x`, `y`: where the box lies, as a share of the room that there is, `[N]`."""
        return {"x": draw.uniform(0), "y": draw.uniform(1)}

    def rest(self, n: int) -> Params:
        """The middle."""
        return {"x": np.full(n, 0.5), "y": np.full(n, 0.5)}

    def place(self, params: Params | None, frame: Array) -> tuple[Array | None, Array]:
        """A scale and a shift, and the frame of `size`."""
        leaves = frames_of(self.size, frame)
        if self.method == "squish":
            return None, leaves
        params = self.rest(len(frame)) if params is None else params
        share = cover(frame, leaves, inside=self.method == "crop")
        return inside_at(share, params["x"], params["y"]), leaves

    def padding(self) -> Padding | None:
        """Only `pad` looks outside."""
        return self.pad_mode if self.method == "pad" else None


class RandomResizedCrop(Geometric):
    """A box of a random area and aspect, anywhere in the image, to `size`.

    `min_scale` and `max_scale` bound the area as a share of the image's, `ratio` the aspect (drawn evenly in its
    logarithm). A box that would stick out is made smaller until it fits, so it is always the aspect that was drawn;
    the ancestors try ten times and then take the middle. In validation: the largest box of the aspect of `size`,
    less `val_xtra` of its size.
    """

    draws = 4
    size: Size = 224
    min_scale: float = 0.08
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    mode: Literal["bilinear"] = "bilinear"
    val_xtra: float = 0.14
    max_scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_scale", 0, 1, "(]")
        check_number(self, "min_scale", 0, self.max_scale, "(]")
        check_pair(self, "ratio", 0, ends="(]")
        check_number(self, "val_xtra", 0)

    def params(self, draw: Draw) -> Params:
        """`area`, `ratio`, and the place `x`, `y` as a share of the room that there is: `[N]`."""
        low, high = np.log(self.ratio)
        return {
            "area": draw.uniform(0, self.min_scale, self.max_scale),
            "ratio": np.exp(draw.uniform(1, low, high)),
            "x": draw.uniform(2),
            "y": draw.uniform(3),
        }

    def rest(self, n: int) -> Params:
        """The middle, of the aspect of `size`."""
        h, w = height_width(self.size)
        return {
            "area": np.full(n, np.inf),
            "ratio": np.full(n, w / h),
            "x": np.full(n, 0.5),
            "y": np.full(n, 0.5),
            "less": np.full(n, 1 / (1 + self.val_xtra)),
        }

    def place(self, params: Params | None, frame: Array) -> tuple[Array | None, Array]:
        """A scale and a shift, and the frame of `size`."""
        params = self.rest(len(frame)) if params is None else params
        leaves = frames_of(self.size, frame)
        h, w = frame[:, 0], frame[:, 1]
        widest = np.minimum(w, h * params["ratio"])
        width = np.minimum(np.sqrt(params["area"] * w * h * params["ratio"]), widest) * params.get("less", 1.0)
        share = pair(width / w, width / params["ratio"] / h)
        return inside_at(share, params["x"], params["y"]), leaves

    def padding(self) -> Padding | None:
        """It never looks outside."""
        return None


class Homography(Geometric):
    """One given map for every image: output to input in normalised coordinates, `matrix` row by row."""

    split: ClassVar[Split | None] = None
    matrix: Sequence[Sequence[float]] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    size: Size | None = None
    pad_mode: Padding = "reflection"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            whole = self.whole_matrix()
        except ValueError as error:
            raise UsageError(f"Homography: matrix must have 2 or 3 rows of 3 numbers: {error}") from None
        if not np.isfinite(whole).all() or not np.linalg.det(whole):
            raise UsageError(f"Homography: matrix must be finite and have an inverse, but got {self.matrix!r}")

    def whole_matrix(self) -> Array:
        """The matrix with its third row, `[3, 3]`."""
        rows = np.array(self.matrix, np.float64)
        if rows.shape not in ((2, 3), (3, 3)):
            raise ValueError(f"got shape {rows.shape}")
        return np.concatenate([rows, [[0.0, 0.0, 1.0]]])[:3]

    def params(self, draw: Draw) -> Params:
        """The matrix for each sample."""
        return {"matrix": np.tile(self.whole_matrix(), (len(draw), 1, 1))}

    def normalised(self, params: Params, frame: Array) -> Array:
        """As given."""
        return params["matrix"]


def _verb(transform: Callable[..., Geometric], **middle: Any) -> Callable[..., TensorImage]:
    def verb(image: TensorImage, *, keys: Keys = None, seed: int = 0, epoch: int = 0, **settings: Any) -> TensorImage:
        made = transform(**{"p": 1.0, **middle, **settings})
        done: TensorImage = made(image, keys=keys, seed=seed, epoch=epoch)
        return done

    verb.__doc__ = f"What `{transform.__name__}` does with these settings; `keys` where they leave something to chance."
    return verb


def affine_coord(
    image: TensorImage, mat: Any = None, sz: Size | None = None, pad_mode: Padding = "reflection"
) -> TensorImage:
    """`image` resampled once by `mat`, output to input in normalised coordinates (2 or 3 rows), to size `sz`."""
    rows = np.eye(3) if mat is None else np.asarray(mat, np.float64)
    done: TensorImage = Homography(tuple(map(tuple, rows.tolist())), sz, pad_mode)(image)
    return done


VERBS: dict[str, Callable[..., TensorImage]] = {
    "affine_coord": affine_coord,
    "rotate": _verb(Rotate),
    "zoom": _verb(Zoom, draw_x=0.5, draw_y=0.5),
    "warp": _verb(Warp),
}
"""What `TensorImage` does by methods of these names."""
