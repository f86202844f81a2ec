"""Bytes and JSON that were right, changed somewhere: what fuzzers call mutation."""

import json
import random
from typing import Any

EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**62, 2**63 - 1, -(2**63), 2**64, 10**400)
TEXTS = (
    "",
    "\0",
    "/etc/passwd",
    "../../../etc/passwd",
    "file:///etc/passwd",
    "a" * 5000,
    "\ud800",
    "NaN",
    "{}",
    "__import__('os').system('true')",
    "‮\U0001f4a3",
)


def change_bytes(data: bytes, draws: random.Random) -> bytes:
    """Bytes with one change of some: bits flipped, a part cut out, filled, doubled, or the end cut off."""
    if not data:
        return draws.randbytes(draws.randrange(1, 40))
    begin = draws.randrange(len(data))
    end = min(len(data), begin + draws.choice((1, 2, 4, 8, 64, 1 << 20)))
    match draws.randrange(7):
        case 0:
            return data[:begin] + bytes([data[begin] ^ 1 << draws.randrange(8)]) + data[begin + 1 :]
        case 1:
            return data[:begin] + data[end:]
        case 2:
            return data[:end] + data[begin:]
        case 3:
            return data[:begin] + bytes([draws.choice((0, 255, 127, 128))]) * (end - begin) + data[end:]
        case 4:
            return data[:begin] + draws.randbytes(end - begin) + data[end:]
        case 5:
            return data[:begin] + draws.randbytes(draws.randrange(1, 40)) + data[begin:]
        case _:
            return data[:begin]


def change_numbers(data: bytes, draws: random.Random) -> bytes:
    """Bytes of which some whole numbers, where those of Arrow's messages lie, are others: lengths, offsets, counts."""
    changed = bytearray(data)
    for _ in range(draws.randrange(1, 4)):
        size = draws.choice((1, 2, 4, 8))
        if len(data) >= size:
            place = draws.randrange(len(data) // size) * size
            near = int.from_bytes(changed[place : place + size], "little", signed=True) + draws.choice((-8, -1, 1, 8))
            value = draws.choice((near, *EXTREMES[:-1]))
            changed[place : place + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(changed)


def change_json(value: Any, draws: random.Random) -> Any:
    """A value of JSON with one change somewhere in it."""
    if isinstance(value, dict) and value and draws.random() < 0.85:
        key = draws.choice(list(value))
        if draws.random() < 0.12:
            return {name: entry for name, entry in value.items() if name != key}
        if draws.random() < 0.12:
            return {**value, draws.choice(TEXTS) or "more": odd_value(draws)}
        return {**value, key: change_json(value[key], draws)}
    if isinstance(value, list) and value and draws.random() < 0.8:
        place = draws.randrange(len(value))
        if draws.random() < 0.2:
            return value * draws.choice((2, 50))
        return [*value[:place], change_json(value[place], draws), *value[place + 1 :]]
    return odd_value(draws)


def odd_value(draws: random.Random) -> Any:
    """A value that nobody expects."""
    match draws.randrange(8):
        case 0:
            return draws.choice(EXTREMES)
        case 1:
            return draws.choice(TEXTS)
        case 2:
            return draws.choice((None, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf")))
        case 3:
            return [odd_value(draws) for _ in range(draws.randrange(3))]
        case 4:
            return {draws.choice(TEXTS): odd_value(draws), "kind": draws.choice(("Fused", "Resize", "Lambda", "x"))}
        case 5:
            return list(range(draws.choice((1, 1000, 200_000))))
        case 6:
            nested: Any = []
            for _ in range(draws.choice((5, 500))):
                nested = [nested]
            return nested
        case _:
            return "".join(chr(draws.randrange(0x3000)) for _ in range(draws.randrange(20)))


def to_bytes(value: Any) -> bytes:
    """JSON as bytes; lone surrogates stay."""
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
