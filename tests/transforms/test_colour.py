"""Tone and colour: the ancestors' numbers, and each stage of the colour map."""

import colorsys

import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.transforms.colour import (
    Brightness,
    Contrast,
    Gamma,
    Grayscale,
    Hue,
    Invert,
    LinearBrightness,
    Normalize,
    Posterize,
    RandomErasing,
    Saturation,
    Solarize,
)
from onewarp.transforms.draw import draw
from onewarp.transforms.types import TensorImage


def pixel(*rgb):
    return TensorImage(torch.tensor(rgb, dtype=torch.float64)[:, None, None])


def on(transform, *rgb):
    return transform(pixel(*rgb)).flatten().tolist()


def test_brightness_and_contrast_work_on_logits():
    assert on(Brightness(draw=0.6, p=1), 0.3, 0.3, 0.3) == pytest.approx([0.391304] * 3, abs=1e-6)
    assert on(Contrast(draw=2, p=1), 0.3, 0.3, 0.3) == pytest.approx([0.155172] * 3, abs=1e-6)


def test_saturation_blends_the_luma_of_logits():
    assert on(Saturation(draw=0, p=1), 0.2, 0.5, 0.8) == pytest.approx([0.436267] * 3, abs=1e-6)


def test_hue_turns_in_hsv():
    assert on(Hue(draw=0.5, p=1), 0.2, 0.5, 0.8) == pytest.approx([0.8, 0.5, 0.2], abs=1e-6)
    h, s, v = colorsys.rgb_to_hsv(0.9, 0.3, 0.5)
    assert on(Hue(draw=0.1, p=1), 0.9, 0.3, 0.5) == pytest.approx(colorsys.hsv_to_rgb((h + 0.1) % 1, s, v), abs=1e-6)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Gamma(draw=2, p=1), [0.04, 0.25, 0.64]),
        (LinearBrightness(draw=1.5, p=1), [0.3, 0.747, 1.0]),
        (LinearBrightness(draw=0, p=1), [0.0, 0.0, 0.0]),
        (Invert(p=1), [0.8, 0.5, 0.2]),
        (Solarize(0.6, p=1), [0.2, 0.5, 0.2]),
        (Posterize(1, p=1), [0.0, 0.0, 128 / 255]),
        (Grayscale(p=1), [0.2989 * 0.2 + 0.587 * 0.5 + 0.114 * 0.8] * 3),
    ],
)
def test_tables_and_greyscale(transform, expected):
    assert on(transform, 0.2, 0.498, 0.8) == pytest.approx(expected, abs=4e-3)


@pytest.mark.parametrize("transform", [Brightness(0.2), Contrast(0.2), Saturation(0.2)])
def test_draws_stay_in_the_ancestors_ranges(transform):
    params = transform.params(draw(0, 0, range(2000), "test", 2))
    values = next(iter(params.values()))
    none = 0.5 if isinstance(transform, Brightness) else 1.0
    low, high = (0.4, 0.6) if isinstance(transform, Brightness) else (0.8, 1.25)
    assert low <= values.min() < values.max() <= high
    assert (values != none).mean() == pytest.approx(0.75, abs=0.03)
    drawn = values[values != none]
    assert (np.log(drawn) if none == 1 else drawn - 0.5).mean() == pytest.approx(0, abs=0.01)


def test_without_chance_a_picture_stays_to_the_bit():
    image = TensorImage(torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    for transform in (
        Brightness,
        Contrast,
        Saturation,
        Hue,
        Gamma,
        Invert,
        Solarize,
        Posterize,
        Grayscale,
        RandomErasing,
    ):
        assert torch.equal(transform(p=0)(image), image), transform


def test_normalize_and_back():
    normalize = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    image = TensorImage(torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(0)))
    done = normalize(image)
    assert torch.allclose(done[0].plain(), (image[0].plain() - 0.485) / 0.229, atol=1e-5)
    assert torch.allclose(normalize.decode(done), image, atol=1e-6)
    assert type(normalize.decode(done)) is TensorImage
    assert torch.allclose(normalize(image, split="valid"), done)


def test_normalize_learns_from_images():
    images = [TensorImage(torch.rand(3, 20, 20, generator=torch.Generator().manual_seed(i))) for i in range(3)]
    learnt = Normalize().setup(images)
    pixels = torch.cat([i.flatten(1) for i in images], 1).plain()
    assert learnt.mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-6)
    assert learnt.std == pytest.approx(pixels.std(1).tolist(), abs=1e-6)
    with pytest.raises(UsageError, match="call setup"):
        Normalize()(images[0])


def test_random_erasing_makes_a_rectangle_zero():
    image = TensorImage(torch.ones(3, 40, 40))
    shares = []
    for key in range(50):
        erased = RandomErasing(p=1)(image, keys=key)
        hole = erased[0].eq(0)
        rows, columns = hole.any(1), hole.any(0)
        assert hole.sum() == rows.sum() * columns.sum()  # a rectangle
        assert ((erased == 0) | (erased == 1)).all()
        shares.append(float(hole.float().mean()))
    assert 0.01 < min(shares) < max(shares) < 0.34
