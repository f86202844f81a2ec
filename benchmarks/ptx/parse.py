"""What a text in PTX says: the one kernel of a module that Triton compiled."""

import re
from dataclasses import dataclass, field
from functools import cache


class Unknown(NotImplementedError):  # noqa: N818 - what the PTX is, no error of the caller
    """PTX that this interpreter has no meaning for: it never guesses."""


@dataclass(frozen=True)
class Register:
    """A register; `width` is its number of bytes, 0 for a predicate."""

    name: str
    width: int


@dataclass(frozen=True)
class Number:
    """A number in the code: its bits; `size` is the number of bytes of a float, None for an integer."""

    bits: int
    size: int | None = None


@dataclass(frozen=True)
class Name:
    """A label, a parameter or a variable."""

    text: str


@dataclass(frozen=True)
class Group:
    """Operands in braces; None is one that is thrown away."""

    parts: "tuple[Operand | None, ...]"


@dataclass(frozen=True)
class Address:
    """A place in memory: so many bytes behind what `base` points to."""

    base: "Operand"
    offset: int


Operand = Register | Number | Name | Group | Address


@dataclass(frozen=True)
class Instruction:
    """One instruction: it acts where the predicate `guard` is `wanted`.

    `place` is its line of Python, `line` the one in the text of the PTX.
    """

    opcode: str
    operands: tuple[Operand, ...]
    guard: Register | None
    wanted: bool
    text: str
    place: str
    line: int


@dataclass(frozen=True)
class Variable:
    """Bytes that a kernel declares, in the space `local`, `shared` or `global`; those of `global` have contents."""

    space: str
    align: int
    size: int
    contents: bytes = b""


@dataclass(frozen=True)
class Kernel:
    """A kernel: its parameters are pairs of name and type, its code is addressed by index."""

    name: str
    text: str = field(repr=False)
    parameters: tuple[tuple[str, str], ...]
    code: tuple[Instruction, ...] = field(repr=False)
    labels: dict[str, int]
    tables: dict[str, list[str]]
    variables: dict[str, Variable]
    threads: int

    @property
    def blocks(self) -> list[int]:
        """Where basic blocks begin."""
        after = {i + 1 for i, one in enumerate(self.code) if one.opcode.split(".")[0] in ("bra", "brx", "ret", "exit")}
        return sorted(({0} | after | set(self.labels.values())) & set(range(len(self.code))))

    def useless(self, place: int) -> bool:
        """Whether the result of an instruction is replaced, in the same block, before anything reads it."""
        begins, one = set(self.blocks), self.code[place]
        if not one.operands or not isinstance(one.operands[0], Register):
            return False
        for i in range(place + 1, len(self.code)):
            other = self.code[i]
            if i in begins or one.operands[0] in (other.guard, *_read(other)):
                return False
            if other.operands and one.operands[0] in _parts(other.operands[0]) and not other.guard:
                return not other.opcode.startswith("st.")
        return False


def _parts(operand: "Operand | None") -> list["Operand | None"]:
    """An operand, or the operands that it is made of."""
    if isinstance(operand, Group):
        return list(operand.parts)
    return [operand.base] if isinstance(operand, Address) else [operand]


def _read(one: Instruction) -> list["Operand | None"]:
    """The operands that an instruction reads."""
    sources = one.operands if one.opcode.startswith(("st.", "bra", "brx")) else one.operands[1:]
    return [part for operand in sources for part in _parts(operand)]


_ENTRY = re.compile(r"\.visible \.entry (\w+)\((.*?)\n\)(.*?)\n\{\n(.*?)\n\s*// -- End function", re.S)
_PARAMETER = re.compile(r"\.param \.(\w+)\b[^\n]*?(\w+),?\s*$", re.M)
_DECLARED = re.compile(r"\.reg \.(pred|[bsuf](\d+))\s+(%[A-Za-z]+)(?:<\d+>)?;")
_VARIABLE = re.compile(r"\.(local|shared|global)\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d*)\](?:\s*=\s*\{([^}]*)\})?;")
_INSTRUCTION = re.compile(r"(?:@(!?)(%p\d+)\s+)?([a-z][\w.:]*)\s*(.*)", re.S)
_SPECIAL = re.compile(r"%(tid|ntid|ctaid|nctaid)\.[xyz]|%laneid|%warpid")
_LEFT_OUT = (".reg", ".local", ".shared", ".pragma", ".file", ".section", "//", ".maxnreg")


@cache
def parse(text: str) -> Kernel:
    """The kernel of a module in PTX.

    Raises `Unknown` for what does not look like one.
    """
    found = _ENTRY.search(text)
    if not found:
        raise Unknown(
            "no kernel is found in the PTX; expected `.visible .entry` and `End function` as Triton writes them"
        )
    name, signature, options, body = found.groups()
    widths = {prefix: int(bits or 0) // 8 for _, bits, prefix in _DECLARED.findall(body)}
    variables = {
        what: Variable(
            space, int(align), int(size or 0), bytes(int(b) for b in contents.split(",")) if contents else b""
        )
        for space, align, what, size, contents in _VARIABLE.findall(text)
    }
    reader = _Reader(widths)
    for number, line in enumerate(body.split("\n"), text.count("\n", 0, found.start(4)) + 1):
        reader.number = number
        reader.line(line)
    reader.statement(reader.begun)  # labels behind the last instruction
    threads = re.search(r"\.reqntid (\d+)", options)
    if not threads:
        raise Unknown(f"{name}: the number of threads is not said; expected `.reqntid`")
    parameters = tuple((what, kind) for kind, what in _PARAMETER.findall(signature))
    return Kernel(name, text, parameters, tuple(reader.code), reader.labels, reader.tables, variables, int(threads[1]))


class _Reader:
    """Goes through the lines of a kernel's body."""

    def __init__(self, widths: dict[str, int]) -> None:
        self.widths = widths
        self.code: list[Instruction] = []
        self.labels: dict[str, int] = {}
        self.tables: dict[str, list[str]] = {}
        self.place, self.number = "", 0
        self.begun = ""  # a statement that goes on in the next line

    def line(self, line: str) -> None:
        line, _, comment = line.partition("//")
        line = line.strip()
        if line.startswith(".loc"):
            self.place = comment.strip() or self.place
            return
        if not line or line in "{}" or (self.begun[-1:] in ("", ":") and line.startswith(_LEFT_OUT)):
            return
        *whole, rest = f"{self.begun} {line}".split(";")
        self.begun = rest.strip()
        for statement in whole:
            self.statement(statement.strip())

    def statement(self, text: str) -> None:
        label = ""
        while found := re.match(r"([$\w]+):\s*", text):
            label, text = found[1], text[found.end() :]
            self.labels[label] = len(self.code)
        if text.startswith(".branchtargets"):
            self.tables[label] = [target.strip() for target in text.removeprefix(".branchtargets").split(",")]
            return
        text = text.strip("{} \n") if text.startswith(("{ ", "} ")) else text
        if text in ("", "{", "}"):
            return
        if not (found := _INSTRUCTION.fullmatch(text)):
            raise Unknown(f"no instruction of PTX that is known: {text!r} ({self.place})")
        negated, guard, opcode, rest = found.groups()
        operands = tuple(self.operand(part) for part in re.split(r",(?![^{\[]*[}\]])", rest) if part.strip())
        predicate = Register(guard, 0) if guard else None
        text = " ".join(text.split())
        self.code.append(Instruction(opcode, operands, predicate, negated != "!", text, self.place, self.number))

    def operand(self, text: str) -> Operand:
        text = text.strip()
        if text.startswith("{"):
            parts = (part.strip() for part in text[1:-1].split(","))
            return Group(tuple(None if part == "_" else self.operand(part) for part in parts))
        if text.startswith("["):
            base, _, offset = text[1:-1].replace(" ", "").partition("+")
            return Address(self.operand(base), int(offset or "0", 0))
        if _SPECIAL.fullmatch(text):
            return Register(text, 4)
        if text in ("%SP", "%SPL"):
            return Register(text, self.widths[text])
        if (register := re.fullmatch(r"(%[A-Za-z]+)\d+", text)) and register[1] in self.widths:
            return Register(text, self.widths[register[1]])
        if re.fullmatch(r"0[fF][0-9A-Fa-f]{8}|0[dD][0-9A-Fa-f]{16}", text):
            return Number(int(text[2:], 16), len(text) // 2 - 1)
        if re.fullmatch(r"-?(0[xX][0-9A-Fa-f]+|\d+)U?", text):
            return Number(int(text.rstrip("U"), 0))
        if text in ("true", "false"):
            return Number(int(text == "true"))
        if re.fullmatch(r"[$A-Za-z_][\w$]*", text):
            return Name(text)
        raise Unknown(f"no operand of PTX that is known: {text!r} ({self.place})")
