"""What fuses, and why not: segments with their reasons, equal to transforms one after the other on the same draws."""

import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.augment import aug_transforms, explain, fuse
from onewarp.transforms.colour import (
    Brightness,
    Contrast,
    Gamma,
    Grayscale,
    Hue,
    Normalize,
    RandomErasing,
    Saturation,
    Solarize,
)
from onewarp.transforms.geometry import Rotate, Zoom
from onewarp.transforms.types import TensorImage

STATISTICS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize("size", [64, None])
@pytest.mark.parametrize("key", ["a.jpg", "b.jpg", "c.jpg"])
def test_fused_equals_one_at_a_time_on_the_same_draws(key, size, smooth):
    transforms = aug_transforms(size=size, max_lighting=0.3, xtra_tfms=[Saturation(), Hue(), Gamma()])
    image = smooth()
    together = fuse(transforms)(image, keys=key, epoch=3, seed=7)
    alone = image
    for t in transforms:
        alone = t(alone, keys=key, epoch=3, seed=7)
    middle = slice(together.shape[-1] // 4, -together.shape[-1] // 4)  # away from what each operation invents
    assert (together - alone)[..., middle, middle].abs().max() < 0.02


def test_one_by_one_is_the_naive_way_on_the_same_draws(smooth):
    transforms = aug_transforms(size=64)
    naive = fuse(transforms, one_by_one=True)
    image = smooth()
    alone = image
    for t in transforms:
        alone = t(alone, keys="k", seed=5)
    assert torch.allclose(naive(image, keys="k", seed=5), alone, atol=1e-5)
    assert [s.kind for s in naive.segments].count("warp") == 4


def test_colours_in_the_order_of_the_stages_are_one_map():
    transforms = [
        Brightness(),
        Rotate(),
        Contrast(),
        Hue(),
        Zoom(),
        Solarize(),
        Grayscale(),
        Normalize((0.5,) * 3, (0.2,) * 3),
    ]
    assert [s.kind for s in fuse([*transforms, RandomErasing()]).segments] == ["warp"]


def test_colours_out_of_order_make_a_second_pointwise_step_and_geometry_passes_it():
    segments = fuse([Solarize(), Brightness(), Rotate()]).segments
    assert [(s.kind, s.operations) for s in segments] == [("warp", (0, 2)), ("colour", (1,))]
    assert segments[1].reason == "Brightness is a map of LOGIT, and TABLE has been passed"


def test_a_second_pointwise_step_is_exact(smooth):
    image = smooth()
    transforms = [Solarize(0.5, p=1), Brightness(draw=0.7, p=1)]
    alone = transforms[1](transforms[0](image))
    assert torch.allclose(fuse(transforms)(image), alone, atol=1e-6)


def test_what_cannot_fuse_is_a_barrier_with_its_reason(smooth):
    def blur(x: TensorImage):
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1)

    told = explain([Rotate(), blur, Zoom(), Brightness()])
    assert (told.resamplings, told.barriers) == (2, ("FunctionTransform",))
    assert "neither a homography nor a colour map" in str(told)
    assert fuse([Rotate(), blur, Zoom(), Brightness()])(smooth(), keys="a").shape == (3, 96, 96)


def test_no_step_begins_behind_normalize():
    def blur(x: TensorImage):
        return x

    normalize = Normalize((0.5,) * 3, (0.2,) * 3)
    fuse([normalize, Rotate(), RandomErasing()])  # one step
    singly = fuse([Rotate(), normalize, RandomErasing()], one_by_one=True)
    assert [run.operations for run in singly.segments] == [(0,), (1, 2)]
    fuse([Rotate(), normalize, blur])  # nothing behind it that takes colours in 0..1
    with pytest.raises(UsageError, match=r"Normalize must come after Rotate, .* \(it follows a barrier\)"):
        fuse([normalize, blur, Rotate()])
    with pytest.raises(UsageError, match="Normalize must come after Brightness"):
        fuse([normalize, Brightness()])


def test_what_was_erased_moves_with_the_image_and_paddings_do_not_mix():
    assert [s.kind for s in fuse([RandomErasing(), Rotate()]).segments] == ["warp", "warp"]
    assert [s.kind for s in fuse([Rotate(pad_mode="zeros"), Zoom()]).segments] == ["warp", "warp"]


def test_normalising_twice_is_refused_and_so_is_what_acts_on_normalised_colours():
    normalize = Normalize(**STATISTICS)
    with pytest.raises(UsageError, match="Normalize must come after Normalize, and once"):
        fuse([normalize, normalize])
    with pytest.raises(UsageError, match="Normalize must come after Grayscale, and once"):
        fuse([normalize, Grayscale()])
    fuse([Grayscale(), normalize, RandomErasing()])
