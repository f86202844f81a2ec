"""Random numbers in C++ held to those of numpy; what is drawn into is as long as it has to be."""

import os

import numpy as np
import pytest

from onewarp.errors import WarpError
from onewarp.transforms import Normalize, Rotate, draw, fuse
from onewarp.transforms.op_table import OpTable, compile_table
from onewarp.transforms.warp import cpu_draws, native

if native.extension is None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have the C++ extension: {native.absence}")
    pytest.skip(native.absence, allow_module_level=True)


def test_philox_agrees_with_the_draws():
    counters = np.random.default_rng(0).integers(0, 2**32, (1000, 4), np.uint32)
    for key in ((0, 0), (0xFFFFFFFF, 0x12345678)):
        assert np.array_equal(cpu_draws.philox(counters, key), draw.philox(counters, key))
    assert np.array_equal(cpu_draws.philox(counters[::2], (3, 4)), draw.philox(counters[::2], (3, 4)))
    assert cpu_draws.philox(counters[:0], (1, 2)).shape == (0, 4)
    with pytest.raises(WarpError, match="counters must be"):
        cpu_draws.philox(counters[:, :3], (1, 2))


def test_numbers_that_have_another_length_are_refused():
    counters = np.zeros((8, 4), np.uint32)
    for out in (np.zeros(4, np.uint32), np.zeros((9, 4), np.uint32), np.zeros(127, np.uint8)):
        with pytest.raises(ValueError, match="as many words out as in"):
            native.extension.philox(counters, 0, 0, out)
    with pytest.raises(ValueError, match="four words"):
        native.extension.philox(np.zeros(6, np.uint32), 0, 0, np.zeros(6, np.uint32))


@pytest.mark.parametrize("short", ["floats", "sizes", "keys", "matrix", "colour"])
def test_parameters_that_have_another_length_are_refused(short):
    fused = fuse([Rotate(), Normalize((0.5,) * 3, (0.2,) * 3)])
    table = compile_table(fused.transforms, fused.names, fused.segments, "train")
    assert isinstance(table, OpTable)
    arrays = {
        "integers": table.integers,
        "floats": table.floats,
        "sizes": np.full((5, 2), 40.0),
        "keys": np.arange(5, dtype=np.uint64),
        "matrix": np.zeros((5, 3, 3)),
        "colour": np.zeros((1, 5, 3, 4)),
    }
    native.extension.draw(**arrays, stream=(0, 0), size=(40, 40))
    assert arrays["matrix"].any()
    arrays[short] = arrays[short].reshape(-1)[:-1].copy()
    arrays["matrix"] *= 0
    with pytest.raises(ValueError, match=r"must (be|have)"):
        native.extension.draw(**arrays, stream=(0, 0), size=(40, 40))
    assert not arrays["matrix"].any()
