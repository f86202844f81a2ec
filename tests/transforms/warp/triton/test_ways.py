"""Every way in which a tile is done, in each of the kernels that the compiler makes: each has code of its own."""

import itertools
import os
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from onewarp.transforms.warp import OutSpec, gpu, reference
from onewarp.transforms.warp.gpu_tiles import BYTES, CAREFUL, COPY, EDGE, FILL
from onewarp.transforms.warp.packed import Packed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
SIZE = (40, 36)
"""Of the output: two rows of two tiles, all but one of them cut off."""
HIGH = 60
TOLERANCES = {torch.float32: 0.1 / 255, torch.bfloat16: 2.0**-8, torch.uint8: 1.001 / 255}
"""Of the largest difference; a float32 is .036 of a level off at most, also where approximations are at their worst."""
WAYS = {
    "inside": (0.8, 0.25, 8, -0.2, 0.9, 12, 0.001, 0.002, 1),
    "inside, a plane": (0.5, 0.25, 8, -0.2, 0.6, 12, 0, 0, 1),
    "magnified": (-0.12, 0.02, 30, 0.03, 0.15, 20, 0, 0.001, 1),
    "over an edge": (0.9, -0.4, 5, 0.5, 1.1, -13, -0.002, 0.003, 1),
    "over the other edge": (1.3, 0.6, 25, -0.5, 1.4, 31, 0.001, 0, 1),
    "divided": (1.6, 0.9, -20, -1.7, 3.2, 9, 0.003, 0.002, 1),
    "far away": (1.0, 0.25, 9000, -0.125, 1, -9100, 0, 0, 1),
    "far away, divided": (3.1, 0.25, 9000, -1.125, 2, -9100, 0, 0, 1),
    "behind it": (1, 0, 0, 0, 1, 0, 0, 0, -1),
    "near the horizon": (-0.232, -0.252, 20.0, -0.183, -0.183, 15.0, -0.012, -0.0128, 1.0),
    "over the horizon": (0.09, 0.03, 2, -0.02, 0.07, 3, -0.01, -0.019, 1),
    "beyond what float32 can count": (1.0, 0.25, 3e9, -0.125, 1, -2e9, 0, 0, 1),
    "turned": (0, 1, 3, -1, 0, 50, 0, 0, 1),
    "moved": (1, 0, -7, 0, 1, 31, 0, 0, 1),
    "the last one, over an edge, in part near the horizon": (
        -0.676,
        -0.7324,
        58.0,
        -0.59,
        -0.61,
        50.0,
        -0.012,
        -0.0128,
        1.0,
    ),
}
TINY = [(1, 1), (3, 2), (2, 90)]
"""Heights and widths of images that are smaller than the window of a filter."""
FLAGS = {"copy": COPY, "careful": CAREFUL, "edge": EDGE, "bytes": BYTES, "nothing": FILL}


@dataclass(frozen=True)
class Kind:
    """What decides which kernel is compiled."""

    padding: object = "reflection"
    antialias: bool = True
    source: str = "bytes"
    width: int = 64
    stages: tuple[str, ...] = ()
    diagonal: bool = False
    wide: bool = False
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """Whatever is not as usual."""
        usual = Kind()
        other = [f"{k}={v}" for k, v in vars(self).items() if v != getattr(usual, k)]
        return " ".join(other).replace("torch.", "") or "usual"


PADDINGS, SOURCES = ("reflection", "border", (0.2, 0.4, 0.6)), ("bytes", "packed", "floats")
KINDS = [
    *(Kind(*one) for one in itertools.product(PADDINGS, (True, False), SOURCES)),
    *(Kind(antialias=antialias, width=61) for antialias in (True, False)),
    *(Kind(antialias=antialias, stages=("logit",), diagonal=True) for antialias in (True, False)),
    *(Kind(padding, antialias, wide=True) for padding in PADDINGS[1:] for antialias in (True, False)),
    Kind(stages=("logit",)),
    Kind(stages=("hue", "table")),
    Kind(stages=("logit", "hue", "table", "erase")),
    Kind("border", source="packed", stages=("logit", "table", "erase")),
    Kind(width=61, stages=("logit", "erase"), dtype=torch.uint8),
    Kind(dtype=torch.bfloat16),
    Kind(dtype=torch.uint8),
]  # fmt: skip


def ways(kind: Kind) -> dict[str, tuple[float, ...]]:
    """The maps for a kind: a filter takes the most samples across the horizon, too many to be interpreted so often."""
    return {name: h for name, h in WAYS.items() if not (kind.antialias and name == "over the horizon")}


def pictures(kind: Kind) -> Tensor | Packed:
    """Noise, which shows every pixel that is not the right one; not too near to black and white for a steep map."""
    generator, least = torch.Generator().manual_seed(0), 40 if "logit" in kind.stages else 0
    size = (len(ways(kind)), HIGH, kind.width, 3)
    images = torch.randint(least, 256 - least, size, dtype=torch.uint8, generator=generator)
    if kind.source == "floats":
        return images.float() / 255
    if kind.source == "bytes":
        return images
    sizes = torch.tensor([[HIGH, kind.width]] * len(ways(kind)) + TINY).int()
    lengths = 3 * sizes.long().prod(1)
    data = torch.randint(least, 256 - least, (int(lengths.sum()),), dtype=torch.uint8, generator=generator)
    return Packed(data, lengths.cumsum(0) - lengths, sizes)


def colours(kind: Kind, count: int) -> dict[str, Tensor]:
    """The parameters of a colour map: mild enough for the tolerance of what they map."""
    generator = torch.Generator().manual_seed(1)
    logit = torch.eye(3, 4) * 0.8 + 0.1 * torch.randn(count, 3, 4, generator=generator)
    colour = torch.eye(3, 4) * 0.7 + 0.1 * torch.randn(count, 3, 4, generator=generator)
    if kind.diagonal:
        logit, colour = (m * (torch.eye(3, 4) + torch.tensor([0.0, 0, 0, 1])) for m in (logit, colour))
    every = {
        "logit": logit,
        "hue": torch.rand(count, generator=generator) * 4 - 2,
        "table": torch.linspace(0, 1, 256).flip(0).repeat(count, 1),
        "erase": torch.tensor([[3.2, 1, 19.5, 35, 0.1, 0.2, 0.3]]).repeat(count, 1),
    }
    if kind.dtype == torch.uint8:  # black, where no colour is said
        every["erase"] = every["erase"][:, :4].contiguous()
    return {"colour": colour, **{name: every[name] for name in kind.stages}}


def differences(images: Tensor | Packed, homography: Tensor, kind: Kind, size: tuple[int, int]) -> Tensor:
    """The largest difference from the reference of each pixel for which it is certain, as a share of 255 levels."""
    parameters = colours(kind, len(images))
    exact = OutSpec(size, torch.float64, padding=kind.padding, antialias=kind.antialias)
    expected = reference.warp(
        images, homography, parameters.pop("logit", None), parameters.pop("colour"), exact, **parameters
    )
    parameters = {name: value.to(DEVICE) for name, value in colours(kind, len(images)).items()}
    found = gpu.warp(
        sent(images), homography.to(DEVICE), parameters.pop("logit", None), parameters.pop("colour"),
        OutSpec(size, kind.dtype, padding=kind.padding, antialias=kind.antialias), diagonal=kind.diagonal, **parameters,
    ).cpu().double()  # fmt: skip
    v, u = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    h = homography[:, 2, :, None, None].double()
    w = h[:, 0] * u + h[:, 1] * v + h[:, 2]
    certain = (w > 0.05) | (w < -0.05)  # between, sub-pixels of one pixel fall on both sides
    if kind.dtype == torch.uint8:
        found, expected = found / 255, (expected.clamp(0, 1) * 255).round() / 255
    return (found - expected).abs().amax(1)[certain]


def sent(images: Tensor | Packed) -> Tensor | Packed:
    """The images on the device."""
    return Packed(*(x.to(DEVICE) for x in vars(images).values())) if isinstance(images, Packed) else images.to(DEVICE)


@pytest.fixture
def kind(request, monkeypatch) -> Kind:
    """A kind; where it is of gigabytes of images, few pass for as many."""
    if request.param.wide:
        monkeypatch.setattr(gpu._Source, "total", property(lambda _: 2**31))
    return request.param


each_kind = pytest.mark.parametrize(
    "kind", KINDS[:1] if INTERPRETED else KINDS, ids=lambda kind: kind.name, indirect=True
)


@each_kind
def test_every_way_is_the_references(kind):
    images = pictures(kind)
    homography = torch.tensor([*ways(kind).values()]).reshape(-1, 3, 3)
    few = torch.tensor([[(0.1, 0.02, 0.2), (0.01, 0.1, -0.3), (0, 0, 1.0)]])
    homography = torch.cat([homography, few.repeat(len(images) - len(homography), 1, 1)])
    if kind.source == "bytes":
        words = gpu.tile_words(sent(images), homography.to(DEVICE), SIZE)[:, :4].cpu()
        for name, flag in FLAGS.items():
            assert (words & flag.value).any(), f"no tile is {name}"
            assert not (words & flag.value).all(), f"every tile is {name}"
        assert ((words & 15) > 1).any()
    assert differences(images, homography, kind, SIZE).max() < TOLERANCES[kind.dtype]


@each_kind
@pytest.mark.parametrize("high", [1, 2])
def test_images_smaller_than_a_filter_are_continued_as_often_as_it_takes(kind, high):
    """All of one size: those of many sizes are among the others."""
    wide = 4 if kind.width % 4 == 0 else 5 - 2 * high  # rows begin at the same byte of a word, or not
    generator = torch.Generator().manual_seed(high)
    images = torch.randint(40, 216, (3, high, wide, 3), dtype=torch.uint8, generator=generator)
    images = images.float() / 255 if kind.source == "floats" else images
    images = Packed.of([*images.numpy()]) if kind.source == "packed" else images
    over = (high + 6) / 9, (wide + 6) / 10  # from three pixels before the image to three behind it
    maps = [
        (over[1], 0, -3, 0, over[0], -3, 0, 0, 1), (0.1, 0.9, -3, 0.8, 0.1, -4, 0, 0, 1),
        (over[1], 0.1, -3, -0.1, over[0], -3, 0.01, 0.02, 1),
    ]  # fmt: skip
    off = differences(images, torch.tensor(maps).reshape(-1, 3, 3), kind, (9, 10))
    assert off.max() < TOLERANCES[kind.dtype]
