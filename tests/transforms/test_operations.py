"""Rows that nobody chose, of every operation: C++ carries them out as numpy does. What is no row is refused."""

import numpy as np
import pytest

from onewarp.errors import UsageError
from onewarp.transforms import fuse
from onewarp.transforms.fusion import make_plan
from onewarp.transforms.geometric_operations import AFFINE, CROP
from onewarp.transforms.operations import constant
from onewarp.transforms.random_transform import sample_keys
from onewarp.transforms.warp import native

SIZES = np.array([(300, 400), (400, 300), (64, 65), (64, 64)])
KEYS = ["a", "b", "c", "d"]


def close(found, expected):
    return found.shape == expected.shape and np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.skipif(native.extension is None, reason=str(native.absence))
@pytest.mark.parametrize("seed", range(200))
def test_cpp_does_what_numpy_does(seed, random_recipe):
    fused, hashes = fuse(random_recipe(seed)), sample_keys(KEYS, 4)
    planner, resamplings = fused._native_planner("train"), sum(segment.kind == "warp" for segment in fused.segments)
    assert (planner is None) == (resamplings > 1)
    if planner is None:
        return
    how = {"segments": fused.segments, "names": fused.names, "seed": seed, "split": "train"}
    expected = make_plan(fused.transforms, SIZES, hashes, **how)
    for here, there in zip(planner.plan(SIZES, hashes, seed, 0).steps, expected.steps, strict=True):
        assert (here.size, here.padding, set(here.colour)) == (there.size, there.padding, set(there.colour))
        assert here.matrix is None or close(here.matrix, there.matrix)
        assert all(close(here.colour[stage], there.colour[stage]) for stage in here.colour)


def test_a_row_takes_the_numbers_of_its_operation():
    with pytest.raises(UsageError, match=r"AFFINE takes degrees, .* and must have nothing, but got turns"):
        AFFINE.row(turns=constant(1))
    with pytest.raises(UsageError, match="CROP takes x, y, and must have x, y, but got x"):
        CROP.row(x=constant(0.5))
