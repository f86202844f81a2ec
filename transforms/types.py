"""What a typed sample is: tensors that know what they mean.

Typed tensors stand at the edges (item transforms, decode, show); inside the hot path only plain tensors travel.
Geometry is in continuous pixels: an image of height `h` and width `w` covers `[0, w] x [0, h]`, and pixel
centres lie at `.5`.
"""

import copy
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import DispatchError, UsageError
from .warp.packed import Packed


class TypedTensor(Tensor):
    """A tensor whose class says what it holds.

    Operations among tensors of one class keep the class; as soon as two classes meet, the result is a plain tensor.
    `torch.save` writes the class, and `torch.load` reads it, by default too, where this module is imported.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        torch.serialization.add_safe_globals([cls])  # a class of tensors runs nothing when it is loaded

    def __new__(cls, data: Any, **kwargs: Any) -> Self:
        """Wrap `data` (anything that `torch.as_tensor` takes), without a copy where it is a tensor."""
        return torch.as_tensor(data, **kwargs).as_subclass(cls)

    if TYPE_CHECKING:  # what `__torch_function__` does to the class of these results

        def __add__(self, other: Any) -> Self: ...
        def __radd__(self, other: Any) -> Self: ...
        def __sub__(self, other: Any) -> Self: ...
        def __rsub__(self, other: Any) -> Self: ...
        def __mul__(self, other: Any) -> Self: ...
        def __rmul__(self, other: Any) -> Self: ...
        def __truediv__(self, other: Any) -> Self: ...
        def __neg__(self) -> Self: ...

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        typed = {t for t in types if issubclass(t, TypedTensor)}
        if len(typed) > 1:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        result: Any = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = copy.deepcopy(self.plain(), memo).as_subclass(type(self))
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        memo[id(self)] = copied
        return copied

    def plain(self) -> Tensor:
        """The same storage as a plain tensor."""
        return self.as_subclass(Tensor)


def _verb(name: str) -> Callable[..., "TensorImage"]:
    """A method of an image: one of `VERBS` in `geometry.py`, which needs this file and is loaded at the first call."""

    def verb(image: "TensorImage", *args: Any, **settings: Any) -> "TensorImage":
        done: TensorImage = import_module(".geometry", __package__).VERBS[name](image, *args, **settings)
        return done

    verb.__name__, verb.__doc__ = name, f"What `VERBS[{name!r}]` of `geometry.py` makes of the image."
    return verb


class TensorImage(TypedTensor):
    """An image: `uint8[3, h, w]` in 0..255 or floating `[3, h, w]` in 0..1, sRGB; a batch has one more axis in front.

    >>> TensorImage(torch.zeros(3, 4, 6, dtype=torch.uint8)).size_hw
    (4, 6)
    """

    # The verbs of the chapter (`image.rotate(draw=30)`).
    affine_coord = _verb("affine_coord")
    rotate = _verb("rotate")
    zoom = _verb("zoom")
    warp = _verb("warp")

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.shape[-2], self.shape[-1]


class TensorMask(TypedTensor):
    """A label per pixel: integer `[h, w]`; never interpolated."""


class TensorPoint(TypedTensor):
    """Points `float[n, 2]`, `(x, y)` in continuous pixels of the image that they belong to."""


class TensorBBox(TypedTensor):
    """Boxes `float[n, 4]`, `(left, top, right, bottom)` in continuous pixels of the image that they belong to."""


class TensorCategory(TypedTensor):
    """The number of a class in a vocabulary: integer, no axis (or `[N]` in a batch)."""


class TensorMultiCategory(TypedTensor):
    """Which classes of a vocabulary hold: `float[c]` of zeros and ones (or `[N, c]` in a batch)."""


def from_torchvision(x: Any) -> Any:
    """`x`, or our type in place of torchvision's `tv_tensors`; whatever is neither comes back as it is.

    torchvision counts key points from the middle of the first pixel, ours are half a pixel more.
    """
    if not type(x).__module__.startswith("torchvision.tv_tensors"):
        return x
    data = x.as_subclass(Tensor)
    match type(x).__name__:
        case "Image":
            return TensorImage(data)
        case "Mask":
            return TensorMask(data)
        case "KeyPoints":
            return TensorPoint(data + 0.5)
        case "BoundingBoxes":
            return TensorBBox(_corners(data, str(x.format.value)))
        case _:
            return x


def _corners(boxes: Tensor, layout: str) -> Tensor:
    """Boxes `[..., 4]` in torchvision's layout `XYXY`, `XYWH` or `CXCYWH` as left, top, right, bottom."""
    if layout == "XYXY":
        return boxes
    if layout not in ("XYWH", "CXCYWH"):
        raise DispatchError(f"box layout must be XYXY, XYWH or CXCYWH, but got {layout}: convert the boxes first")
    a, b, w, h = boxes.unbind(-1)
    if layout == "CXCYWH":
        a, b = a - w / 2, b - h / 2
    return torch.stack([a, b, a + w, b + h], -1)


def to_torchvision_like(original: Any, result: Any, size: tuple[int, int] | None = None) -> Any:
    """`result` as one of torchvision's `tv_tensors` where `original` was one.

    Boxes come in its format, points are counted from pixels' middles.
    `size` is the height and width of the frame that boxes and points lie in now, by default the one that they lay in.
    """
    if not isinstance(result, TypedTensor) or not type(original).__module__.startswith("torchvision.tv_tensors"):
        return result
    from torchvision import tv_tensors

    data, canvas = result.plain(), size or getattr(original, "canvas_size", None)
    match result:
        case TensorImage():
            return tv_tensors.Image(data)
        case TensorMask():
            return tv_tensors.Mask(data)
        case TensorPoint() if canvas is not None:
            return tv_tensors.KeyPoints(data - 0.5, canvas_size=canvas)
        case TensorBBox() if canvas is not None:
            layout = str(getattr(original, "format", tv_tensors.BoundingBoxFormat.XYXY).value)
            return tv_tensors.BoundingBoxes(_from_corners(data, layout), format=layout, canvas_size=canvas)
    return result


def _from_corners(boxes: Tensor, layout: str) -> Tensor:
    """The inverse of `_corners`."""
    left, top, right, bottom = boxes.unbind(-1)
    w, h = right - left, bottom - top
    if layout == "XYXY":
        return boxes
    return torch.stack([left, top, w, h] if layout == "XYWH" else [left + w / 2, top + h / 2, w, h], -1)


def sizes_of(x: Any) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Heights and widths, int `[N, 2]`, of the images or masks in a sample or batch: of the first that there is.

    A typed image is `[3, h, w]`, or `[N, 3, h, w]` for a batch; a plain tensor is a batch `uint8[N, h, w, 3]`.

    >>> sizes_of(("cat", TensorImage(torch.zeros(3, 4, 6)))).tolist()
    [[4, 6]]
    """
    for value in map(from_torchvision, _elements(x)):
        if isinstance(value, Packed):
            return value.sizes.numpy().astype(np.int64)
        if isinstance(value, TensorImage):
            return np.array([value.shape[-2:]] * (value.shape[0] if value.ndim == 4 else 1), np.int64).reshape(-1, 2)
        if isinstance(value, TensorMask):
            return np.array([value.shape[-2:]] * (value.shape[0] if value.ndim == 3 else 1), np.int64).reshape(-1, 2)
        if type(value) is Tensor and value.ndim == 4 and value.shape[-1] == 3:
            return np.array([value.shape[1:3]] * value.shape[0], np.int64).reshape(-1, 2)
    kinds = ", ".join(type(v).__name__ for v in _elements(x))
    raise DispatchError(
        f"there is no image in ({kinds}) that says how large the frame is: put the image beside the rest"
    )


def _elements(x: Any) -> list[Any]:
    """Those of a tuple, and of the tuples within it."""
    return [element for part in x for element in _elements(part)] if type(x) is tuple else [x]


def check_pixels(images: Tensor) -> None:
    """`UsageError` unless these are bytes, or floats in 0..1; a quarter beyond is what filters overshoot."""
    if images.dtype == torch.uint8 or not images.numel():
        return
    if not images.is_floating_point():
        raise UsageError(f"an image must be uint8 in 0..255 or floating in 0..1, but got {images.dtype}")
    low, high = (float(end) for end in images.aminmax())
    if not (low >= -0.25 and high <= 1.25):
        raise UsageError(
            f"an image of floats must be in 0..1, but got {low:.4g} to {high:.4g}: divide one in 0..255 by 255, "
            f"and let Normalize come last, once"
        )
