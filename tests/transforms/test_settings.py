"""Settings: what cannot be is refused when a transform is made, and what can be never makes a number that is none."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import onewarp.transforms as ours
from onewarp.errors import UsageError
from onewarp.transforms import (
    Affine,
    Brightness,
    Contrast,
    CutMix,
    Dihedral,
    Flip,
    Gamma,
    Grayscale,
    Homography,
    Hue,
    Invert,
    LinearBrightness,
    MixUp,
    Normalize,
    Posterize,
    RandomErasing,
    RandomResizedCrop,
    Resize,
    Rotate,
    Saturation,
    ShearX,
    Solarize,
    TensorImage,
    Warp,
    Zoom,
    aug_transforms,
    fuse,
    rand_augment,
    trivial_augment,
)
from onewarp.transforms.colour import Pointwise
from onewarp.transforms.fusible import Geometric

NAN, INF = math.nan, math.inf


def number(low, high):
    return st.floats(low, high, allow_nan=False)


def pair(low, high):
    return st.tuples(number(low, high), number(low, high)).map(lambda p: tuple(sorted(p)))


P = number(0, 1)
SIZE = st.none() | st.integers(1, 40) | st.tuples(st.integers(1, 40), st.integers(1, 40))
PAD = st.sampled_from(["reflection", "border", "zeros", (0.2, 0.4, 1.0)])
PLACED = {"p": P, "size": SIZE, "pad_mode": PAD, "batch": st.booleans()}
LEGAL = {
    Flip: {**PLACED, "draw": st.none() | number(-1, 1)},
    Dihedral: {**PLACED, "draw": st.none() | st.integers(0, 7)},
    Rotate: {**PLACED, "max_deg": number(-720, 720), "draw": st.none() | number(-720, 720)},
    Zoom: {**PLACED, "min_zoom": number(0.05, 1), "max_zoom": number(1, 20), "draw_x": st.none() | number(-1, 2)},
    Warp: {**PLACED, "magnitude": number(0, 0.49), "draw_x": st.none() | number(-0.5, 0.5)},
    Affine: {
        "p": P,
        "size": SIZE,
        "max_deg": number(-180, 180),
        "translate": st.tuples(number(-1, 1), number(-1, 1)),
        "scale": pair(0.05, 20),
        "shear": number(-89, 89) | st.tuples(number(-89, 89), number(-89, 89)),
    },
    ShearX: {**PLACED, "max_deg": number(-89, 89), "draw": st.none() | number(-89, 89)},
    Resize: {"size": st.integers(1, 60), "method": st.sampled_from(["crop", "squish", "pad"]), "pad_mode": PAD},
    RandomResizedCrop: {"size": st.integers(1, 60), "min_scale": number(0.001, 1), "ratio": pair(0.01, 100)},
    Homography: {"size": SIZE},
    Brightness: {"p": P, "max_lighting": P, "draw": st.none() | P},
    Contrast: {"p": P, "max_lighting": number(0, 0.999), "draw": st.none() | number(0, 20)},
    Saturation: {"p": P, "max_lighting": number(0, 0.999), "factor": st.none() | pair(0, 3)},
    Hue: {"p": P, "max_hue": number(-3, 3)},
    Gamma: {"p": P, "max_gamma": number(0.01, 100), "draw": st.none() | number(0.01, 100)},
    LinearBrightness: {"p": P, "factor": pair(0, 5), "draw": st.none() | number(0, 5)},
    Invert: {"p": P},
    Solarize: {"p": P, "threshold": P | pair(0, 1)},
    Posterize: {"p": P, "bits": number(0, 8) | pair(0, 8)},
    Grayscale: {"p": P},
    Normalize: {"mean": st.tuples(P, P, P), "std": st.tuples(*[number(0.001, 1)] * 3)},
    RandomErasing: {"p": P, "area": pair(0, 1), "ratio": pair(0.01, 100)},
}

ILLEGAL = [
    (Flip, {"p": 1.5}),
    (Flip, {"p": NAN}),
    (Flip, {"p": "often"}),
    (Flip, {"pad_mode": (2, 0, 0)}),
    (Flip, {"size": 0}),
    (Flip, {"size": 3.5}),
    (Flip, {"size": (3, 4, 5)}),
    (Flip, {"mode": "cubic"}),
    (Dihedral, {"draw": 8}),
    (Dihedral, {"draw": [0, 9]}),
    (Rotate, {"max_deg": NAN}),
    (Rotate, {"max_deg": "30"}),
    (Rotate, {"draw": INF}),
    (Zoom, {"min_zoom": 0, "max_zoom": 0}),
    (Zoom, {"min_zoom": 1.2, "max_zoom": 1.1}),
    (Zoom, {"draw": 0}),
    (Zoom, {"draw_x": NAN}),
    (Warp, {"magnitude": 1.0}),
    (Warp, {"magnitude": 0.5}),
    (Warp, {"draw_x": 0.7, "draw_y": 0.7}),
    (Affine, {"scale": (0, 0)}),
    (Affine, {"scale": (2, 1)}),
    (Affine, {"scale": 2}),
    (Affine, {"shear": 90}),
    (Affine, {"shear": (1, 2, 3)}),
    (Affine, {"translate": 0.1}),
    (ShearX, {"max_deg": 90}),
    (ShearX, {"draw": [0, -90]}),
    (Resize, {"method": "stretch"}),
    (Resize, {"size": -1}),
    (RandomResizedCrop, {"ratio": (0, 0)}),
    (RandomResizedCrop, {"ratio": (2, 1)}),
    (RandomResizedCrop, {"min_scale": 0}),
    (RandomResizedCrop, {"min_scale": 0.9, "max_scale": 0.5}),
    (RandomResizedCrop, {"val_xtra": -1}),
    (Homography, {"matrix": ((1, 0), (0, 1))}),
    (Homography, {"matrix": ((1, 0, 0), (1, 0, 0))}),
    (Homography, {"matrix": ((NAN, 0, 0), (1, 0, 0))}),
    (Brightness, {"max_lighting": 1.5}),
    (Brightness, {"draw": 2}),
    (Contrast, {"max_lighting": 1.0}),
    (Contrast, {"factor": (2, 1)}),
    (Saturation, {"max_lighting": -0.1}),
    (Hue, {"max_hue": INF}),
    (LinearBrightness, {"factor": (-0.1, 1)}),
    (LinearBrightness, {"factor": (2, 1)}),
    (LinearBrightness, {"draw": -1}),
    (Gamma, {"max_gamma": 0.0}),
    (Gamma, {"max_gamma": -1}),
    (Gamma, {"draw": 0}),
    (Invert, {"p": 2}),
    (Solarize, {"threshold": 128}),
    (Solarize, {"threshold": (0.8, 0.2)}),
    (Posterize, {"bits": 99}),
    (Posterize, {"bits": (-1, 4)}),
    (Grayscale, {"p": -1}),
    (Normalize, {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}),
    (Normalize, {"mean": (0.5,) * 3, "std": (0, 0, 0)}),
    (Normalize, {"mean": (0.5,) * 3}),
    (Normalize, {"mean": 0.5, "std": 0.2}),
    (RandomErasing, {"ratio": (-1, 2)}),
    (RandomErasing, {"area": (0.5, 0.1)}),
    (MixUp, {"alpha": 0}),
    (MixUp, {"alpha": NAN}),
    (CutMix, {"classes": 0}),
]


@pytest.mark.parametrize(("kind", "given_settings"), ILLEGAL, ids=lambda v: getattr(v, "__name__", str(v)))
def test_what_cannot_be_is_refused_when_it_is_made(kind, given_settings):
    with pytest.raises(UsageError, match="|".join(given_settings)):
        kind(**given_settings)


def test_every_fusible_transform_has_legal_and_illegal_settings_here():
    public = [getattr(ours, name) for name in ours.__all__]
    kinds = {c for c in public if isinstance(c, type) and issubclass(c, Geometric | Pointwise)} - {Geometric, Pointwise}
    assert kinds == set(LEGAL)
    with_settings = {c for c in kinds if dataclasses.fields(c)}
    assert with_settings <= {kind for kind, _ in ILLEGAL}


@st.composite
def legal(draw):
    kind = draw(st.sampled_from(sorted(LEGAL, key=lambda c: c.__name__)))
    fields = LEGAL[kind]
    chosen = draw(st.sets(st.sampled_from(sorted(fields)))) | ({"mean", "std"} & set(fields))
    return kind, {name: draw(fields[name]) for name in sorted(chosen)}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(legal(), st.integers(0, 99), st.sampled_from(["train", "valid"]))
def test_what_can_be_makes_numbers_of_every_picture(made, epoch, split):
    """By the transform's own methods, and by the table; a warning of numpy (a division by zero) is an error."""
    kind, chosen = made
    try:
        transform = kind(**chosen)
    except UsageError:
        assert kind is Warp  # magnitude and a decision together reach one
        return
    height = 11 if kind is Dihedral and "size" not in chosen else 7  # those that it turns are no batch with the others
    images = torch.randint(0, 256, (3, height, 11, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        typed = TensorImage(images.permute(0, 3, 1, 2).contiguous())
        sized = transform(typed, keys=range(3), epoch=epoch, split=split)
        fused = fuse([transform, Resize(9)])(images, keys=range(3), epoch=epoch, split=split)
    assert torch.isfinite(sized.float()).all()
    assert torch.isfinite(fused).all()
    plan = fuse([transform, Resize(9)]).plan(np.full((3, 2), 50), range(3), epoch=epoch, split=split)
    assert np.isfinite(plan.matrix).all()
    assert (np.abs(np.linalg.det(plan.matrix)) > 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: aug_transforms(max_warp=0.2, mult=3),
        lambda: aug_transforms(max_lighting=1.0),
        lambda: aug_transforms(min_zoom=1.3, max_zoom=1.2),
        lambda: aug_transforms(p_affine=2),
        lambda: rand_augment(n=0),
        lambda: rand_augment(magnitude=31),
        lambda: rand_augment(magnitude=0, bins=1),
        lambda: trivial_augment(pad_mode="mirror"),
        lambda: fuse([Flip()], dtype=torch.float16),
        lambda: fuse([Flip()], min_visible=2),
    ],
)
def test_recipes_are_refused_too(make):
    with pytest.raises(UsageError, match=r"must|picks"):
        make()
