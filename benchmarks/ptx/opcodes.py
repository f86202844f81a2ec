"""What an instruction computes: a table from opcode to a line of numpy.

A pattern stands for all opcodes that it spells out. Whatever is in no row is `Unknown`: a modifier changes what an
instruction means, so none is passed over. Loads, stores, jumps and barriers are in `threads.py`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np

from .arithmetic import (
    TYPES,
    Array,
    approximation,
    comparison,
    dot,
    double_word,
    down,
    flush,
    fma32,
    fma64,
    least,
    most,
    permute,
    product,
    quotient,
    remainder,
    round_to_bf16,
    select,
    to_integer,
    up,
)
from .parse import Unknown

Line = Callable[..., Array]
INTEGER, BITS = "{s,u}{16,32,64}", "b{16,32,64}"


@dataclass(frozen=True)
class Operation:
    """The types of an instruction's operands and the line that computes its result.

    `flush` is set for `.ftz`; `approximate` lines take how far to move their result; `pair` ones see 64 bits as two
    numbers that have nothing to do with each other; `carry` has "in" where the last operand is the carry, and "out"
    where the 33rd bit of the result is the next one.
    """

    operands: tuple[str, ...]
    line: Line
    flush: bool = False
    approximate: bool = False
    pair: bool = False
    carry: str = ""


def operation(opcode: str) -> Operation:
    """What an opcode computes.

    Raises `Unknown` if it is in no row.
    """
    if opcode not in _TABLE:
        raise Unknown(f"the opcode {opcode!r} has no row in the table of benchmarks/ptx/opcodes.py; write one")
    return _TABLE[opcode]


def opcodes() -> list[str]:
    """All opcodes that compute, sorted."""
    return sorted(_TABLE)


def spell_out(pattern: str) -> Iterator[str]:
    """All that a pattern with `{one,other}` in it stands for.

    >>> list(spell_out("add.{s,u}{16,32}"))
    ['add.s16', 'add.s32', 'add.u16', 'add.u32']
    """
    choice = re.search(r"\{([^{}]*)\}", pattern)
    if not choice:
        yield pattern
        return
    for one in choice[1].split(","):
        yield from spell_out(pattern[: choice.start()] + one + pattern[choice.end() :])


# A pattern; its operands' types, where `t` is the opcode's last part, and `w` the one twice as wide; the line.
_PLAIN: list[tuple[str, str, Line]] = [
    (f"add.{INTEGER}", "t t", lambda a, b: a + b),
    (f"sub.{INTEGER}", "t t", lambda a, b: a - b),
    ("add.{s,u}16x2", "u32 u32", lambda a, b: (a.view(np.uint16) + b.view(np.uint16)).view(np.uint32)),
    (f"mul.lo.{INTEGER}", "t t", lambda a, b: a * b),
    (f"mad.lo.{INTEGER}", "t t t", lambda a, b, c: a * b + c),
    ("mul.hi.{s,u}32", "t t", lambda a, b: (product(a, b) >> 32).astype(a.dtype)),
    ("mul.wide.{s,u}32", "t t", product),
    ("mad.wide.{s,u}32", "t t w", lambda a, b, c: product(a, b) + c),
    (f"div.{INTEGER}", "t t", quotient),
    (f"rem.{INTEGER}", "t t", remainder),
    (f"min.{INTEGER}", "t t", np.minimum),
    (f"max.{INTEGER}", "t t", np.maximum),
    ("neg.s{16,32,64}", "t", lambda a: -a),
    ("abs.s{16,32,64}", "t", abs),
    (f"and.{{pred,{BITS}}}", "t t", lambda a, b: a & b),
    (f"or.{{pred,{BITS}}}", "t t", lambda a, b: a | b),
    (f"xor.{{pred,{BITS}}}", "t t", lambda a, b: a ^ b),
    (f"not.{{pred,{BITS}}}", "t", lambda a: ~a),
    (f"shl.{BITS}", "t u32", up),
    (f"shr.{INTEGER}", "t u32", down),
    ("shf.l.wrap.b32", "t t t", lambda low, high, n: (up(double_word(low, high), n & 31) >> 32).astype(low.dtype)),
    ("shf.r.wrap.b32", "t t t", lambda low, high, n: down(double_word(low, high), n & 31).astype(low.dtype)),
    ("bfe.u32", "t t t", lambda a, at, n: down(a, at & 255) & (up(np.ones_like(a), n & 255) - np.uint32(1))),
    ("prmt.b32", "t t t", permute),
    ("dp2a.lo.s32.u32", "s32 u32 s32", lambda a, b, c: dot(a, b, c, 0)),
    ("dp2a.hi.s32.u32", "s32 u32 s32", lambda a, b, c: dot(a, b, c, 16)),
    (f"mov.{{pred,f32,f64,{INTEGER},{BITS}}}", "t", lambda a: a.copy()),
    (f"selp.{{f32,f64,{INTEGER},{BITS}}}", "t t pred", select),
    ("add{,.rn}.{f32,ftz.f32,f64}", "t t", lambda a, b: a + b),
    ("sub{,.rn}.{f32,ftz.f32,f64}", "t t", lambda a, b: a - b),
    ("mul{,.rn}.{f32,ftz.f32,f64}", "t t", lambda a, b: a * b),
    ("div.rn.{f32,ftz.f32,f64}", "t t", lambda a, b: a / b),
    ("fma.rn.{f32,ftz.f32}", "t t t", fma32),
    ("fma.rn.f64", "t t t", fma64),
    ("sqrt.rn.{f32,ftz.f32,f64}", "t", np.sqrt),
    ("min.{f32,ftz.f32,f64}", "t t ...", lambda *x: reduce(least, x)),  # from sm_100 on also of three
    ("max.{f32,ftz.f32,f64}", "t t ...", lambda *x: reduce(most, x)),
    ("neg.{f32,ftz.f32,f64}", "t", lambda a: -a),
    ("abs.{f32,ftz.f32,f64}", "t", abs),
    ("copysign.f{32,64}", "t t", lambda a, b: np.copysign(b, a)),
]
_APPROXIMATE: list[tuple[str, str, Line]] = [
    ("rcp.approx{,.ftz}.f32", "t", approximation(lambda x: 1 / x, 2.0**-23)),
    ("sqrt.approx{,.ftz}.f32", "t", approximation(np.sqrt, 2.0**-23)),
    ("rsqrt.approx{,.ftz}.f32", "t", approximation(lambda x: 1 / np.sqrt(x), 2.0**-22.9)),
    ("ex2.approx{,.ftz}.f32", "t", approximation(np.exp2, 2.0**-22)),
    ("lg2.approx{,.ftz}.f32", "t", approximation(np.log2, 2.0**-22, flat=True)),
    ("div.full{,.ftz}.f32", "t t", approximation(np.divide, 2.0**-22)),
]
_PAIRS: list[tuple[str, str, Line]] = [  # of float32, from sm_100 on
    ("add{,.rn}.f32x2", "t t", lambda a, b: a + b),
    ("sub{,.rn}.f32x2", "t t", lambda a, b: a - b),
    ("mul{,.rn}.f32x2", "t t", lambda a, b: a * b),
    ("fma.rn.f32x2", "t t t", fma32),
]
_CARRYING: list[tuple[str, str, Line, str]] = [
    ("add.cc.{s,u}32", "u32 u32", lambda a, b: a.astype(np.uint64) + b, "out"),
    ("addc.{s,u}32", "u32 u32 u32", lambda a, b, carry: a + b + carry, "in"),
    ("addc.cc.{s,u}32", "u32 u32 u32", lambda a, b, carry: a.astype(np.uint64) + b + carry, "in out"),
    ("mad.lo.cc.u32", "u32 u32 u32", lambda a, b, c: (product(a, b) & 0xFFFFFFFF) + c, "out"),
    ("madc.lo.u32", "u32 u32 u32 u32", lambda a, b, c, carry: a * b + c + carry, "in"),
    ("madc.lo.cc.u32", "u32 u32 u32 u32", lambda a, b, c, carry: (product(a, b) & 0xFFFFFFFF) + c + carry, "in out"),
    ("madc.hi.u32", "u32 u32 u32 u32", lambda a, b, c, carry: (product(a, b) >> 32) + c + carry, "in"),
    ("madc.hi.cc.u32", "u32 u32 u32 u32", lambda a, b, c, carry: (product(a, b) >> 32) + c + carry, "in out"),
]


def _types(operands: str, opcode: str) -> tuple[str, ...]:
    """The types that `t` and `w` stand for."""
    kind = opcode.split(".")[-1]
    own = {"t": kind, "w": f"{kind[0]}64"}
    return tuple(own.get(operand, operand) for operand in operands.split())


def _rows() -> Iterator[tuple[str, Operation]]:
    """All rows, spelled out."""
    for pattern, operands, line in _PLAIN:
        for opcode in spell_out(pattern):
            yield opcode, Operation(_types(operands, opcode), line, flush="ftz" in opcode)
    for pattern, operands, line in _APPROXIMATE:
        for opcode in spell_out(pattern):
            yield opcode, Operation(_types(operands, opcode), line, flush="ftz" in opcode, approximate=True)
    for pattern, operands, line in _PAIRS:
        for opcode in spell_out(pattern):
            yield opcode, Operation(("f32",) * len(operands.split()), line, pair=True)
    for pattern, operands, line, carry in _CARRYING:
        for opcode in spell_out(pattern):
            yield opcode, Operation(tuple(operands.split()), line, carry=carry)
    yield from _comparisons()
    yield from _conversions()


def _comparisons() -> Iterator[tuple[str, Operation]]:
    """setp: ordered, and for floats also those that are true of NaN."""
    for opcode in spell_out(f"setp.{{eq,ne,lt,le,gt,ge}}.{{{INTEGER},f32,ftz.f32,f64}}"):
        yield opcode, Operation(_types("t t", opcode), comparison(opcode.split(".")[1]), flush="ftz" in opcode)
    for opcode in spell_out("setp.{equ,neu,ltu,leu,gtu,geu}.{f32,ftz.f32,f64}"):
        yield opcode, Operation(_types("t t", opcode), comparison(opcode.split(".")[1]), flush="ftz" in opcode)
    for opcode in spell_out(f"setp.{{eq,ne}}.{BITS}"):
        yield opcode, Operation(_types("t t", opcode), comparison(opcode.split(".")[1]))


def _conversions() -> Iterator[tuple[str, Operation]]:
    """cvt: the target's type comes first, then the source's."""
    for opcode in spell_out("cvt.{s,u}{8,16,32,64}.{s,u}{8,16,32,64}"):
        yield opcode, Operation(_types("t", opcode), _cast(opcode.split(".")[1]))
    for opcode in spell_out("cvt.rn.{f32,f64}.{s,u}{8,16,32,64}"):
        yield opcode, Operation(_types("t", opcode), _cast(opcode.split(".")[2]))
    for opcode in spell_out("cvt.{rni,rzi,rmi,rpi}{,.ftz}.{s,u}{8,16,32,64}.{f32,f64}"):
        _, rounding, *_, target, source = opcode.split(".")
        yield opcode, Operation((source,), _round(target, rounding), flush="ftz" in opcode)
    for opcode in spell_out("cvt.{rni,rzi,rmi,rpi}.{f32.f32,ftz.f32.f32,f64.f64}"):
        rounds = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[opcode.split(".")[1]]
        yield opcode, Operation(_types("t", opcode), rounds, flush="ftz" in opcode)
    for opcode in spell_out("cvt{,.ftz}.f64.f32"):
        yield opcode, Operation(("f32",), _cast("f64"), flush="ftz" in opcode)
    for opcode in spell_out("cvt.rn{,.ftz}.f32.f64"):
        yield opcode, Operation(("f64",), _cast("f32"), flush="ftz" in opcode)
    yield "cvt.rn.bf16.f32", Operation(("f32",), round_to_bf16)
    yield "cvt.f32.bf16", Operation(("bf16",), lambda a: (a.astype(np.uint32) << 16).view(np.float32))


def _cast(kind: str) -> Line:
    """The number in another type; of an integer that is too large, the lower bits."""
    return lambda a: a.astype(TYPES[kind])


def _round(kind: str, rounding: str) -> Line:
    """A float as an integer."""
    return lambda a: to_integer(a, kind, rounding)


def compute(row: Operation, operands: list[Array], moved: float) -> Array:
    """The result of an instruction; approximate ones are moved by `moved` times their largest error."""
    if row.flush:
        operands = [flush(x) if x.dtype == np.float32 else x for x in operands]
    result = row.line(*operands, moved=moved) if row.approximate else row.line(*operands)
    return flush(result) if row.flush and result.dtype == np.float32 else result


_TABLE = dict(_rows())
