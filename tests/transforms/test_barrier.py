"""What cannot fuse comes from kornia, with draws as reproducible as all others."""

import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.augment import explain, fuse
from onewarp.transforms.barrier import Kornia
from onewarp.transforms.colour import Normalize
from onewarp.transforms.geometry import Rotate, Zoom
from onewarp.transforms.types import TensorImage

BLUR = Kornia("RandomGaussianBlur", {"kernel_size": (5, 5), "sigma": (0.5, 2.0)})


def image(seed=0):
    return TensorImage(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed)))


def test_it_is_a_barrier_that_explain_names():
    told = explain([Rotate(), BLUR, Zoom()])
    assert (told.resamplings, told.barriers) == (2, ("Kornia",))


def test_the_same_key_gives_the_same_picture_and_another_key_another():
    assert torch.equal(BLUR(image(), keys="a"), BLUR(image(), keys="a"))
    assert not torch.equal(BLUR(image(), keys="a"), BLUR(image(), keys="b"))


def test_a_sample_does_not_depend_on_its_batch_and_the_global_generator_stays():
    batch = torch.stack([image(i).plain() for i in range(3)])
    before = torch.get_rng_state()
    whole = BLUR(TensorImage(batch), keys=list("abc"))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(whole[1], BLUR(TensorImage(batch[1]), keys="b"))


def test_it_blurs_within_a_run_and_keeps_the_dtype():
    plain, blurred = fuse([Rotate(), Zoom()]), fuse([Rotate(), Zoom(), BLUR])
    assert blurred(image(), keys="a").std() < plain(image(), keys="a").std()
    assert BLUR(TensorImage(torch.zeros(3, 8, 8, dtype=torch.uint8)), keys="a").dtype == torch.uint8


def test_validation_is_left_alone_unless_asked():
    assert torch.equal(BLUR(image(), split="valid"), image())
    always = Kornia("RandomGaussianBlur", {"kernel_size": (5, 5), "sigma": (1.0, 1.0)}, on=None)
    assert not torch.equal(always(image(), split="valid", keys="a"), image())


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="RandomBlurr"):
        Kornia("RandomBlurr")


def test_arguments_that_kornia_does_not_know_are_refused_when_it_is_made():
    with pytest.raises(UsageError, match=r"RandomGaussianBlur cannot be made with \{'sigmas': 3\}"):
        Kornia("RandomGaussianBlur", {"sigmas": 3})


def test_what_mixes_images_is_refused():
    with pytest.raises(UsageError, match=r"RandomMixUpV2 mixes several images.*use MixUp or CutMix"):
        Kornia("RandomMixUpV2")


def test_colours_stay_in_their_range_and_come_in_it():
    noise = Kornia("RandomGaussianNoise", {"std": 2.0})
    noisy = noise(image(), keys="a")
    assert noisy.min() == 0
    assert noisy.max() == 1
    with pytest.raises(UsageError, match=r"must be in 0..1, but got"):
        noise(TensorImage(image() * 255), keys="a")
    with pytest.raises(UsageError, match="Normalize must come after Kornia"):
        fuse([Rotate(), Normalize((0.5,) * 3, (0.2,) * 3), noise])
