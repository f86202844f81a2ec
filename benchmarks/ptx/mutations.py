"""Compiled code with one instruction changed: what a compiler or a kernel that is wrong could have in its place.

A change is of the code that is run, not of the source. It always has a meaning: what no row of `opcodes.py` knows is
never put in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .opcodes import opcodes
from .parse import Address, Instruction, Kernel, Name, Number, Operand, Register

OPPOSITES = (
    ("add", "sub"), ("min", "max"), ("and", "or"), ("or", "xor"), ("xor", "and"), ("mul", "add"), ("neg", "abs"),
    ("div", "mul"), ("ex2", "lg2"), ("rcp", "sqrt"), ("shl", "shr"), ("shf.l", "shf.r"), ("div", "rem"),
    ("mad", "mul"), ("sqrt", "neg"),
)  # fmt: skip
"""Opcodes that are taken for each other, either way."""
COMPARISONS = (("lt", "le"), ("gt", "ge"), ("lt", "ge"), ("gt", "le"), ("eq", "ne"), ("lt", "gt"))
MODIFIERS = (("lo", "hi"), ("rmi", "rpi"), ("rni", "rzi"), ("rmi", "rzi"), ("approx", "full"))
SIGNS = ("s", "u")
SIGNED = ("min", "max", "shr", "setp", "cvt", "mul", "mad", "div", "rem")
"""Opcodes to which it matters whether a number has a sign; of `mul` and `mad` not to the lower half of a product."""
COMMUTATIVE = ("add", "mul", "and", "or", "xor", "min", "max", "mov", "not", "neg", "abs")


@dataclass(frozen=True)
class Mutant:
    """A kernel of which the instruction `place` is `after` instead of `before`; None is no instruction at all."""

    kernel: Kernel
    place: int
    kind: str
    before: Instruction
    after: Instruction | None

    @property
    def change(self) -> str:
        """What becomes of what."""
        return f"{self.before.text} -> {self.after.text if self.after else 'nothing'}"

    def code(self) -> Kernel:
        """The kernel with the change."""
        return splice(self.kernel, self.place, [self.after] if self.after else [])

    def comparing(self) -> Kernel | None:
        """The kernel as it was, which does the changed instruction too, into a register of its own, and raises
        `Unknown` where the two results differ; None where the change is of no result.
        """
        if self.after is None or self.after.guard != self.before.guard or self.after.wanted != self.before.wanted:
            return None
        target = self.before.operands[0] if self.before.operands else None
        if not isinstance(target, Register) or self.before.opcode.startswith(("st.", "bra", "brx")):
            return None
        other, differs = Register("%changed", target.width), Register("%differs", 0)
        beside = replace(self.after, operands=(other, *self.after.operands[1:]))
        opcode = f"setp.ne.b{8 * target.width}" if target.width else "xor.pred"
        compare = replace(self.before, opcode=opcode, operands=(differs, target, other), text="a comparison")
        trap = replace(self.before, opcode="trap", operands=(differs,), guard=differs, wanted=True, text="a trap")
        none = replace(self.before, opcode="mov.pred", operands=(differs, Number(0)), guard=None, text="none differs")
        return splice(self.kernel, self.place, [none, beside, self.before, compare, trap])


def mutants(kernel: Kernel, place: int) -> dict[str, list[Mutant]]:
    """All changes of one instruction, by their kind."""
    before = kernel.code[place]
    found: dict[str, list[Mutant]] = {}
    for kind, after in _changes(before):
        if after is None:
            found.setdefault(kind, []).append(Mutant(kernel, place, kind, before, None))
        elif _text(after) != _text(before):
            found.setdefault(kind, []).append(Mutant(kernel, place, kind, before, replace(after, text=_text(after))))
    return found


def splice(kernel: Kernel, place: int, code: list[Instruction]) -> Kernel:
    """The kernel with other code in place of one instruction; its text tells it from every other one's."""
    more = len(code) - 1
    labels = {label: at + more if at > place else at for label, at in kernel.labels.items()}
    text = f"{kernel.text}\n// {place}: {'; '.join(one.text for one in code)}"
    return replace(kernel, code=(*kernel.code[:place], *code, *kernel.code[place + 1 :]), labels=labels, text=text)


def _changes(one: Instruction) -> Iterator[tuple[str, Instruction | None]]:
    """Every kind of change with what it makes of an instruction."""
    if one.opcode.startswith(("bar", "barrier")):
        yield "a barrier removed", None
        return
    if one.opcode in ("ret", "exit") or one.opcode.startswith("ld.param"):
        return
    if one.guard:
        yield "a predicate negated", replace(one, wanted=not one.wanted)
        if not one.opcode.startswith("bra"):
            yield "a mask dropped", replace(one, guard=None)
    if one.opcode.startswith("bra"):
        return
    for opcode in _other_opcodes(one.opcode):
        yield "another opcode", replace(one, opcode=opcode, operands=_fitting(one, opcode))
    for opcode in _other_modifiers(one.opcode):
        yield "another modifier", replace(one, opcode=opcode)
    yield from (("operands changed", replace(one, operands=found)) for found in _other_operands(one))
    yield from (("an immediate changed", replace(one, operands=found)) for found in _other_numbers(one))
    yield from (("an offset changed", replace(one, operands=found)) for found in _other_offsets(one))


def _fitting(one: Instruction, opcode: str) -> tuple[Operand, ...]:
    """As many operands as the other opcode takes."""
    return one.operands[:3] if opcode.startswith("mul") and one.opcode.startswith("mad") else one.operands


def _swap(pairs: Iterable[tuple[str, str]], opcode: str) -> Iterator[str]:
    """The opcode with a part of it, between dots, replaced by its opposite."""
    dotted = f".{opcode}."
    for pair in pairs:
        for before, after in (pair, pair[::-1]):
            if f".{before}." in dotted:
                yield dotted.replace(f".{before}.", f".{after}.", 1).strip(".")


_KNOWN = frozenset(opcodes())


def _meaningful(found: Iterable[str]) -> list[str]:
    """The opcodes that have a meaning, each once."""
    return [opcode for opcode in dict.fromkeys(found) if opcode in _KNOWN]


def _other_opcodes(opcode: str) -> list[str]:
    """Opcodes of the same family with the same operands."""
    family = opcode.split(".")[0]
    pairs = COMPARISONS if family == "setp" else OPPOSITES
    found = list(_swap(pairs, opcode))
    found += [other.replace(".b", ".u") for other in found if family == "shl"]  # a right shift has a sign
    found += [other.replace(".u", ".b").replace(".s", ".b") for other in found if family == "shr"]
    found += [f"{other[:3]}.lo{other[3:]}" for other in found if other.startswith("mul.")]  # integers have two halves
    found += [other.replace(".lo.", ".") for other in found if family == "mul"]
    return _meaningful(found)


def _other_modifiers(opcode: str) -> list[str]:
    """The same opcode with another half, sign or rounding."""
    found = list(_swap(MODIFIERS, opcode))
    family, *parts = opcode.split(".")
    if family in SIGNED and parts[:1] not in (["eq"], ["ne"], ["lo"]):
        for i, part in enumerate(parts):
            if part[0] in SIGNS and part[1:].isdigit():
                other = SIGNS[1 - SIGNS.index(part[0])] + part[1:]
                found.append(".".join([family, *parts[:i], other, *parts[i + 1 :]]))
    return _meaningful(found)


def _other_operands(one: Instruction) -> Iterator[tuple[Operand, ...]]:
    """Two sources change places, where that makes a difference, or the first stands in place of another."""
    target, *sources = one.operands
    if one.opcode.startswith(("ld", "st", "brx")) or not all(isinstance(x, Register | Number) for x in sources):
        return
    alike = [(i, j) for j in range(len(sources)) for i in range(j) if _alike(sources[i], sources[j])]
    for i, j in alike:
        if not (one.opcode.startswith((*COMMUTATIVE, "setp.eq", "setp.ne")) or (_product(one.opcode) and j == 1)):
            changed = list(sources)
            changed[i], changed[j] = sources[j], sources[i]
            yield target, *changed
        changed = list(sources)
        changed[j] = sources[i]
        yield target, *changed


def _product(opcode: str) -> bool:
    """Whether the first two sources are factors."""
    return opcode.startswith(("fma", "mad"))


def _alike(one: Operand, other: Operand) -> bool:
    """Whether an operand may stand where the other one does: a number stays where it is."""
    return isinstance(one, Register) and isinstance(other, Register) and one.width == other.width and one != other


def _other_numbers(one: Instruction) -> Iterator[tuple[Operand, ...]]:
    """An immediate is one more, one less, or has a bit changed: of a float the sign, the exponent's last bit, or one of
    the next three; a zero becomes one.
    """
    for i, operand in enumerate(one.operands):
        if isinstance(operand, Number):
            if operand.size:
                digits, unit = (23, 0x3F800000) if operand.size == 4 else (52, 0x3FF << 52)
                changed = (8 * operand.size - 1, *range(digits - 3, digits + 1))
                found = [operand.bits ^ (1 << bit) for bit in changed] if operand.bits else [unit]
            elif one.opcode.endswith(".pred") or (one.opcode.startswith("selp") and i == 3):
                found = [1 - operand.bits]
            else:
                found = [operand.bits + 1, operand.bits - 1, *(operand.bits ^ (1 << bit) for bit in range(1, 5))]
            for bits in found:
                yield *one.operands[:i], replace(operand, bits=bits), *one.operands[i + 1 :]


def _other_offsets(one: Instruction) -> Iterator[tuple[Operand, ...]]:
    """A load or a store is of the place before or behind."""
    if not one.opcode.startswith(("ld.", "st.")):
        return
    size = int(one.opcode.rpartition(".")[2][1:]) // 8
    for i, operand in enumerate(one.operands):
        if isinstance(operand, Address):
            for moved in (size, -size):
                changed = replace(operand, offset=operand.offset + moved)
                yield *one.operands[:i], changed, *one.operands[i + 1 :]


def _text(one: Instruction) -> str:
    """An instruction as PTX has it."""
    guard = f"@{'' if one.wanted else '!'}{one.guard.name} " if one.guard else ""
    return f"{guard}{one.opcode} {', '.join(_operand(x) for x in one.operands)}".strip()


def _operand(one: Operand | None) -> str:
    if isinstance(one, Register):
        return one.name
    if isinstance(one, Number):
        return f"0{'fd'[one.size // 8]}{one.bits:0{2 * one.size}X}" if one.size else str(one.bits)
    if isinstance(one, Name):
        return one.text
    if isinstance(one, Address):
        return f"[{_operand(one.base)}+{one.offset}]"
    return "_" if one is None else f"{{{', '.join(_operand(part) for part in one.parts)}}}"
