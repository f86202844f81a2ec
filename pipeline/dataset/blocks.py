"""What a sample consists of: an image, and a class, several classes, a mask, points or boxes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image

from ...errors import DecodeError, LabelError, UsageError
from ...transforms.category import Categorize, MultiCategorize
from ...transforms.decoding.decode import decode
from ...transforms.overloads import encodes
from ...transforms.to_tensor import ToTensor
from ...transforms.transform import Transform
from ...transforms.types import TensorBBox, TensorImage, TensorMask, TensorMultiCategory, TensorPoint
from ..composition.compose import Pipeline
from ..composition.spec import register
from .mask_files import mask_numbers, numbers_in
from .sources import read_file

Kind = Literal["image", "category", "multicategory", "mask", "points", "boxes"]


@register
@dataclass(frozen=True)
class Block:
    """One element of a sample: its kind, and the transforms from what the getter gives to what it is."""

    kind: Kind
    type_tfms: Sequence[Transform] = ()

    def setup(self, values: Sequence[Any]) -> Self:
        """A block whose transforms have learnt from the training values (the vocabulary of labels)."""
        return replace(self, type_tfms=Pipeline(self.type_tfms).setup(values).transforms)

    def __call__(self, value: Any) -> Any:
        """The typed element that the transforms make of a value."""
        return Pipeline(self.type_tfms)(value)

    def decode(self, y: Any) -> Any:
        """Back to what can be read: the label's name."""
        return Pipeline(self.type_tfms).decode(y)

    @property
    def vocab(self) -> Sequence[Any] | None:
        """The names of the classes, where there are any."""
        return next((v for t in self.type_tfms if (v := getattr(t, "vocab", None)) is not None), None)


class OpenImage(Transform):
    """The picture of a path, of bytes or of Pillow's, upright: `TensorImage` `uint8[3, h, w]`."""

    @encodes
    def of_file(self, x: str | Path | bytes) -> TensorImage:
        """Decoded, with the file's orientation applied."""
        return decode(x)

    @encodes
    def of_picture(self, x: Image.Image | TensorImage) -> TensorImage:
        """The pixels of an image in memory."""
        image: TensorImage = ToTensor()(x)
        return image


class OpenMask(Transform):
    """The labels of each pixel, of a path, the bytes of a file or an array: `TensorMask` `[h, w]`.

    `vocab[i]` is what number `i` marks. Which numbers a file holds, `mask_numbers` says.
    """

    vocab: Sequence[str] | None = None

    @encodes
    def of_file(self, x: str | Path | bytes) -> TensorMask:
        """The numbers in a file. `LabelError` where it cannot be read, or holds no labels."""
        try:
            return TensorMask(torch.from_numpy(numbers_in(x if isinstance(x, bytes) else read_file(x))))
        except (OSError, DecodeError, LabelError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise LabelError(f"{reason}" if isinstance(x, bytes) else f"{x}: {reason}") from None

    @encodes
    def of_picture(self, x: Image.Image) -> TensorMask:
        """The numbers in an image of Pillow's."""
        return TensorMask(torch.from_numpy(mask_numbers(x)))

    @encodes
    def of_array(self, x: np.ndarray | torch.Tensor) -> TensorMask:
        """The numbers of an array, unchanged; true is 1."""
        numbers = torch.as_tensor(np.asarray(x))
        return TensorMask(numbers.to(torch.uint8) if numbers.dtype == torch.bool else numbers)


class AsPoints(Transform):
    """Points `(x, y)` in pixels of the file, `float32[n, 2]`; one pair alone is one point."""

    takes_tuple = True

    def encode(self, x: Any) -> TensorPoint:
        """Points as rows (x, y)."""
        points = torch.as_tensor(np.asarray(x, np.float32))
        if points.numel() % 2 or points.ndim > 2:
            raise LabelError(f"points must be pairs (x, y), but got shape {tuple(points.shape)}")
        return TensorPoint(points.reshape(-1, 2))


class AsBoxes(Transform):
    """Boxes (left, top, right, bottom) in pixels of the file, `float32[n, 4]`."""

    takes_tuple = True

    def encode(self, x: Any) -> TensorBBox:
        """Boxes as rows (left, top, right, bottom)."""
        boxes = torch.as_tensor(np.asarray(x, np.float32))
        if boxes.numel() % 4 or boxes.ndim > 2:
            raise LabelError(f"boxes must be (left, top, right, bottom), but got shape {tuple(boxes.shape)}")
        return TensorBBox(boxes.reshape(-1, 4))


class Encoded(Transform):
    """Zeros and ones that stand for classes already: `TensorMultiCategory` `float32[c]`."""

    takes_tuple = True
    vocab: Sequence[Any] = ()

    def encode(self, x: Any) -> TensorMultiCategory:
        """The numbers of a label, one for each class."""
        hot = torch.as_tensor(np.asarray(x, np.float32))
        if hot.shape != (len(self.vocab),):
            raise LabelError(f"an encoded label must have {len(self.vocab)} numbers, but got shape {tuple(hot.shape)}")
        return TensorMultiCategory(hot)

    def decode(self, y: TensorMultiCategory) -> list[Any]:
        """The names of the classes whose number is above one half."""
        return [self.vocab[i] for i in (y.plain() > 0.5).nonzero()[:, 0].tolist()]


@register
def ImageBlock() -> Block:  # noqa: N802
    """A picture, from a path, bytes or a Pillow image."""
    return Block("image", (OpenImage(),))


@register
def CategoryBlock(vocab: Sequence[Any] | None = None, sort: bool = True, add_na: bool = False) -> Block:  # noqa: N802
    """One label of a vocabulary, learnt from the training labels where it is not given."""
    return Block("category", (Categorize(None if vocab is None else tuple(vocab), sort, add_na),))


@register
def MultiCategoryBlock(  # noqa: N802
    encoded: bool = False, vocab: Sequence[Any] | None = None, sort: bool = True, add_na: bool = False
) -> Block:
    """Several labels of a vocabulary; `encoded` says that they come as zeros and ones over `vocab`."""
    if not encoded:
        return Block("multicategory", (MultiCategorize(None if vocab is None else tuple(vocab), sort, add_na),))
    if vocab is None:
        raise LabelError("encoded labels have no names: give vocab=[...]")
    return Block("multicategory", (Encoded(tuple(vocab)),))


@register
def MaskBlock(codes: Sequence[str] | None = None) -> Block:  # noqa: N802
    """A class number for each pixel, from a path or an array; `codes` are the classes' names."""
    return Block("mask", (OpenMask(None if codes is None else tuple(codes)),))


@register
def PointBlock() -> Block:  # noqa: N802
    """Points (x, y) in pixels of the file, before its orientation is applied."""
    return Block("points", (AsPoints(),))


@register
def BBoxBlock() -> Block:  # noqa: N802
    """Boxes (left, top, right, bottom) in pixels of the file, before its orientation is applied."""
    return Block("boxes", (AsBoxes(),))


def with_vocab(block: Block, vocab: Sequence[Any] | None) -> Block:
    """A block of labels with the names that a cache has, which are those of its rows."""
    if vocab is None or block.vocab is None or len(vocab) == len(block.vocab):
        return block
    learners = (Categorize, MultiCategorize)
    tfms = [replace(t, vocab=tuple(vocab)) if isinstance(t, learners) else t for t in block.type_tfms]
    return replace(block, type_tfms=tuple(tfms))


def as_block(block: Block | Callable[[], Block]) -> Block:
    """The block itself, or what `ImageBlock` without parentheses makes; `UsageError` for anything else."""
    result = block if isinstance(block, Block) or not callable(block) else block()
    if not isinstance(result, Block):
        raise UsageError(f"blocks must be made of ImageBlock, CategoryBlock, MaskBlock, …, but got {result!r}")
    return result
