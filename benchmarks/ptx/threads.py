"""In which order threads go through the code, and what they may not do on the way.

All threads of several blocks are lanes of one array: a register is an array of bits. Lanes that are at the same
instruction go on together. The group that is furthest back goes first and joins a group that it reaches, so that lanes
that parted meet again where a GPU would let them meet.
"""

import re
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from .arithmetic import TYPES, UNSIGNED, Array
from .chains import Chains
from .memory import WINDOW, Fault, Memory, Visitors, address_of
from .opcodes import Operation, compute, operation
from .parse import Address, Group, Instruction, Kernel, Name, Number, Operand, Register, Unknown

_ACCESS = re.compile(r"(ld|st)\.(global|shared|local|param)(?:\.nc)?(\.v2|\.v4)?\.((?:[sub](?:8|16|32|64))|f32|f64)")
_SHUFFLE = re.compile(r"shfl\.sync\.(idx|bfly)\.b32")
_JUMPS = ("bra", "bra.uni", "brx.idx", "ret", "exit", "bar.sync", "barrier.sync.aligned")
NEAR = 1 << 24
"""Where local and shared memory begin, for each thread or program: anywhere but at 0."""
GARBAGE = 0x7FA5A5A57FA5A5A5
"""What is in a register that nobody has written: NaN as a float32, 1e306 as a float64."""


@dataclass(frozen=True)
class Grid:
    """How many programs there are along each axis, and which of them are run here."""

    size: tuple[int, int, int]
    programs: Array


@dataclass
class Registers:
    """The registers of all lanes, and which lanes have not written which halves of them (1 the lower, 2 the upper)."""

    count: int
    values: dict[str, Array] = field(default_factory=dict)
    missing: dict[str, Array] = field(default_factory=dict)

    def read(self, register: Register, lanes: Array | None) -> tuple[Array, Array | None]:
        """The bits that some lanes (None: all) have in a register, and which halves of them are missing, if any."""
        name = register.name
        if name not in self.values:
            self._begin(register)
        value, missing = self.values[name], self.missing.get(name)
        if missing is not None:
            missing = missing if lanes is None else missing[lanes]
            missing = missing if missing.any() else None
        return (value if lanes is None else value[lanes]), missing

    def write(self, register: Register, lanes: Array | None, value: Array, missing: Array | None = None) -> None:
        """Keep the bits of some lanes."""
        name = register.name
        if lanes is None:
            self.values[name] = value
            self.missing.pop(name, None)
            if missing is not None:
                self.missing[name] = missing.copy()
            return
        if name not in self.values:
            self._begin(register)
        self.values[name][lanes] = value
        if missing is not None or name in self.missing:
            self.missing.setdefault(name, np.zeros(self.count, np.uint8))[lanes] = 0 if missing is None else missing

    def _begin(self, register: Register) -> None:
        """A register that no lane has written."""
        bits = np.full(self.count, GARBAGE, np.uint64)
        self.values[register.name] = (
            bits.astype(UNSIGNED[register.width]) if register.width else np.ones(self.count, bool)
        )
        self.missing[register.name] = np.full(self.count, 3, np.uint8)


class Threads:
    """The threads of some programs of one launch."""

    def __init__(
        self,
        kernel: Kernel,
        memory: Memory,
        values: dict[str, int],
        grid: Grid,
        moved: float,
        chains: Chains | None = None,
    ) -> None:
        """`values` are the bits of the parameters, and the addresses of variables in global memory; `chains` are
        followed, if there are any.
        """
        self.kernel, self.values, self.moved = kernel, values, moved
        programs, threads = grid.programs, kernel.threads
        self.count = len(programs) * threads
        thread, block = np.tile(np.arange(threads), len(programs)), np.repeat(programs, threads)
        self.program = np.repeat(np.arange(len(programs)), threads)
        self.who = Visitors(block * threads + thread, block, np.zeros(self.count, np.int64))
        self.registers = Registers(self.count)
        across, down, _ = grid.size
        nothing = 0 * thread
        special = {
            "tid.x": thread, "tid.y": nothing, "tid.z": nothing, "ntid.x": nothing + threads,
            "laneid": thread % 32, "warpid": thread // 32,
            "ctaid.x": block % across, "ctaid.y": block // across % down, "ctaid.z": block // (across * down),
            **{f"nctaid.{axis}": nothing + size for axis, size in zip("xyz", grid.size, strict=True)},
        }  # fmt: skip
        self.registers.values |= {f"%{name}": value.astype(np.uint32) for name, value in special.items()}
        self.spaces = {"global": memory}
        self.variables = dict(values)
        for space, owners in (("local", self.count), ("shared", len(programs))):
            self.variables |= self._near(space, owners)
        self.lanes: Array | None = None  # those that do the instruction; None is all
        self.visits = np.zeros(len(kernel.code), np.int64)  # how many lanes did each instruction
        self.steps = 0
        self.chains = chains

    def _near(self, space: str, owners: int) -> dict[str, int]:
        """Memory that each thread, or each program, has of its own; the addresses of its variables."""
        places, size = {}, 0
        for name, variable in self.kernel.variables.items():
            if variable.space == space:
                size = -(-size // variable.align) * variable.align
                places[name], size = NEAR + size, size + variable.size
        self.spaces[space] = Memory(np.full(owners, size), fresh=True)
        return places

    def run(self, most_steps: int) -> None:
        """All threads, from the first instruction to their end.

        Raises `Fault` for what no correct kernel does, and `Unknown` for what has no meaning here.
        """
        waiting = {0: np.arange(self.count)}
        while waiting:
            place = min(waiting)
            group = waiting.pop(place)
            while True:
                if place in waiting:
                    group = np.union1d(group, waiting.pop(place))
                if place >= len(self.kernel.code):
                    raise Fault(f"{self.kernel.name}: threads run beyond the last instruction")
                one = self.kernel.code[place]
                self.steps += 1
                if self.steps > most_steps:
                    raise Fault(f"{self.kernel.name}: threads have not come to their end in {most_steps} steps")
                try:
                    held, rest = self._split_by_guard(one, group)
                    self.visits[place] += len(held)
                    if self.chains is not None:
                        self.chains.add(one)
                    if one.opcode in _JUMPS:
                        for target, those in self._jump(one, held, place):
                            _send(waiting, target, those)
                        _send(waiting, place + 1, rest)
                        break
                    if one.opcode.startswith("shfl") and (np.bincount(held // 32)[held // 32] != 32).any():
                        raise Fault("a shuffle in divergent code: some of 32 lanes are elsewhere")
                    if len(held):
                        self._step(one)
                except (Fault, Unknown) as error:
                    raise type(error)(f"{self.kernel.name}: {error}\n  in {one.text}\n  of {one.place}") from None
                place += 1

    def _split_by_guard(self, one: Instruction, group: Array) -> tuple[Array, Array]:
        """The lanes of a group that do an instruction, which become the active ones, and those that do not."""
        held, rest = group, group[:0]
        self.lanes = None if len(group) == self.count else group
        if one.guard:
            acts = self._read(one.guard, "pred") == one.wanted
            held, rest = group[acts], group[~acts]
            self.lanes = None if len(held) == self.count else held
        return held, rest

    def _jump(self, one: Instruction, group: Array, place: int) -> list[tuple[int, Array]]:
        """Where the lanes of a group go from here."""
        if one.opcode.startswith("bar"):
            whole = np.bincount(self.program[group], minlength=self.program[-1] + 1)
            if ((whole != 0) & (whole != self.kernel.threads)).any():
                raise Fault("a barrier in divergent code: some threads of a program are elsewhere")
            self.who.barriers[group] += 1
            return [(place + 1, group)]
        if one.opcode == "brx.idx":
            target, table = one.operands
            labels = self.kernel.tables[table.text] if isinstance(table, Name) else []
            index = self._read(target, "u32")
            if (index >= len(labels)).any():
                raise Fault("a jump beyond its table")
            return [(self.kernel.labels[label], group[index == i]) for i, label in enumerate(labels)]
        if one.opcode in ("ret", "exit"):
            return []
        (target,) = one.operands
        if not isinstance(target, Name):
            raise Unknown("a jump to what is no label")
        return [(self.kernel.labels[target.text], group)]

    def _step(self, one: Instruction) -> None:
        """One instruction of the active lanes that is no jump."""
        if access := _ACCESS.fullmatch(one.opcode):
            way, space, _, kind = access.groups()
            return self._load(one, space, kind) if way == "ld" else self._store(one, space, kind)
        if shuffle := _SHUFFLE.fullmatch(one.opcode):
            return self._shuffle(one, shuffle[1])
        target, *sources = one.operands
        if one.opcode == "mov.b64" and (isinstance(target, Group) or isinstance(sources[0], Group)):
            return self._pack(target, sources[0])
        if one.opcode == "mov.b32" and isinstance(sources[0], Group) and len(sources[0].parts) == 2:
            parts = [self._read(part, "b16") for part in sources[0].parts if part is not None]
            return self._write(target, np.stack(parts, -1).view(np.uint32)[:, 0])
        if one.opcode == "mov.b32" and isinstance(target, Group) and len(target.parts) == 2:
            halves = self._read(sources[0], "b32").view(np.uint16).reshape(-1, 2)
            for i, part in enumerate(target.parts):
                self._write(part, np.ascontiguousarray(halves[:, i]))
            return None
        row = operation(one.opcode)
        types = row.operands
        if row.pair:
            return self._pair(target, sources, row)
        if types[-1] == "...":
            types = types[:1] * len(sources)
        if len(types) != len(sources) + ("in" in row.carry):
            raise Unknown(f"{one.opcode} with {len(sources)} operands")
        narrowed = one.opcode.startswith("cvt")
        values = [self._read(source, kind, narrowed) for source, kind in zip(sources, types, strict=False)]
        if "in" in row.carry:
            values.append(self._read(_CARRY, "u32"))
        result = compute(row, values, self.moved)
        if "out" in row.carry:
            self._write(_CARRY, (result >> 32).astype(np.uint32))
        self._write(target, result.astype(np.uint32) if row.carry else result)
        return None

    def _shuffle(self, one: Instruction, way: str) -> None:
        """shfl.sync: what another lane of the same 32 has in a register."""
        target, source, other, limit, members = one.operands
        value, by = self._read(source, "b32").reshape(-1, 32), self._read(other, "b32").reshape(-1, 32) & 31
        if (self._read(limit, "b32") != 31).any() or (self._read(members, "b32") != 2**32 - 1).any():
            raise Unknown("a shuffle of fewer than 32 lanes")
        lane = by if way == "idx" else np.arange(32, dtype=np.uint32) ^ by
        self._write(target, np.take_along_axis(value, lane.astype(np.intp), 1).reshape(-1))

    def _read(self, operand: Operand, kind: str, narrowed: bool = False) -> Array:
        """An operand of the active lanes as a type; `narrowed` takes the lower bits of a wider register."""
        if isinstance(operand, Register):
            bits, missing = self.registers.read(operand, self.lanes)
            if missing is not None:
                raise Fault(f"register {operand.name} is read before it is written")
            return self._as(bits, kind, narrowed)
        count = self.count if self.lanes is None else len(self.lanes)
        if kind == "pred" and isinstance(operand, Number):
            return np.full(count, bool(operand.bits))
        size = np.dtype(TYPES[kind]).itemsize
        if isinstance(operand, Name):
            if operand.text not in self.variables:
                raise Unknown(f"the name {operand.text}")
            number = self.variables[operand.text]
        elif isinstance(operand, Number):
            if operand.size not in (None, size) or (operand.size is None and kind in ("f32", "f64")):
                raise Unknown(f"a number of another kind than {kind}")
            number = operand.bits
        else:
            raise Unknown(f"an operand that is no {kind}")
        return np.full(count, number & ((1 << 8 * size) - 1), UNSIGNED[size]).view(TYPES[kind])

    @staticmethod
    def _as(bits: Array, kind: str, narrowed: bool = False) -> Array:
        """Bits of a register as a type."""
        wanted = np.dtype(TYPES[kind])
        if (kind == "pred") != (bits.dtype.kind == "b") or bits.dtype.itemsize < wanted.itemsize:
            raise Unknown(f"a register of {8 * bits.dtype.itemsize} bits as {kind}")
        if bits.dtype.itemsize > wanted.itemsize:
            if not narrowed:
                raise Unknown(f"a register of {8 * bits.dtype.itemsize} bits as {kind}")
            bits = bits.astype(UNSIGNED[wanted.itemsize])
        return bits.view(wanted)

    def _write(self, target: Operand | None, value: Array, missing: Array | None = None) -> None:
        """The active lanes' result; what is narrower than the register is extended, by its sign if it has one."""
        if target is None:
            return
        if not isinstance(target, Register):
            raise Unknown("a result that goes to no register")
        if (target.width == 0) != (value.dtype == bool) or value.dtype.itemsize > max(target.width, 1):
            raise Unknown(f"a result of {8 * value.dtype.itemsize} bits in register {target.name}")
        if 0 < value.dtype.itemsize < target.width:
            value = value.astype(np.int64 if value.dtype.kind == "i" else np.uint64).astype(UNSIGNED[target.width])
        self.registers.write(target, self.lanes, value.view(UNSIGNED[target.width]) if target.width else value, missing)

    # ---- pairs in 64 bits, of which one may be missing as long as nobody asks for it

    def _halves(self, operand: Operand) -> tuple[Array, Array | None]:
        """`uint32[lanes, 2]`, and which of them are missing."""
        if isinstance(operand, Register) and operand.width == 8:
            bits, missing = self.registers.read(operand, self.lanes)
            return bits.view(np.uint32).reshape(-1, 2), missing
        return self._read(operand, "b64").view(np.uint32).reshape(-1, 2), None

    def _pack(self, target: Operand, source: Operand) -> None:
        """mov.b64, of two halves into one register or the other way."""
        if isinstance(target, Group):
            halves, missing = self._halves(source)
            for i, part in enumerate(target.parts):
                lost = None if missing is None else (missing >> i & 1) * np.uint8(3)
                self._write(part, np.ascontiguousarray(halves[:, i]), lost)
            return
        if not isinstance(source, Group) or len(source.parts) != 2:
            raise Unknown("a mov of other parts than two halves")
        words: list[Array] = []
        lost = np.zeros(self.count if self.lanes is None else len(self.lanes), np.uint8)
        for i, part in enumerate(source.parts):
            if isinstance(part, Register):
                bits, missing = self.registers.read(part, self.lanes)
                words.append(self._as(bits, "b32"))
                if missing is not None:
                    lost |= (missing != 0).astype(np.uint8) << np.uint8(i)
            elif isinstance(part, Number):
                words.append(self._read(Number(part.bits), "b32"))
            else:
                raise Unknown("a half that is no register")
        self._write(target, np.stack(words, -1).view(np.uint64)[:, 0], lost if lost.any() else None)

    def _pair(self, target: Operand, sources: list[Operand], row: Operation) -> None:
        """An operation on two float32 at once."""
        halves = [self._halves(source) for source in sources]
        lost = [missing for _, missing in halves if missing is not None]
        result = row.line(*(bits.reshape(-1).view(np.float32) for bits, _ in halves))
        self._write(target, result.view(np.uint64), reduce(np.bitwise_or, lost) if lost else None)

    # ---- memory

    def _addresses(self, operand: Operand, space: str) -> tuple[Array, Visitors]:
        """The addresses that the active lanes come to, and who they are."""
        if not isinstance(operand, Address):
            raise Unknown("an access to what is no address")
        lanes = np.arange(self.count) if self.lanes is None else self.lanes
        kind = "u32" if isinstance(operand.base, Register) and operand.base.width == 4 else "u64"
        address = self._read(operand.base, kind).astype(np.uint64) + np.uint64(operand.offset & (2**64 - 1))
        if space != "global":
            owner = lanes if space == "local" else self.program[lanes]
            address += (owner.astype(np.uint64) << np.uint64(WINDOW)) + np.uint64(address_of(0) - NEAR)
        return address, Visitors(*(x[lanes] for x in (self.who.threads, self.who.blocks, self.who.barriers)))

    def _load(self, one: Instruction, space: str, kind: str) -> None:
        """ld: from memory, or of a parameter, into one register or several."""
        target, source = one.operands
        targets = target.parts if isinstance(target, Group) else (target,)
        size = np.dtype(TYPES[kind]).itemsize
        if space == "param":
            name = source.base if isinstance(source, Address) and not source.offset else None
            if not isinstance(name, Name) or len(targets) != 1:
                raise Unknown("a parameter that is loaded in parts")
            return self._write(targets[0], self._read(name, kind))
        address, who = self._addresses(source, space)
        found = self.spaces[space].load(address, size * len(targets), who)
        for i, part in enumerate(targets):
            self._write(part, np.ascontiguousarray(found[:, size * i : size * i + size]).view(TYPES[kind])[:, 0])
        return None

    def _store(self, one: Instruction, space: str, kind: str) -> None:
        """st: one register or several into memory."""
        target, source = one.operands
        sources = source.parts if isinstance(source, Group) else (source,)
        parts = [self._read(part, kind, narrowed=True) for part in sources if part is not None]
        value = np.ascontiguousarray(np.stack(parts, -1)).view(np.uint8)
        address, who = self._addresses(target, space)
        self.spaces[space].store(address, value, who)


_CARRY = Register("the carry", 4)


def _send(waiting: dict[int, Array], place: int, group: Array) -> None:
    """Lanes that go on at a place."""
    if len(group):
        waiting[place] = np.union1d(waiting[place], group) if place in waiting else group
