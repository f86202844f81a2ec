"""The base classes of transforms that fuse: what a class must define, and what it is declared by."""

import numpy as np
import pytest

from onewarp.errors import UsageError
from onewarp.transforms import (
    Resize,
    fuse,
)
from onewarp.transforms.colour import Pointwise
from onewarp.transforms.colour_operations import FACTOR, HUE
from onewarp.transforms.fusible import Geometric
from onewarp.transforms.geometric_operations import AFFINE
from onewarp.transforms.operations import between, constant
from onewarp.transforms.plan import Stage
from onewarp.transforms.warp import native


def test_a_class_without_its_one_method_is_refused_when_it_is_made():
    class Nowhere(Geometric):
        pass

    class Uncoloured(Pointwise):
        stage = Stage.RGB

    with pytest.raises(UsageError, match="Nowhere must define `normalised"):
        Nowhere()
    with pytest.raises(UsageError, match="Uncoloured must define `effect"):
        Uncoloured()


SIZES = np.array([(300, 400), (400, 300), (64, 65), (64, 64)])


KEYS = ["a", "b", "c", "d"]


class Skewed(Geometric):
    """As a user declares one."""

    most: float = 30.0
    p: float = 1.0

    def row(self):
        return AFFINE.row(p=self.p, shear_y=between(-self.most, self.most))


class Milder(Skewed):
    """Another default, and nothing more."""

    most: float = 5.0


class Halved(Skewed):
    """A method of its own."""

    def normalised(self, params, frame):
        return super().normalised({"shear_y": params["shear_y"] / 2}, frame)


@pytest.mark.parametrize(("t", "declared"), [(Skewed(), True), (Milder(), True), (Halved(), False)])
def test_a_users_row_is_drawn_at_once_unless_a_method_says_otherwise(t, declared):
    fused = fuse([Resize(64), t])
    assert (fused._native_planner("train") is not None) == (declared and native.extension is not None)
    slopes = fused.plan(SIZES, KEYS, 0, 0, "train").matrix[:, 1, 0]
    assert np.ptp(slopes) > 0


def test_a_row_is_of_the_stage_that_its_transform_says(coloured):
    t = coloured(HUE.row(turns=constant(0.5)), Stage.TABLE)
    with pytest.raises(UsageError, match="Coloured: stage must be HUE, where HUE acts, but got TABLE"):
        fuse([Resize(8), t]).plan(SIZES, KEYS)
    assert fuse([Resize(8), coloured(FACTOR.row(factor=constant(0.5)), Stage.LOGIT)]).plan(SIZES, KEYS).size == (8, 8)
