"""Rows that nobody chose, of every operation: C++ carries them out as numpy does. What is no row is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms import Resize, colour_operations, fuse, geometric_operations
from onewarp.transforms.fusible import Geometric, Pointwise
from onewarp.transforms.fusion import make_plan
from onewarp.transforms.geometric_operations import AFFINE, CROP
from onewarp.transforms.operations import ColourOperation, GeometricOperation, Number, Row, fixed
from onewarp.transforms.plan import Stage
from onewarp.transforms.policies import pick_one
from onewarp.transforms.random_transform import sample_keys
from onewarp.transforms.warp import native
from onewarp.transforms.warp.opcodes import Flag

SIZES = np.array([(300, 400), (400, 300), (64, 65), (64, 64)])
KEYS = ["a", "b", "c", "d"]
GEOMETRIC = [o for o in vars(geometric_operations).values() if isinstance(o, GeometricOperation)]
COLOUR = [o for o in vars(colour_operations).values() if isinstance(o, ColourOperation)]
REACH = {"degrees": 180, "shear_x": 60, "shear_y": 60, "k": 8, "threshold": 500, "bits": 20, "scale": 4, "zoom": 4}
"""How far an operand's numbers go, where they may go further than half."""


class Moved(Geometric):
    """A transform that is a row."""

    declared: Any = None
    batch: bool = False

    def row(self):
        return self.declared


class Coloured(Pointwise):
    """A transform that is a row."""

    declared: Any = None
    of: Stage = Stage.RGB
    batch: bool = False

    @property
    def stage(self):
        return self.of

    def row(self):
        return self.declared


def numbers(operand):
    """A number of an operand: one or two ends, as they are or logarithms, or a decision."""
    reach = REACH.get(operand.name, 0.5)
    ends = st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)).map(lambda two: sorted(reach * x for x in two))
    logs = st.booleans() if operand.name in ("factor", "gamma") else st.just(operand.log)
    return st.one_of(st.builds(lambda two, log: Number(*two, log=log), ends, logs), ends.map(lambda two: fixed(two[0])))


@st.composite
def rows(draw, operations):
    operation = draw(st.sampled_from(operations))
    neutral = [operand for operand in operation.operands if operand.neutral is not None]
    left_out = draw(st.sets(st.sampled_from(neutral))) if operation is AFFINE else set()
    values = {operand.name: draw(numbers(operand)) for operand in operation.operands if operand not in left_out}
    flags = draw(st.sampled_from([0, Flag.PAD, Flag.SQUISH, Flag.MIX]))
    constants = (0.9, 0.1, 0.0, -0.1, 1.1, 0.05, 0.02, 0.01, 1.0)
    if isinstance(operation, GeometricOperation) and operation.resizes:
        constants = draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    return Row(operation, values, draw(st.floats(0, 1)), flags, constants)


@st.composite
def transforms(draw):
    made = [Moved(draw(rows(GEOMETRIC)), draw(st.booleans())) for _ in range(draw(st.integers(0, 4)))]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(rows(COLOUR))
        made.append(Coloured(row, draw(st.sampled_from(row.operation.stages)), draw(st.booleans())))
    made = draw(st.permutations(made))
    if draw(st.booleans()):
        resizing = [t for t in made if isinstance(t, Moved) and t.declared.operation.resizes]
        made = pick_one([t for t in made if not any(t is other for other in resizing)], "stream", draw(st.booleans()))
    return [Resize((50, 60)), *made, Resize((40, 50))]


def close(found, expected):
    return found.shape == expected.shape and np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.skipif(native.extension is None, reason=str(native.absence))
@given(transforms(), st.integers(0, 1 << 40))
@settings(max_examples=200, deadline=None, phases=(Phase.generate,))
def test_cpp_does_what_numpy_does(made, seed):
    fused, hashes = fuse(made), sample_keys(KEYS, 4)
    if len({segment.kind for segment in fused.segments} | {"warp", "colour"}) > 2 or fused.segments[0].kind != "warp":
        return
    planner = fused._native_planner("train")
    if planner is None:
        assert sum(segment.kind == "warp" for segment in fused.segments) > 1
        return
    how = {"segments": fused.segments, "names": fused.names, "seed": seed, "split": "train"}
    expected = make_plan(fused.transforms, SIZES, hashes, **how)
    for here, there in zip(planner.plan(SIZES, hashes, seed, 0).steps, expected.steps, strict=True):
        assert (here.size, here.padding, set(here.colour)) == (there.size, there.padding, set(there.colour))
        assert here.matrix is None or close(here.matrix, there.matrix)
        assert all(close(here.colour[stage], there.colour[stage]) for stage in here.colour)


def test_a_row_takes_the_numbers_of_its_operation():
    with pytest.raises(UsageError, match=r"AFFINE takes degrees, .* and must have nothing, but got turns"):
        AFFINE.row(turns=fixed(1))
    with pytest.raises(UsageError, match="CROP takes x, y, and must have x, y, but got x"):
        CROP.row(x=fixed(0.5))
