"""Which code of the compiled kernels has been reached, and which has not."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from .arithmetic import Array
from .parse import parsed


@dataclass(frozen=True)
class Coverage:
    """What of some kernels has been reached: `kernels` variants, their instructions, and the blocks that were not.

    A block is missed where no variant of its kernel has reached the line of Python that it begins with: most variants
    hold code for recipes that another one is run with.
    """

    kernels: int
    instructions: int
    reached: int
    missed: list[str]

    def __str__(self) -> str:
        text = f"{self.reached:,} of {self.instructions:,} PTX instructions of {self.kernels} kernels are reached"
        if self.missed:
            return "\n  ".join([f"{text}; basic blocks at lines that nobody reaches:", *self.missed])
        return f"{text}; every line is reached"


def coverage(visits: dict[str, Array]) -> Coverage:
    """Of the PTX of kernels, and how often each of their instructions was done."""
    reached: dict[tuple[str, str], Any] = defaultdict(bool)
    for text, counts in visits.items():
        kernel = parsed(text)
        for one, count in zip(kernel.code, counts, strict=True):
            reached[kernel.name, one.place] |= bool(count)
    missed = set()
    for text, counts in visits.items():
        kernel = parsed(text)
        for begin in kernel.blocks:
            one = kernel.code[begin]
            if not counts[begin] and not reached[kernel.name, one.place]:
                missed.add(f"{kernel.name}, {one.place}: {one.text}")
    total = sum(len(counts) for counts in visits.values())
    return Coverage(len(visits), total, sum(int((counts > 0).sum()) for counts in visits.values()), sorted(missed))
