"""Two pictures with what is drawn for them, and the gate that holds contenders to it."""

import platform
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def rows() -> Any:
    """Two smooth pictures of 200 pixels with edges, as photos have them: `uint8[2, 200, 200, 3]`."""
    y, x = np.mgrid[0:200, 0:200] / 200
    wave = np.stack([np.sin(9 * x + 3 * y + k) * np.cos(7 * y - k) for k in range(3)], -1)
    pictures = np.stack([127 + 90 * wave, 127 + 60 * wave + 50 * (x > 0.5)[..., None]])
    return pictures.round().astype(np.uint8)


@pytest.fixture(scope="session")
def plans() -> Any:
    """What is drawn for the pictures: fused, and the same one operation at a time."""
    from onewarp.benchmarks import augment
    from onewarp.transforms.augment import fuse

    sizes, keys = np.full((2, 2), 200), np.arange(2, dtype=np.uint64)
    return [fuse(augment.recipe(), one_by_one=o).plan(sizes, keys, 5, split="train") for o in (False, True)]


@pytest.fixture(scope="session")
def gate(rows: Any, plans: Any) -> Any:
    from onewarp.benchmarks.correctness import Gate
    from onewarp.benchmarks.peers.augmenting import MEAN, STD

    return Gate(rows, *plans, (MEAN, STD))


@pytest.fixture(scope="session")
def shift_plan() -> Callable[[Any, float], Any]:
    """`shift_plan(plan, pixels)`: the plan with its output shifted by so many pixels."""

    def shift(plan: Any, pixels: float) -> Any:
        matrix = np.array([[1, 0, pixels], [0, 1, 0], [0, 0, 1.0]])
        last = max(i for i, step in enumerate(plan.steps) if step.matrix is not None)
        steps = [replace(s, matrix=s.matrix @ matrix) if i == last else s for i, s in enumerate(plan.steps)]
        return replace(plan, steps=tuple(steps))

    return shift


@pytest.fixture(scope="session")
def wave() -> Any:
    """A smooth picture that is known between its pixels too: `uint8[96, 96, 3]`."""
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([127 + 100 * np.sin(x / 5 + k) * np.cos(y / 6) for k in range(3)], -1).round().astype(np.uint8)


@pytest.fixture
def linux() -> None:
    """Skips a test where no system calls can be decided: elsewhere than on Linux on x86-64."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("system calls are decided on Linux on x86-64")


@pytest.fixture
def speed() -> Any:
    """A result of augmenting, of round numbers."""
    from onewarp.benchmarks import augment
    from onewarp.benchmarks.measuring import results

    rates = {("peer", 1): 10.0, (augment.ALONE, 1): 50.0, (augment.FUSED, 1): 1000.0, (augment.FUSED, 2): 1900.0}
    rows: list[Any] = []
    for (name, threads), rate in rates.items():
        quartiles = [0.9 * rate, rate, 1.1 * rate]
        speeds = {"clock": quartiles, "cpu": quartiles}
        rows.append({"name": name, "threads": threads, "status": "measured", "images_per_second": speeds})
    rows += [{"name": "absent", "threads": n, "status": "not installed", "reason": "not installed"} for n in (1, 2)]
    return {**results.about("augment", "cpu", {"batch": 64}), "rows": rows, "asked": augment.goals(rows, 2)}


@pytest.fixture
def loading() -> Any:
    """Groups of a result of loading, of round numbers."""

    def group(reader: str, rate: float, workers: int = 1, state: str = "sequential") -> dict[str, Any]:
        quartiles = {"rows_per_second_clock": [0, rate, 0], "over_copy_clock": [0, rate / 20, 0]}
        return {"reader": reader, "state": state, "workers": workers, **quartiles}

    two = group("onewarp", 24, workers=2)
    return [group("onewarp", 16), two, group("FFCV", 8), group("FFCV", 8, state="scattered")]
