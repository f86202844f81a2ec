"""Pictures of images: squares, grids and confusion matrices, as they are drawn."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from onewarp.trainers.pictures import grid, heat, on_square, to_pictures


@pytest.mark.parametrize(("shape", "rows", "columns"), [((2, 6), (2, 4), (0, 6)), ((5, 2), (0, 5), (1, 3))])
def test_an_image_lies_in_the_middle_of_a_white_square(shape, rows, columns):
    square = on_square(np.zeros((*shape, 3), np.uint8))
    side = max(shape)
    assert square.shape == (side, side, 3)
    assert not square[slice(*rows), slice(*columns)].any()
    assert (square == 255).sum() == 3 * (side * side - shape[0] * shape[1])


def test_normalisation_is_taken_back_where_the_data_can():
    class Scaled:
        valid = None

        def denormalize(self, images):
            return images / 2

    images = torch.ones(2, 3, 4, 4)
    (halved, _), (plain, _) = to_pictures(Scaled(), images), to_pictures(SimpleNamespace(valid=None), images)
    assert halved.shape == (4, 4, 3)
    assert set(np.unique(halved)) <= {127, 128}
    assert np.unique(plain).tolist() == [255]


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(1, None, (1, 1)), (5, None, (2, 3)), (6, 2, (3, 2)), (0, None, (1, 1))]
)
def test_a_grid_has_a_place_for_each_image(count, columns, shape):
    images = [np.full((4, 4, 3), i, np.uint8) for i in range(count)]
    figure = grid(images, [f"image {i}" for i in range(count)], columns=columns, colours=["#112233"] * count)
    assert len(figure.axes) == shape[0] * shape[1]
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == shape
    for i, axes in enumerate(figure.axes):
        assert len(axes.images) == (i < count)
        assert axes.get_title() == (f"image {i}" if i < count else "")
        if i < count:
            assert (axes.images[0].get_array() == i).all()
            assert axes.title.get_color() == "#112233"


def test_a_grid_is_as_large_as_its_pictures_and_lines_of_titles():
    images = [np.zeros((4, 4, 3), np.uint8)] * 4
    plain, titled = grid(images, cell=2.0), grid(images, ["two\nlines"] * 4, cell=2.0)
    assert plain.get_figwidth() == titled.get_figwidth() == 4.0
    assert titled.get_figheight() - plain.get_figheight() == pytest.approx(2 * 2 * 0.19)
    assert grid(images, figsize=(3, 5)).get_size_inches().tolist() == [3, 5]


def test_a_confusion_matrix_is_coloured_by_rows_and_has_its_numbers():
    axes = Figure().subplots()
    heat(axes, np.array([[3, 1, 0], [0, 0, 0], [2, 0, 6]]), ["a", "b", "c"], "title")
    shares = axes.images[0].get_array()
    assert shares.tolist() == [[0.75, 0.25, 0], [0, 0, 0], [0.25, 0, 0.75]]  # a class without images is no division
    words = {(text.get_position(), text.get_text()): text.get_color() for text in axes.texts}
    assert words == {
        ((0, 0), "3"): "white", ((1, 0), "1"): "#1c2733", ((0, 2), "2"): "#1c2733", ((2, 2), "6"): "white"
    }  # fmt: skip
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("predicted", "actual", "title")
