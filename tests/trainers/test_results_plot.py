"""Results as a picture: what is right is green, what is wrong is red; masks and points lie where they are."""

from types import SimpleNamespace

import torch

from onewarp.trainers.pictures import RIGHT, WRONG
from onewarp.trainers.results_plot import PREDICTED, TARGET, results

DATA = SimpleNamespace(valid=None)
IMAGES = torch.rand(2, 3, 8, 8)
NAMES = ("cat", "dog", "owl")


def label(decoded):
    if decoded.ndim == 0:
        return NAMES[int(decoded)]
    return [name for name, holds in zip(NAMES, decoded.tolist(), strict=True) if holds]


def titles(figure):
    return [(axes.get_title(), axes.title.get_color()) for axes in figure.axes if axes.get_title()]


def test_a_class_stands_above_what_is_predicted_in_the_colour_of_its_being_right():
    figure = results(DATA, "category", IMAGES, torch.tensor([0, 1]), torch.tensor([0, 2]), label)
    assert titles(figure) == [("cat\ncat", RIGHT), ("dog\nowl", WRONG)]


def test_several_labels_are_right_where_all_of_them_are():
    targets, decoded = torch.tensor([[1, 0, 1], [0, 0, 0]]), torch.tensor([[1, 0, 1], [0, 1, 0]])
    figure = results(DATA, "multicategory", IMAGES, targets, decoded, label)
    assert titles(figure) == [("cat, owl\ncat, owl", RIGHT), ("nothing\ndog", WRONG)]


def test_each_mask_lies_over_its_image_beside_the_one_predicted_in_one_scale():
    targets, decoded = torch.zeros(2, 8, 8, dtype=torch.long), torch.full((2, 8, 8), 3)
    figure = results(DATA, "mask", IMAGES, targets, decoded, label, figsize=(4, 4))
    assert [axes.get_title() for axes in figure.axes] == ["target", "predicted"] * 2
    for axes, level in zip(figure.axes, (0, 3, 0, 3), strict=True):
        _, mask = axes.images
        assert (mask.get_array() == level).all()
        assert mask.get_clim() == (0, 3)


def test_points_are_drawn_in_the_middle_of_their_pixels():
    targets, decoded = torch.tensor([[[0.5, 0.5]], [[4.0, 2.0]]]), torch.tensor([[[1.5, 0.5]], [[4.0, 3.0]]])
    figure = results(DATA, "points", IMAGES, targets, decoded, label)
    for axes, target, answer in zip(figure.axes, targets, decoded, strict=False):
        there, said = axes.collections
        assert there.get_offsets().tolist() == (target - 0.5).tolist()
        assert said.get_offsets().tolist() == (answer - 0.5).tolist()
    from matplotlib.colors import to_hex

    assert [to_hex(c.get_facecolor()[0]) for c in figure.axes[0].collections] == [TARGET, PREDICTED]
