"""The table of a list of transforms: its rows worked out by hand, and why some lists have none."""

import math

import numpy as np
import pytest

from onewarp.transforms import (
    Brightness,
    Dihedral,
    Flip,
    Gamma,
    Normalize,
    Posterize,
    RandomErasing,
    RandomResizedCrop,
    Resize,
    Rotate,
    Saturation,
    Solarize,
    TensorImage,
    Zoom,
    fuse,
    trivial_augment,
)
from onewarp.transforms.draw import operation_word
from onewarp.transforms.op_table import NotCompilable, OpTable, compile_table
from onewarp.transforms.plan import Stage
from onewarp.transforms.warp.opcodes import Column, Field, Flag, Group, Opcode


def compiled(transforms, split="train"):
    fused = fuse(transforms)
    return compile_table(fused.transforms, fused.names, fused.segments, split)


def column(table, name):
    return table.integers[:, Column[name]].tolist()


def numbers(table, row, i):
    """What number `i` of a row is drawn between."""
    low, span = table.floats[row, Field.LOW + i], table.floats[row, Field.SPAN + i]
    return low, low + span


def test_rows_are_written_in_order_and_end_closes_them():
    table = compiled([Resize((30, 40)), Rotate(20, p=0.75), Brightness(0.4)])
    assert column(table, "OPERATION") == [Opcode.CROP, Opcode.AFFINE, Opcode.BRIGHTNESS, Opcode.END]
    words = [np.uint32(operation_word(name)).astype(np.int32) for name in ("Resize", "Rotate", "Brightness")]
    assert column(table, "WORD") == [*words, 0]
    assert column(table, "FRAME") == [-1, 0, 0, 0]
    assert column(table, "GROUP") == [Group.GEOMETRY, Group.GEOMETRY, Group.LOGITS, Group.ALONE]
    assert column(table, "FLAGS") == [0, 0, Flag.LOGIT, 0]
    assert table.size == (30, 40)
    assert table.floats[0, Field.OTHER : Field.OTHER + 2].tolist() == [30, 40]
    assert numbers(table, 1, 1) == (-20, 20)
    assert numbers(table, 2, 1) == pytest.approx((0.3, 0.7))
    assert table.floats[1, Field.CHANCE : Field.CHANCE + 2].tolist() == [0.75, 0.75]


def test_a_probability_is_as_coarse_as_what_is_drawn_and_never_less():
    for p in (0.3, 1 / 3, 1e-9, 0.0, 1.0):
        chance = compiled([Flip(p=p)]).floats[0, Field.CHANCE]
        assert chance == math.ceil(p * 2**24) / 2**24
        assert p <= chance < p + 2**-24 or p == chance == 1


def test_a_logarithm_is_drawn_as_one_or_a_number_is_raised():
    table = compiled([RandomResizedCrop(8, ratio=(0.5, 2.0)), Gamma(4.0)])
    assert numbers(table, 0, 1) == pytest.approx((-math.log(2), math.log(2)))  # the ratio: the operation takes the log
    assert numbers(table, 1, 1) == pytest.approx((-math.log(4), math.log(4)))
    assert column(table, "FLAGS") == [0, Flag.POWER, 0]  # the power of a gamma: the row does


def test_a_transform_of_another_aspect_has_a_crop_of_the_middle_behind_it():
    table = compiled([Rotate(20, size=(20, 40))])
    assert column(table, "OPERATION") == [Opcode.AFFINE, Opcode.CROP, Opcode.END]
    assert numbers(table, 1, 0) == numbers(table, 1, 1) == (0.5, 0.5)
    assert table.size == (20, 40)


def test_in_validation_only_what_rests_is_written():
    transforms = [Resize(16), Rotate(20), Normalize((0.5,) * 3, (0.25,) * 3), RandomErasing()]
    table = compiled(transforms, "valid")
    assert column(table, "OPERATION") == [Opcode.CROP, Opcode.CHANNELS, Opcode.END]
    assert numbers(table, 0, 0) == (0.5, 0.5)
    assert [numbers(table, 1, i) for i in (0, 3)] == [(4, 4), (-2, -2)]


def test_each_segment_is_a_launch_with_its_stages():
    table = compiled([Resize(8), Posterize(4), Saturation(), Normalize((0.5,) * 3, (0.2,) * 3)])
    first, second = table.launches
    assert (first.stages, second.stages) == ({Stage.TABLE}, {Stage.LOGIT, Stage.RGB})
    assert (first.diagonal, second.diagonal) == (True, False)  # saturation mixes channels
    ends = [row for row, code in enumerate(column(table, "OPERATION")) if code == Opcode.END]
    assert [column(table, "SEGMENT")[row] for row in ends] == [0, 1]


def test_padding_is_of_the_transforms_that_look_outside():
    assert compiled([Rotate(pad_mode="zeros"), Resize(8)]).launches[0].padding == "zeros"
    assert compiled([Resize(8, pad_mode="zeros")]).launches[0].padding == "reflection"  # a crop never looks there
    assert compiled([Resize(8, method="pad", pad_mode="border")]).launches[0].padding == "border"


def test_a_frame_may_turn_only_while_it_is_square_or_unknown_to_the_end():
    assert compiled([Dihedral(), Resize(8)]).turning == 1
    assert compiled([Resize(8), Dihedral(), Rotate()]).turning == 2
    assert compiled([Resize(8), Rotate()]).turning == 0
    turned = compiled([Resize((8, 12)), Dihedral()])
    assert turned == NotCompilable("Dihedral is decided on the host: it may turn images that are not square")


def test_picked_rows_say_of_how_many_they_are():
    table = compiled(trivial_augment())
    count = len(trivial_augment())
    assert column(table, "INDEX") == [*range(count), 0][: len(table.integers)]
    assert set(column(table, "OF")[:count]) == {count + 1}
    assert all(flags & Flag.PICKED for flags in column(table, "FLAGS")[:count])
    assert len({*column(table, "WORD")[:count]}) == 1  # one stream of numbers for all


class Half(Rotate):
    """A user's transform with a method of its own."""

    def normalised(self, params, frame):
        return super().normalised({"degrees": params["degrees"] / 2}, frame)


def blur(x: TensorImage):
    return x


@pytest.mark.parametrize(
    ("transforms", "reason"),
    [
        ([Rotate(), blur], "it is more than one resampling, or has a barrier: warp, barrier"),
        ([Rotate(pad_mode="zeros"), Zoom()], "it is more than one resampling, or has a barrier: warp, warp"),
        ([], "it is more than one resampling, or has a barrier: nothing"),
        ([Half(40)], "Half is decided on the host: it has methods of its own"),
        ([Rotate(draw=lambda draw: draw.uniform(1))], "Rotate is decided on the host: its `draw` is a function or a"),
        ([Resize(8), Rotate(draw=[1.0, 2.0])], "Rotate is decided on the host: its `draw` is a function or a list"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_a_table_cannot_say_has_its_reason(transforms, reason):
    table = compiled(transforms)
    assert isinstance(table, NotCompilable)
    assert table.reason.startswith(reason)


def test_a_split_on_which_a_function_does_not_draw_has_a_table():
    own = [Resize(8), Rotate(draw=lambda draw: draw.uniform(1)), Solarize()]
    assert isinstance(compiled(own, "train"), NotCompilable)
    assert isinstance(compiled(own, "valid"), OpTable)
