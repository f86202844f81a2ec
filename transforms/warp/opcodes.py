"""What the rows of an operation table are made of: opcodes, flags and columns. C++ and Triton take them from here.

A row is an operation: `INTEGERS` whole numbers and `FLOATS` others. `transforms/op_table.py` writes rows; `cpu_draws.h`
and `gpu_draws.py` carry them out. `python -m onewarp.transforms.warp.opcodes` prints `cpu_opcodes.h`, the same in C++.
"""

from enum import IntEnum, IntFlag


class Opcode(IntEnum):
    """What an operation is: first those that move pixels, then those that change colours. `END` closes a segment."""

    DIHEDRAL = 0
    AFFINE = 1
    ZOOM = 2
    PERSPECTIVE = 3
    CROP = 4
    RANDOM_CROP = 5
    HOMOGRAPHY = 6
    BRIGHTNESS = 7
    FACTOR = 8
    CHANNELS = 9
    HUE = 10
    GAMMA = 11
    SCALE = 12
    SOLARIZE = 13
    POSTERIZE = 14
    ERASE = 15
    END = 16


class Flag(IntFlag):
    """How a row is carried out."""

    BATCH = 1
    """One decision for all samples of an epoch."""
    PICKED = 2
    """Number 0 picks this operation, INDEX of OF, or another; its own numbers follow."""
    AT_ENDS = 4
    """Its numbers are moved to the nearer end of 0..1."""
    POWER = 8
    """Number 1 is the exponential of what is drawn."""
    TURNS = 16
    """A transposition turns the frame, too."""
    PAD = 32
    """A crop takes the smallest box around the frame, not the largest in it."""
    SQUISH = 64
    """A crop takes the whole frame."""
    LOGIT = 128
    """An affine map is one of logits, not of RGB."""
    MIX = 256
    """A factor is the share of the colour that stays; the rest is luma."""


class Column(IntEnum):
    """Where a row's whole numbers stand."""

    OPERATION = 0
    FLAGS = 1
    WORD = 2
    """The counter word of the operation's stream of random numbers."""
    INDEX = 3
    OF = 4
    SEGMENT = 5
    """Which segment `END` closes."""
    FRAME = 6
    """The row of the last crop before, whose OTHER begins with the size that it leaves; -1 where there is none."""
    GROUP = 7


class Group(IntEnum):
    """What an operation changes."""

    GEOMETRY = 0
    """The homography."""
    LOGITS = 1
    """The affine map of logits."""
    COLOURS = 2
    """The affine map of RGB."""
    ALONE = 3
    """Something that no other kind of operation changes."""


class Field(IntEnum):
    """Where a row's other numbers begin."""

    LOW = 0
    SPAN = 8
    """Number i of 8 is LOW[i] + SPAN[i] u."""
    CHANCE = 16
    """The probabilities of what numbers 0 and 2 decide."""
    OTHER = 20
    """What is not drawn."""


INTEGERS, FLOATS = 8, 32
NUMBERS = 8
"""How many uniform numbers there are for a row and a sample."""
LUMA = (0.2989, 0.5870, 0.1140)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601, rounded as in fastai)."""


def header() -> str:
    """The text of `cpu_opcodes.h`."""
    codes = [f"    {code.name.lower()} = {code.value}," for code in Opcode]
    flags = [f"    {_constant(flag)} = {flag.value}," for flag in Flag]
    places = [f"{_constant(place)} = {place.value}" for kind in (Column, Field) for place in kind]
    return "\n".join(
        [
            "// Written by `python -m onewarp.transforms.warp.opcodes`, where each name is explained: do not edit.",
            "#pragma once",
            "",
            "#include <cstdint>",
            "",
            "namespace onewarp {",
            "",
            "enum class Opcode : int32_t {",
            *codes,
            "};",
            "",
            "enum Flag : int32_t {",
            *flags,
            "};",
            "",
            "// Columns of a row's whole numbers, and of its others.",
            f"constexpr int {', '.join(places[: len(Column)])}, kIntegers = {INTEGERS};",
            f"constexpr int {', '.join(places[len(Column) :])}, kFloats = {FLOATS};",
            f"constexpr double kLuma[3] = {{{', '.join(map(str, LUMA))}}};",
            "",
            "}  // namespace onewarp",
            "",
        ]
    )


def _constant(member: IntEnum | IntFlag) -> str:
    """The name of a member as C++ writes constants: `AT_ENDS` is `kAtEnds`."""
    return "k" + "".join(word.capitalize() for word in str(member.name).split("_"))


if __name__ == "__main__":
    print(header(), end="")
