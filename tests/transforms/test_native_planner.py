"""Plans drawn in C++ by a table, held to those that the transforms make themselves."""

import os

import numpy as np
import pytest

from onewarp.transforms import fuse
from onewarp.transforms.fusion import make_plan
from onewarp.transforms.geometry import Flip, Resize, Rotate
from onewarp.transforms.random_transform import sample_keys
from onewarp.transforms.warp import native

SIZES = np.array([(300, 400), (400, 300), (333, 500), (100, 120), (64, 65), (64, 64)] * 8)
KEYS = [f"{i}.jpg" for i in range(len(SIZES))]

if native.extension is None:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have the C++ extension: {native.absence}")
    pytest.skip(native.absence, allow_module_level=True)


def by_themselves(fused, sizes, keys, seed, epoch, split):
    hashes = sample_keys(keys, len(sizes))
    how = {"segments": fused.segments, "names": fused.names, "seed": seed, "epoch": epoch, "split": split}
    return make_plan(fused.transforms, sizes, hashes, **how)


def agree(found, expected):
    assert np.array_equal(found.sizes, expected.sizes)
    for here, there in zip(found.steps, expected.steps, strict=True):
        assert (here.segment, here.size, here.padding) == (there.segment, there.size, there.padding)
        assert (here.matrix is None) == (there.matrix is None)
        assert list(here.colour) == sorted(there.colour)
        pairs = [(here.colour[stage], there.colour[stage]) for stage in here.colour]
        for a, b in [*pairs, *([] if here.matrix is None else [(here.matrix, there.matrix)])]:
            assert a.shape == b.shape
            assert a.flags.c_contiguous
            assert np.abs(a - b).max() <= 1e-14 * max(1, np.abs(b).max())


@pytest.mark.parametrize("split", ["train", "valid", None])
def test_is_what_the_transforms_decide_themselves(recipe, split):
    fused = fuse(recipe)
    assert fused._native_planner(split) is not None
    agree(fused.plan(SIZES, KEYS, 5, 2, split), by_themselves(fused, SIZES, KEYS, 5, 2, split))


@pytest.mark.parametrize("sizes", [SIZES, SIZES[:1].repeat(5, 0)], ids=["mixed", "alike"])
def test_images_that_keep_their_sizes(sizes):
    fused, keys = fuse([Flip(), Rotate(30, p=1.0)]), KEYS[: len(sizes)]
    assert fused._native_planner("train") is not None
    agree(fused.plan(sizes, keys, 1, 0, "train"), by_themselves(fused, sizes, keys, 1, 0, "train"))


def test_a_sample_is_drawn_alone_as_in_a_batch(recipe):
    fused = fuse(recipe)
    batch, alone = fused.plan(SIZES, KEYS, 3, 4, "train"), fused.plan(SIZES[7:8], KEYS[7:8], 3, 4, "train")
    assert np.array_equal(batch.matrix[7], alone.matrix[0])
    for here, there in zip(batch.steps, alone.steps, strict=True):
        assert all(np.array_equal(here.colour[stage][7], there.colour[stage][0]) for stage in here.colour)


def test_without_a_compiler_the_transforms_decide_themselves(monkeypatch, recipe):
    monkeypatch.setattr(native, "extension", None)
    fused = fuse(recipe)
    assert fused._native_planner("train") is None
    agree(fused.plan(SIZES, KEYS, 0, 0, "train"), by_themselves(fused, SIZES, KEYS, 0, 0, "train"))


class Half(Rotate):
    """A transform of a user's, which no table knows although it descends from one that is known."""

    def normalised(self, params, frame):
        return super().normalised({"degrees": params["degrees"] / 2}, frame)


@pytest.mark.parametrize("own", [Half(40, p=1.0), Rotate(p=1.0, draw=lambda draw: 90 * draw.uniform(1))])
def test_what_a_table_cannot_say_decides_for_itself(own):
    fused = fuse([own, Resize(64)])
    assert fused._native_planner("train") is None
    agree(fused.plan(SIZES, KEYS, 0, 0, "train"), by_themselves(fused, SIZES, KEYS, 0, 0, "train"))
