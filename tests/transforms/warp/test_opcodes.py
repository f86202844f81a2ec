"""Opcodes, flags and columns stand in one file: C++ and Triton have the same, and numpy an operation for each."""

from pathlib import Path

import pytest

from onewarp.transforms import colour_operations, geometric_operations
from onewarp.transforms.operations import Operation
from onewarp.transforms.warp import opcodes
from onewarp.transforms.warp.opcodes import Column, Field, Flag, Group, Opcode, header


def test_the_header_is_what_the_file_says():
    """After a change: `python -m onewarp.transforms.warp.opcodes > transforms/warp/cpu_opcodes.h`."""
    assert (Path(opcodes.__file__).parent / "cpu_opcodes.h").read_text() == header()


def test_triton_has_the_same_numbers():
    pytest.importorskip("triton")
    from onewarp.transforms.warp import gpu_draws

    for member in (*Opcode, *Flag, *Column, *Group, *Field):
        assert getattr(gpu_draws, member.name).value == member.value, member
    for name in ("INTEGERS", "FLOATS"):
        assert getattr(gpu_draws, name).value == getattr(opcodes, name)


def test_every_opcode_is_an_operation_in_numpy():
    named = (*vars(geometric_operations).values(), *vars(colour_operations).values())
    operations = [value for value in named if isinstance(value, Operation)]
    assert sorted(operation.opcode for operation in operations) == sorted({*Opcode} - {Opcode.END})
