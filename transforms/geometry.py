"""Geometric transforms: each is a homography a sample, in the coordinates and with the arguments of its ancestors.

All matrices map output to input, in normalised coordinates (each axis of the frame from -1 to 1). Rotation and shear
are rigid in pixels, so an image that is not square is not skewed by them.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from ..errors import UsageError
from .fusible import Geometric, Mode
from .geometric_operations import AFFINE, CROP, DIHEDRAL, HOMOGRAPHY, PERSPECTIVE, RANDOM_CROP, ZOOM
from .operations import Decision, GeometricOperation, Number, Row, between, between_logs, constant, convert_decision
from .plan import Array, Size, height_width
from .random_transform import Keys
from .settings import check_choice, check_decision, check_number, check_numbers, check_pair
from .transform import Split
from .types import TensorImage
from .warp.opcodes import Flag
from .warp.outspec import Padding


class Flip(Geometric):
    """Mirror left and right, with probability `p`; `draw` of 1 mirrors, of 0 does not."""

    p: float = 0.5
    draw: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_decision(self, "draw")

    def row(self) -> Row[GeometricOperation]:
        """Mirrored along x, or not."""
        if self.draw is None:
            return DIHEDRAL.row(p=self.p, k=constant(1))
        return DIHEDRAL.row(k=between(0, 0, convert_decision(self.draw, lambda value: np.greater(value, 0))))


class Dihedral(Geometric):
    """One of the eight symmetries of the square, with probability `p`: bit 0 mirrors x, bit 1 y, bit 2 transposes."""

    p: float = 0.5
    draw: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_decision(self, "draw", 0, 8, "[)")

    def row(self) -> Row[GeometricOperation]:
        """One of the eight symmetries."""
        return DIHEDRAL.row(p=self.p if self.draw is None else 1.0, flags=Flag.TURNS, k=between(0, 8, self.draw))


class Rotate(Geometric):
    """Rotate by up to `max_deg` degrees either way, with probability `p`."""

    max_deg: float = 10.0
    p: float = 0.5
    draw: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_deg")
        check_decision(self, "draw")

    def row(self) -> Row[GeometricOperation]:
        """By how many degrees it turns."""
        return AFFINE.row(p=self.p, degrees=between(-self.max_deg, self.max_deg, self.draw))


class Zoom(Geometric):
    """Zoom by `min_zoom` to `max_zoom` about a point of the image, with probability `p`.

    `draw` is the zoom, `draw_x` and `draw_y` the point, as shares of width and height.
    """

    min_zoom: float = 1.0
    max_zoom: float = 1.1
    p: float = 0.5
    draw: Decision = None
    draw_x: Decision = None
    draw_y: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "min_zoom", 0, ends="(]")
        check_number(self, "max_zoom", self.min_zoom)
        check_decision(self, "draw", 0, ends="(]")
        check_decision(self, "draw_x")
        check_decision(self, "draw_y")

    def row(self) -> Row[GeometricOperation]:
        """The zoom, and the point that stays where it is."""
        return ZOOM.row(
            p=self.p,
            zoom=between(self.min_zoom, self.max_zoom, self.draw),
            x=between(0, 1, self.draw_x),
            y=between(0, 1, self.draw_y),
        )


class Warp(Geometric):
    """A perspective, as if from the side, of up to `magnitude` along each axis, each with probability `p`.

    Where both together reach one, the image is seen edge-on: `magnitude` is less than one half.
    """

    magnitude: float = 0.2
    p: float = 0.5
    draw_x: Decision = None
    draw_y: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "magnitude", -0.5, 0.5, "()")
        for name, other in (("draw_x", self.draw_y), ("draw_y", self.draw_x)):
            beside = abs(self.magnitude) if other is None else 0 if callable(other) else float(np.max(np.abs(other)))
            check_decision(self, name, beside - 1, 1 - beside, "()")

    def row(self) -> Row[GeometricOperation]:
        """By how much along each axis."""
        most = self.magnitude
        return PERSPECTIVE.row(p=self.p, x=between(-most, most, self.draw_x), y=between(-most, most, self.draw_y))


class Affine(Geometric):
    """Rotate, shear, scale and move, with probability `p`.

    `max_deg` and `shear` are in degrees either way, `translate` is the largest shift as a share of width and height,
    `scale` the range of the factor by which the image grows. A `shear` of two numbers is along x and then along y,
    which keeps areas, as in torchvision and kornia.
    """

    max_deg: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float | tuple[float, float] = 0.0
    p: float = 1.0
    size: Size | None = None
    mode: Mode = "bilinear"
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

    def row(self) -> Row[GeometricOperation]:
        """Degrees, shares of the size, and a factor."""
        shear_x, shear_y = self.shear if isinstance(self.shear, tuple) else (self.shear, 0.0)
        x, y = self.translate
        return AFFINE.row(
            p=self.p,
            degrees=between(-self.max_deg, self.max_deg),
            x=between(-x, x),
            y=between(-y, y),
            scale=between(*self.scale),
            shear_x=between(-shear_x, shear_x),
            shear_y=between(-shear_y, shear_y),
        )


class ShearX(Geometric):
    """Shear along x by up to `max_deg` degrees either way, with probability `p`: what stands upright leans by them."""

    max_deg: float = 15.0
    p: float = 0.5
    draw: Decision = None
    size: Size | None = None
    mode: Mode = "bilinear"
    pad_mode: Padding = "reflection"
    batch: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_deg", -90, 90, "()")
        check_decision(self, "draw", -90, 90, "()")

    def row(self) -> Row[GeometricOperation]:
        """By how many degrees what is upright leans."""
        return AFFINE.row(p=self.p, shear_x=between(-self.max_deg, self.max_deg, self.draw))


class Resize(Geometric):
    """To `size` by `crop` (the largest box of that aspect), `squish`, or `pad` (the whole image and what is around).

    The box lies anywhere in training, and in the middle in validation.
    """

    size: Size = 224
    method: Literal["crop", "squish", "pad"] = "crop"
    pad_mode: Padding = "reflection"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "method", ("crop", "squish", "pad"))

    def row(self) -> Row[GeometricOperation]:
        """A box that lies anywhere."""
        return self._box(constant(0.5) if self.method == "squish" else between(0, 1))

    def eval_row(self) -> Row[GeometricOperation]:
        """A box of the same kind in the middle."""
        return self._box(constant(0.5))

    def _box(self, place: Number) -> Row[GeometricOperation]:
        flags = {"crop": 0, "pad": Flag.PAD, "squish": Flag.SQUISH}[self.method]
        return CROP.row(flags=flags, constants=height_width(self.size), x=place, y=place)

    def padding(self) -> Padding | None:
        """Only `pad` looks outside."""
        return self.pad_mode if self.method == "pad" else None


_LARGEST = 1e12
"""An area of which no frame has more: the box is then as large as fits."""


class RandomResizedCrop(Geometric):
    """A box of a random area and aspect, anywhere in the image, to `size`.

    `min_scale` and `max_scale` bound the area as a share of the image's, `ratio` the aspect (drawn evenly in its
    logarithm). A box that would stick out is made smaller until it fits, so it is always the aspect that was drawn;
    the ancestors try ten times and then take the middle. In validation: the largest box of the aspect of `size`,
    less `val_xtra` of its size.
    """

    size: Size = 224
    min_scale: float = 0.08
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    mode: Mode = "bilinear"
    val_xtra: float = 0.14
    max_scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "max_scale", 0, 1, "(]")
        check_number(self, "min_scale", 0, self.max_scale, "(]")
        check_pair(self, "ratio", 0, ends="(]")
        check_number(self, "val_xtra", 0)

    def row(self) -> Row[GeometricOperation]:
        """A box that lies anywhere."""
        low, high = np.log(self.ratio)
        return RANDOM_CROP.row(
            constants=height_width(self.size),
            area=between(self.min_scale, self.max_scale),
            ratio=between_logs(low, high),
            x=between(0, 1),
            y=between(0, 1),
            share=constant(1.0),
        )

    def eval_row(self) -> Row[GeometricOperation]:
        """A box in the middle, of the aspect of `size`."""
        h, w = height_width(self.size)
        return RANDOM_CROP.row(
            constants=(h, w),
            area=constant(_LARGEST),
            ratio=constant(w / h),
            x=constant(0.5),
            y=constant(0.5),
            share=constant(1 / (1 + self.val_xtra)),
        )

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

    def row(self) -> Row[GeometricOperation]:
        """The nine numbers of the matrix, which are not drawn."""
        return HOMOGRAPHY.row(constants=self.whole_matrix().ravel().tolist())


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
