"""What the warp is to make."""

import numpy as np
import pytest
import torch

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec


@pytest.mark.parametrize(
    "settings",
    [
        {"size": (0, 4)},
        {"size": (4,)},
        {"size": (4, 4.5)},
        {"size": (4, 4), "dtype": torch.float16},
        {"size": (4, 4), "layout": "nhwc"},
        {"size": (4, 4), "padding": "mirror"},
        {"size": (4, 4), "padding": (0, 0, 2)},
        {"size": (4, 4), "padding": (0, 0)},
    ],
)
def test_an_output_that_cannot_be_made_is_refused(settings):
    with pytest.raises(WarpError, match="must be"):
        OutSpec(**settings)


def test_a_size_and_a_colour_come_as_plain_numbers():
    spec = OutSpec([np.int64(4), 6.0], padding=[1, 0, 0.5])
    assert (spec.size, spec.padding, spec.fill) == ((4, 6), (1.0, 0.0, 0.5), (1.0, 0.0, 0.5))
    assert [type(side) for side in spec.size] == [int, int]
    assert hash(spec) == hash(OutSpec((4, 6), padding=(1.0, 0.0, 0.5)))


def test_a_pixel_without_a_source_is_black_unless_a_colour_is_given():
    assert {OutSpec((4, 4), padding=padding).fill for padding in ("reflection", "border", "zeros")} == {(0.0, 0.0, 0.0)}


def test_layouts_are_torchs():
    assert OutSpec((4, 4)).memory_format is torch.contiguous_format
    assert OutSpec((4, 4), layout="channels_last").memory_format is torch.channels_last
