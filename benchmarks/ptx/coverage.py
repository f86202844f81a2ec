"""Which code of the compiled kernels has been reached, and which has not."""

from dataclasses import dataclass
from pathlib import Path

from ...transforms.warp import gpu
from .arithmetic import Array
from .parse import Instruction, Kernel, parse

UNREACHABLE = {
    "power = 255 * tl.exp2(number * tl.log2(share))": "the logarithm of what is infinite or NaN: it is of 1/255..1",
    "row, column = point // columns, point % columns": "a division of numbers that need more than 32 bits: an image "
    "of 4 G pixels",
    "p, inside = homography + image * 9 + 3 * part, geometry & (part < 3)": "a program without a row: each has its END",
}
"""By the line of Python: why no case can reach a block."""


@dataclass(frozen=True)
class Coverage:
    """What of some kernels has been reached: `kernels` variants and their instructions.

    Of their basic `blocks` some are reached `here`, in their own variant; what others do is done `elsewhere`: every
    instruction of theirs has been reached, from the same place of the source, in another variant of the same kernel, or
    in another copy of a function within it. `unreachable` and `missed` ones are named, each line once.
    """

    kernels: int
    instructions: int
    reached: int
    blocks: int
    here: int
    elsewhere: int
    unreachable: tuple[str, ...]
    missed: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.reached:,} of {self.instructions:,} PTX instructions of {self.kernels} kernels are reached;",
            f"of {self.blocks:,} basic blocks {self.here:,} are reached, {self.elsewhere:,} more in other variants;",
        ]
        for word, named in (("cannot be", self.unreachable), ("are not", self.missed)):
            lines += [f"blocks that {word} reached: {len(named) or 'none'}", *(f"  {one}" for one in named)]
        return "\n".join(lines)


def coverage(visits: dict[str, Array]) -> Coverage:
    """Of the PTX of kernels, and how often each of their instructions was done."""
    kernels = [(parse(text), counts) for text, counts in visits.items()]
    done = {
        (kernel.name, one.place, one.opcode)
        for kernel, counts in kernels
        for one, count in zip(kernel.code, counts, strict=True)
        if count
    }
    blocks = here = elsewhere = 0
    unreachable, missed = set(), set()
    for kernel, counts in kernels:
        for begin, end in zip(kernel.blocks, [*kernel.blocks[1:], len(kernel.code)], strict=True):
            blocks += 1
            lacking = [one for one in kernel.code[begin:end] if not _is_known(kernel, one, done)]
            if counts[begin]:
                here += 1
            elif not lacking:
                elsewhere += 1
            elif reason := UNREACHABLE.get(_line(kernel, begin, lacking)):
                unreachable.add(f"{kernel.name}: {_line(kernel, begin, lacking)}: {reason}")
            else:
                missed.add(f"{kernel.name}, {lacking[0].place}: {_line(kernel, begin, lacking)}: {lacking[0].opcode}")
    reached = sum(int((counts > 0).sum()) for _, counts in kernels)
    total = sum(len(counts) for _, counts in kernels)
    return Coverage(
        len(kernels), total, reached, blocks, here, elsewhere, tuple(sorted(unreachable)), tuple(sorted(missed))
    )


def _is_known(kernel: Kernel, one: Instruction, done: set[tuple[str, str, str]]) -> bool:
    """Whether an instruction has been reached somewhere; a jump says nothing of its own."""
    return one.opcode.startswith("bra") or (kernel.name, one.place, one.opcode) in done


def _line(kernel: Kernel, begin: int, lacking: list[Instruction]) -> str:
    """The line of Python of what is not reached; where the compiler names none, that of the code about it."""
    nearby = [*lacking, *kernel.code[begin:], *kernel.code[begin::-1]]
    return next((line for one in nearby if (line := source(one.place))), "")


def source(place: str) -> str:
    """The line of Python at a place such as `gpu_kernel.py:150:9`; nothing where the compiler names none."""
    name, line, *_ = [*place.split(":"), "0"]
    file = Path(gpu.__file__).parent / name
    return file.read_text().splitlines()[int(line) - 1].strip() if file.is_file() and int(line) else ""
