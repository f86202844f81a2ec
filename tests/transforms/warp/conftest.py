"""The one table of tolerances, and random warps to hold back ends to the reference with."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from onewarp.transforms.warp import OutSpec, reference
from onewarp.transforms.warp.packed import Packed

LEVEL = 1 / 255
TOLERANCES = {
    # of the output: (largest difference, largest mean difference), in the units of RGB in 0..1
    torch.float32: (LEVEL, 2e-4),
    torch.bfloat16: (1.5 * LEVEL, 1e-3),  # 8 bits: half a unit in the last place is 2^-8 at 1
    torch.uint8: (1.001 * LEVEL, 2e-4),
}
LEAST_W = 1e-3


@dataclass(frozen=True)
class Case:
    """Arguments of one warp."""

    images: Tensor | Packed
    homography: Tensor
    logit: Tensor | None
    colour: Tensor
    out: OutSpec
    hue: Tensor | None = None
    table: Tensor | None = None
    erase: Tensor | None = None

    def run(self, warp: Any, **settings: Any) -> Tensor:
        """What this warp makes of it."""
        parameters = {"hue": self.hue, "table": self.table, "erase": self.erase}
        result: Tensor = warp(self.images, self.homography, self.logit, self.colour, self.out, **parameters, **settings)
        return result


def random_homographies(count: int, source: tuple[int, int], size: tuple[int, int], wild: bool, g: Any) -> Tensor:
    """Turned, stretched, tilted; the output's centre lands somewhere in the source. Wild ones reach the horizon."""
    reach, tilt = (4.0, 4.0) if wild else (1.0, 0.6)
    angle = torch.rand(count, generator=g, dtype=torch.float64) * 2 * math.pi
    stretch = ((torch.rand(count, 2, generator=g, dtype=torch.float64) - 0.4) * reach).exp()
    h = torch.zeros(count, 3, 3, dtype=torch.float64)
    h[:, 0, 0], h[:, 0, 1] = angle.cos() * stretch[:, 0], -angle.sin() * stretch[:, 1]
    h[:, 1, 0], h[:, 1, 1] = angle.sin() * stretch[:, 0], angle.cos() * stretch[:, 1]
    h[:, 2, :2] = (torch.rand(count, 2, generator=g, dtype=torch.float64) - 0.5) / max(size) * tilt
    h[:, 2, 2] = 1
    centre = torch.tensor([size[1] / 2, size[0] / 2], dtype=torch.float64)
    target = torch.rand(count, 2, generator=g, dtype=torch.float64) * torch.tensor([source[1], source[0]])
    w = h[:, 2, :2] @ centre + 1
    h[:, :2, 2] = target * w[:, None] - h[:, :2, :2] @ centre
    return h.float()


def random_case(
    seed: int, count: int, source: tuple[int, int], out: OutSpec, wild: bool = False, lighting: str = "full"
) -> Case:
    """Noise under random homographies and colour maps; `lighting` is full, diagonal or none."""
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *source, 3), dtype=torch.uint8, generator=g)
    logit = None
    if lighting == "full":
        logit = torch.eye(3, 4) + 0.4 * (torch.rand(count, 3, 4, generator=g) - 0.5)
    elif lighting == "diagonal":
        logit = torch.eye(3, 4) * (0.7 + 0.6 * torch.rand(count, 1, 1, generator=g))
        logit[..., 3] = torch.rand(count, 1, generator=g) - 0.5
    colour = torch.eye(3, 4) + 0.2 * (torch.rand(count, 3, 4, generator=g) - 0.5)
    return Case(images, random_homographies(count, source, out.size, wild, g), logit, colour, out)


def check_against_reference(case: Case, result: Tensor) -> None:
    """`result` agrees with the reference to the table above, wherever w is not close to zero."""
    assert result.dtype == case.out.dtype
    assert result.shape == (len(case.images), 3, *case.out.size)
    assert result.is_contiguous(memory_format=case.out.memory_format)
    unit = 255.0 if case.out.dtype == torch.uint8 else 1.0
    expected = replace(case, out=replace(case.out, dtype=torch.float64)).run(reference.warp)
    if case.out.dtype == torch.uint8:
        expected = (expected * 255).round().clamp(0, 255) / 255
    height, width = case.out.size
    h = case.homography.double()[:, :, :, None, None]
    v, u = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5
    seen = (h[:, 2, 0] * u + h[:, 2, 1] * v + h[:, 2, 2] > LEAST_W)[:, None].expand_as(expected)
    assert not result.isnan().any()
    difference = (result.double() / unit - expected).abs()[seen]
    largest, mean = TOLERANCES[case.out.dtype]
    if difference.numel():
        assert difference.max() <= largest, f"{difference.max() * 255:.3f} grey levels"
        assert difference.mean() <= mean, f"{difference.mean() * 255:.4f} grey levels on average"


@pytest.fixture(scope="session")
def make_case() -> Any:
    """`random_case`."""
    return random_case


@pytest.fixture(scope="session")
def agrees() -> Any:
    """`check_against_reference`."""
    return check_against_reference
