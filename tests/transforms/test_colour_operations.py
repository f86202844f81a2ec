"""The operations that change colours, by their numbers."""

import numpy as np
import pytest

from onewarp.transforms import colour_operations
from onewarp.transforms.colour_operations import (
    BRIGHTNESS,
    CHANNELS,
    ERASE,
    FACTOR,
    GAMMA,
    HUE,
    POSTERIZE,
    SCALE,
    SOLARIZE,
)
from onewarp.transforms.draw import Draw
from onewarp.transforms.operations import ColourOperation, constant
from onewarp.transforms.warp.opcodes import NUMBERS, Flag

LUMA = [0.2989, 0.5870, 0.1140]
OPERATIONS = [o for o in vars(colour_operations).values() if isinstance(o, ColourOperation)]


def effect(operation, flags=0, **operands):
    """The effect for one sample."""
    row = operation.row(flags=flags, **{name: constant(value) for name, value in operands.items()})
    return row.operation.effect(row, row.complete(row.decide(Draw(np.zeros((1, NUMBERS)))), 1))[0]


def test_a_brightness_adds_its_logit():
    assert effect(BRIGHTNESS, change=0.75) == pytest.approx(np.column_stack([np.eye(3), [np.log(3)] * 3]))
    assert np.isfinite(effect(BRIGHTNESS, change=1.0)).all()


def test_a_factor_scales_or_blends_with_the_luma():
    assert effect(FACTOR, factor=1.5) == pytest.approx(1.5 * np.eye(3, 4))
    blend = effect(FACTOR, Flag.MIX, factor=0.25)
    assert blend @ [0.2, 0.4, 0.8, 1] == pytest.approx(
        0.25 * np.array([0.2, 0.4, 0.8]) + 0.75 * np.dot(LUMA, [0.2, 0.4, 0.8])
    )


def test_channels_have_a_factor_and_an_offset_each():
    values = {"scale_r": 1, "scale_g": 2, "scale_b": 3, "shift_r": 4, "shift_g": 5, "shift_b": 6}
    assert effect(CHANNELS, **values) @ [1, 1, 1, 1] == pytest.approx([5, 7, 9])


@pytest.mark.parametrize(
    ("operation", "operands", "expected"),
    [
        (GAMMA, {"gamma": 2.0}, {0: 0, 51: 0.04, 255: 1}),
        (SCALE, {"factor": 2.0}, {0: 0, 51: 0.4, 128: 1, 255: 1}),
        (SOLARIZE, {"threshold": 100.0}, {99: 99 / 255, 100: 155 / 255, 255: 0}),
        (POSTERIZE, {"bits": 2.0}, {0: 0, 63: 0, 64: 64 / 255, 191: 128 / 255, 255: 192 / 255}),
        (POSTERIZE, {"bits": 7.6}, {1: 1 / 255, 254: 254 / 255}),
    ],
)
def test_tables_have_a_value_for_each_grey_level(operation, operands, expected):
    table = effect(operation, **operands)
    assert table.shape == (256,)
    assert {level: table[level] for level in expected} == pytest.approx(expected)


def test_a_hue_is_its_turns():
    assert effect(HUE, turns=0.25) == 0.25


@pytest.mark.parametrize(
    ("operands", "box"),
    [
        ({"area": 0.25, "ratio": 1.0, "x": 0.0, "y": 1.0}, [0, 0.5, 0.5, 1]),
        ({"area": 0.16, "ratio": 4.0, "x": 0.5, "y": 0.5}, [0.1, 0.4, 0.9, 0.6]),
        ({"area": 1.0, "ratio": 4.0, "x": 0.7, "y": 0.5}, [0, 0.25, 1, 0.75]),  # cut to the sides
        ({"area": 0.0, "ratio": 1.0, "x": 0.5, "y": 0.5}, [0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_an_erased_rectangle_has_its_area_and_aspect(operands, box):
    assert effect(ERASE, **operands) == pytest.approx(box)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.opcode.name)
def test_neutral_operands_change_nothing(operation):
    """By what a row that does not happen is filled up with."""
    neutral = {operand.name: operand.neutral for operand in operation.operands}
    if None in neutral.values():
        assert operation is CHANNELS
        return
    found, levels = effect(operation, **neutral), np.linspace(0, 1, 256)
    if found.shape == (3, 4):
        assert found == pytest.approx(np.eye(3, 4))
    elif found.shape == (256,):
        assert found == pytest.approx(levels)
    elif found.shape == (4,):
        left, top, right, bottom = found
        assert (right - left) * (bottom - top) == 0
    else:
        assert found == 0
