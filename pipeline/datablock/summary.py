"""How a data set is made, printed step by step for its first sample and its first batch."""

from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from PIL import Image

from ...errors import OnewarpError, UsageError
from ...transforms.types import TensorImage
from ..composition.compose import Pipeline


def summarise(block: Any, source: Any, bs: int = 4) -> None:
    """Print each step, and end in the batch, or raise the reason why there is none."""
    print(f"Setting up the data of {source if isinstance(source, str | PathLike) else type(source).__name__}")
    datasets = block.datasets(source)
    samples = datasets.samples
    print(f"Found {len(samples)} items")
    print(f"2 datasets of sizes {','.join(str(len(split)) for split in datasets.splits)}")
    for part in samples.blocks:
        print(f"Setting up {Pipeline(part.type_tfms)}")
    if not len(datasets.train):
        raise UsageError("the training split has no items: change the splitter")
    print("\nBuilding one sample")
    for n, part in enumerate(samples.blocks):
        _print_element(part, samples, datasets.splits[0][0], n)
    fused = block.transforms()
    print(f"\nBuilding one batch of {bs}")
    print(f"  Fused: {', '.join(map(repr, fused.transforms)) or 'no transforms'}")
    _print_batch(fused, [datasets.train[i][0] for i in range(min(bs, len(datasets.train)))])


def _print_element(part: Any, samples: Any, row: int, n: int) -> None:
    value = samples.raw(row, n)
    print(f"  {Pipeline(part.type_tfms)}")
    print(f"    starting from {value!r}")
    if part.kind == "image" and not isinstance(value, TensorImage | torch.Tensor | bytes):
        image = value if isinstance(value, Image.Image) else Image.open(value)
        with image:
            print(f"    {type(image).__name__} mode={image.mode} size={image.width}x{image.height}")
    element = part(value)
    shape = f" of size {'x'.join(map(str, element.shape))}" if element.ndim else f"({element.item()})"
    print(f"    gives {type(element).__name__}{shape}")


def _print_batch(fused: Any, images: list[TensorImage]) -> None:
    try:
        unmixed = replace(fused, mixes=())  # what mixes a batch changes no shape
        images_out = [unmixed(image, split="train", keys=i) for i, image in enumerate(images)]
    except OnewarpError as error:
        raise UsageError(f"The transforms cannot be applied: {error}") from error
    shapes = [tuple(image.shape) for image in images_out]
    if len(set(shapes)) > 1:
        listing = ", ".join(map(str, shapes))
        print("Collating items in a batch\nError! It's not possible to collate your items in a batch")
        raise UsageError(
            f"Could not collate the 0-th members of your tuples because got the following shapes\n{listing}\n"
            f"Add item_tfms=Resize(n), or a transform with size=n"
        )
    print(f"  A batch of {len(shapes)} images of size {'x'.join(map(str, shapes[0]))}")
