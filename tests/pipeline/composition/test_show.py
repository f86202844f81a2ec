"""Samples as pictures: what can be drawn, and a figure in a notebook once."""

import itertools
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import UsageError
from onewarp.pipeline.composition.show import can_show, displayable, save_picture, show, show_grid
from onewarp.transforms.types import TensorBBox, TensorImage, TensorMask, TensorPoint

NOTEBOOK = """
import json, os
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib_inline.backend_inline import configure_inline_support
import matplotlib.pyplot, torch
from onewarp.pipeline.composition.show import show_grid
from onewarp.transforms.types import TensorImage

shell = InteractiveShell.instance()
configure_inline_support(shell, os.environ["MPLBACKEND"])
matplotlib.pyplot.ion()  # as `%matplotlib inline` does
shell.push({"image": TensorImage(torch.zeros(3, 8, 8, dtype=torch.uint8)), "show_grid": show_grid})

def pictures(cell):
    with capture_output() as out:
        shell.run_cell(cell).raise_error()
    return sum("image/png" in output.data for output in out.outputs)

print(json.dumps([pictures(cell) for cell in ("show_grid([image])", "figure = show_grid([image])", "figure", "1")]))
"""


def test_a_notebook_shows_a_figure_once():
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [1, 1, 1, 0]


def test_an_image_is_displayed_as_bytes():
    assert displayable(torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1)).tolist() == [[[0, 128, 255]]]


BLACK = TensorImage(torch.zeros(3, 8, 8))


@pytest.mark.parametrize(
    ("sample", "shown"),
    [
        (BLACK, True),
        (BLACK + 1, True),
        (BLACK + 1.1, False),
        (BLACK - 0.1, False),
        (TensorImage(torch.full((3, 8, 8), 255, dtype=torch.uint8)), True),
        (TensorImage(torch.zeros(2, 3, 8, 8)), False),
        (TensorMask(torch.zeros(8, 8)), True),
        ("cat", True),
        (["cat", "dog"], True),
        (["cat", 3], False),
        ((), False),
        ((BLACK, "cat"), True),
        ((BLACK + 2, "cat"), False),
        (None, False),
    ],
    ids=itertools.count(),
)
def test_what_can_be_drawn_as_it_is(sample, shown):
    assert can_show(sample) == shown


def test_labels_are_the_title_and_targets_lie_over_the_image():
    points, boxes = TensorPoint(torch.tensor([[2.0, 3.0]])), TensorBBox(torch.tensor([[1.0, 2.0, 5.0, 7.0]]))
    axes = show((BLACK, ["cat", "indoor"], 7, points, boxes, None), title="a.jpg")
    assert axes.get_title() == "a.jpg | cat, indoor | 7"
    assert len(axes.images) == 1
    assert axes.collections[0].get_offsets().tolist() == [[1.5, 2.5]]  # where a pixel's centre is its number
    assert axes.patches[0].get_bbox().extents.tolist() == [0.5, 1.5, 4.5, 6.5]
    assert show(BLACK, axes) is axes
    plt.close("all")


@pytest.mark.parametrize(
    ("count", "grid", "shape"),
    [(1, {}, (1, 1)), (7, {}, (3, 3)), (7, {"nrows": 2}, (2, 4)), (7, {"ncols": 2}, (4, 2)), (0, {}, (1, 1))],
)
def test_a_grid_has_room_for_all_samples(count, grid, shape):
    figure = show_grid([(BLACK, str(i)) for i in range(count)], **grid)
    spec = figure.axes[0].get_subplotspec().get_gridspec()
    assert (spec.nrows, spec.ncols) == shape
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == [str(i) for i in range(count)]
    plt.close("all")


def test_a_picture_is_saved_in_the_format_of_its_name(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    save_picture(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), pixels)
    with pytest.raises(UsageError, match=r"out must end in a format of pictures, as \.png, but got '.*/a\.xyz'"):
        save_picture(pixels, tmp_path / "a.xyz")
    with pytest.raises(FileNotFoundError) as caught:
        save_picture(pixels, tmp_path / "none" / "a.png")
    assert caught.value.filename == str(tmp_path / "none" / "a.png")
