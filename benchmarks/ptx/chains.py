"""How long the longest chain of instructions is that wait for one another: a lone warp takes at least so long.

An instruction waits for those that wrote what it reads, for the jump before it, and behind a barrier for what was
stored before that. Threads that part count as if they went on together.
"""

from collections.abc import Iterator

from .parse import Address, Group, Instruction, Operand, Register


def registers(operand: Operand | None) -> Iterator[str]:
    """The registers that an operand names."""
    if isinstance(operand, Register):
        yield operand.name
    elif isinstance(operand, Address):
        yield from registers(operand.base)
    elif isinstance(operand, Group):
        for part in operand.parts:
            yield from registers(part)


class Chains:
    """The chains that end at each register, as instructions are done one after the other."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.stored = 0  # the longest that ends with a store
        self.turn = 0  # the one that ends with the last jump or barrier
        self.longest = 0

    def add(self, one: Instruction) -> None:
        """One instruction more."""
        jumps, stores = one.opcode.startswith(("bra", "brx", "bar")), one.opcode.startswith("st.")
        targets = () if jumps or stores else one.operands[:1]
        sources = [operand for operand in (one.guard, *one.operands[len(targets) :]) if operand is not None]
        if one.guard:
            sources += targets  # whoever does not do it keeps what was there
        before = [self.ends.get(name, 0) for source in sources for name in registers(source)]
        end = 1 + max(self.turn, self.stored if one.opcode.startswith("bar") else 0, *before, 0)
        if jumps:
            self.turn = end
        elif stores:
            self.stored = max(self.stored, end)
        self.ends |= {name: end for target in targets for name in registers(target)}
        self.longest = max(self.longest, end)
