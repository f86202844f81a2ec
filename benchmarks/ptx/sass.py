"""What `ptxas` makes of a kernel: its machine code, and how often a thread comes to each instruction of it.

The disassembler says from which line of the PTX an instruction comes. The interpreter knows how often threads
come to that line. `ptxas` moves single instructions from one basic block to another, so a block of machine code is as
frequent as most of its instructions are.
"""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton

from .arithmetic import Array
from .parse import parse

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
CLASSES = {
    "FP32 add, mul, fma": ("FADD", "FMUL", "FFMA", "FADD2", "FMUL2", "FFMA2", "HFMA2"),
    "integer multiply-add": ("IMAD", "IMUL"),
    "dp2a": ("IDP",),
    "integer ALU": (
        "BFE", "BMSK", "IABS", "IADD", "IADD3", "IMNMX", "ISETP", "LEA", "LOP3", "MOV", "P2R", "PLOP3", "PRMT", "R2P",
        "SEL", "SGXT", "SHF", "SHL", "SHR", "VIADD", "VIADDMNMX", "VIMNMX", "VIMNMX3", "VABSDIFF", "FLO", "POPC",
        "VOTE",
    ),
    "float ALU": ("FMNMX", "FMNMX3", "FSETP", "FSEL", "FSET", "FCHK"),
    "packing ALU": ("F2FP", "I2FP", "F2IP"),
    "special functions": ("MUFU",),
    "conversions": ("I2F", "F2I", "F2F", "FRND", "I2I"),
    "FP64": ("DADD", "DFMA", "DMUL", "DSETP", "DMNMX"),
    "loads": ("LDG", "LDS", "LDL"),
    "stores": ("STG", "STS", "STL"),
    "shuffles": ("SHFL",),
    "control": (
        "BRA", "BRX", "BSSY", "BSYNC", "BREAK", "CALL", "RET", "EXIT", "WARPSYNC", "BAR", "NOP", "YIELD", "DEPBAR",
        "BMOV",
    ),
    "constants and specials": ("LDC", "S2R", "CS2R"),
}  # fmt: skip
"""Instructions of one kind; those of the uniform datapath begin with U, or move to and from it."""


@dataclass(frozen=True)
class Machine:
    """One instruction of machine code; `line` is the one of the PTX that it comes from."""

    name: str
    text: str
    line: int
    block: int


@dataclass(frozen=True)
class Resources:
    """What a thread takes: registers, and bytes of its stack and of local memory; shared memory of a program."""

    registers: int
    stack: int
    local: int
    shared: int


def kind(name: str) -> str:
    """The class of an instruction.

    Raises `KeyError` for one that is in no class.
    """
    for what, names in CLASSES.items():
        if name in names:
            return what
    if name.startswith("U") or name in ("R2UR", "S2UR", "LDCU", "VOTEU", "REDUX"):
        return "uniform datapath"
    raise KeyError(f"machine instruction {name} is in no class of benchmarks/ptx/sass.py")


def disassemble(machine_code: bytes) -> list[Machine]:
    """The instructions of a kernel, without what is never reached behind its end."""
    text, number, line, found = _tool("nvdisasm", machine_code, "-c", "-gp"), 0, 0, []
    for row in text.split("\n"):
        if at := re.search(r'nv_debug_ptx_txt", line (\d+)', row):
            line = int(at[1])
        elif re.match(r"\s*\.L_x_\d+:", row):
            number += 1
        elif code := re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\w*)(.*?);", row):
            found.append(Machine(code[1], code[1] + code[2].rstrip(), line, number))
            number += code[1] in ("BRA", "BRX", "EXIT", "RET", "CALL")
    last = max(i for i, one in enumerate(found) if one.name == "EXIT")
    return [one for i, one in enumerate(found) if i <= last or not one.text.startswith(("NOP", "BRA"))]


def resources(machine_code: bytes) -> Resources:
    """What a kernel's threads take."""
    found = dict(re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", _tool("cuobjdump", machine_code, "-res-usage")))
    return Resources(*(int(found[name]) for name in ("REG", "STACK", "LOCAL", "SHARED")))


def version() -> str:
    """Which triton and which ptxas make the machine code."""
    said = subprocess.run([TOOLS / "ptxas", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"V(\d+\.\d+\.\d+)", said)
    return f"triton {triton.__version__}, ptxas {found[1] if found else 'unknown'}"


def _tool(name: str, machine_code: bytes, *options: str) -> str:
    """What one of NVIDIA's tools says of a kernel."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(machine_code)
        return subprocess.run([TOOLS / name, *options, file], capture_output=True, text=True, check=True).stdout


def frequencies(ptx: str, visits: Array, code: list[Machine]) -> list[float]:
    """How often threads come to each instruction of machine code, all of them together."""
    kernel = parse(ptx)
    of_line: dict[int, int] = {}
    begins = set(kernel.blocks)
    arrivals = 0
    for i, one in enumerate(kernel.code):
        arrivals = int(visits[i]) if i in begins else max(arrivals, int(visits[i]))  # a guard may leave some out
        of_line[one.line] = arrivals
    votes: dict[int, Counter[int]] = {}
    for instruction in code:
        if instruction.line in of_line:
            votes.setdefault(instruction.block, Counter())[of_line[instruction.line]] += 1
    found = {}
    for block in sorted({instruction.block for instruction in code}):
        most = votes.get(block, Counter({0: 1})).most_common()
        found[block] = float(max(count for count, number in most if number == most[0][1]))
    return [found[instruction.block] for instruction in code]


def count_instructions(ptx: str, visits: Array, compiled: Any, units: int) -> Counter[str]:
    """Instructions a thread issues for each of `units` (pixels, or threads), by class."""
    code, total = disassemble(compiled.asm["cubin"]), Counter[str]()
    for one, count in zip(code, frequencies(ptx, visits, code), strict=True):
        total[kind(one.name)] += count / units  # type: ignore[assignment]
    return total
