"""Where the bytes of a file lie that mean the same: columns, footer fields, heads and tails; and ways to harm them."""

import json
import os
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Span = tuple[int, int]
Classes = dict[str, list[Span]]

_FIELD = re.compile(rb'\\?"([A-Za-z_]\w*)\\?":')
_FILLED = 32  # bytes that are overwritten at once


@dataclass(frozen=True)
class Harm:
    """Something that is done to one file of a folder: its name, and the change itself."""

    kind: str
    name: str
    change: Callable[[Path], None]


def classes(path: Path) -> Classes:
    """The bytes of a file by what they mean, as spans [begin, end); every byte is in one class at least."""
    data = path.read_bytes()
    if data[:4] == b"PAR1":
        spans_of = _parquet(path, data)
    elif data[:6] == b"ARROW1":
        spans_of = _arrow(data)
    elif path.suffix == ".safetensors":
        spans_of = _safetensors(data)
    else:
        spans_of = fields(data, 0, len(data), "field")
    free = _complement(spans_of, len(data))
    return {**spans_of, "rest": free} if free else spans_of


def fields(data: bytes, begin: int, end: int, word: str) -> Classes:
    """The values of the fields of all JSON in a part of a file, by the field's name."""
    marks = list(_FIELD.finditer(data, begin, end))
    spans_of: Classes = defaultdict(list)
    for mark, after in zip(marks, [*(mark.start() for mark in marks[1:]), end], strict=False):
        spans_of[f"{word} {mark[1].decode()}"].append((mark.end(), min(after, mark.end() + 4096)))
    return dict(spans_of)


def _parquet(path: Path, data: bytes) -> Classes:
    size, length = len(data), int.from_bytes(data[-8:-4], "little")
    spans_of: Classes = defaultdict(list, {"head": [(0, 4)], "tail": [(size - 8, size)]})
    metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for leaf in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(leaf)
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            spans_of[f"column {chunk.path_in_schema}"].append((begin, begin + chunk.total_compressed_size))
    footer = size - 8 - length
    return dict(spans_of) | fields(data, footer, size - 8, "footer") | {"footer": [(footer, size - 8)]}


def _arrow(data: bytes) -> Classes:
    size = len(data)
    spans_of: Classes = defaultdict(list, {"head": [(0, 8)], "tail": [(size - 10, size)]})
    buffer = pa.py_buffer(data)
    table = pa.ipc.open_file(pa.BufferReader(buffer)).read_all()
    for column in table.itercolumns():
        name = table.column_names[len({word.split()[1] for word in spans_of if word.startswith("column ")})]
        for chunk in column.chunks:
            for number, part in enumerate(chunk.buffers()):
                if part is not None and part.size:
                    begin = part.address - buffer.address
                    spans_of[f"column {name} buffer {number}"].append((begin, begin + part.size))
    first = min(begin for name, spans in spans_of.items() if name.startswith("column") for begin, _ in spans)
    last = max(end for name, spans in spans_of.items() if name.startswith("column") for _, end in spans)
    head, tail = fields(data, 8, first, "head"), fields(data, last, size - 10, "footer")
    return dict(spans_of) | head | tail | {"schema": [(8, first)], "footer": [(last, size - 10)]}


def _safetensors(data: bytes) -> Classes:
    begin = 8 + int.from_bytes(data[:8], "little")
    spans_of: Classes = defaultdict(list, {"head": [(0, 8)], "header": [(8, begin)]})
    for name, tensor in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            spans_of[f"tensors {name.split('.')[0]}"].append((begin + first, begin + last))
    return dict(spans_of) | fields(data, 8, begin, "header")


def _complement(spans_of: Classes, size: int) -> list[Span]:
    free, at = [], 0
    for begin, end in sorted(span for spans in spans_of.values() for span in spans):
        if begin > at:
            free.append((at, begin))
        at = max(at, end)
    return [*free, *([(at, size)] if at < size else [])]


def harms(folder: Path, files: Sequence[str], each: int, seed: int) -> Iterator[Harm]:
    """For every class of bytes of every file `each` flipped bits and one filled span; and the file cut, or not itself.

    The same files, numbers and seed give the same harms.
    """
    for file in files:
        path = folder / file
        size = path.stat().st_size
        for name, spans in classes(path).items():
            draws = random.Random(f"{seed} {file} {name}")
            inside = [span for span in spans if span[1] > span[0]]
            for _ in range(each if inside else 0):
                at, bit = draws.randrange(*draws.choice(inside)), draws.randrange(8)
                yield Harm("bytes flipped", f"{file}, {name}, bit {bit} of byte {at}", _Flip(file, at, bit))
            if inside:
                begin, end = draws.choice(inside)
                end, value = min(end, begin + _FILLED), draws.choice((0, 255))
                yield Harm(
                    "bytes filled", f"{file}, {name}, {begin} to {end} with {value}", _Fill(file, begin, end, value)
                )
        draws = random.Random(f"{seed} {file}")
        cuts = {0, 1, size - 1, size - 8, *(draws.randrange(size) for _ in range(2 * each))}
        for at in sorted(cut for cut in cuts if 0 <= cut < size):
            yield Harm("files cut", f"{file}, at {at} of {size}", _Cut(file, at))
        for way in ("missing", "longer", "a folder", "another"):
            yield Harm("files changed", f"{file} is {way}", _Change(file, way, files))


@dataclass(frozen=True)
class _Flip:
    file: str
    at: int
    bit: int

    def __call__(self, folder: Path) -> None:
        with (folder / self.file).open("r+b") as file:
            file.seek(self.at)
            byte = file.read(1)[0] ^ 1 << self.bit
            file.seek(self.at)
            file.write(bytes([byte]))


@dataclass(frozen=True)
class _Fill:
    file: str
    begin: int
    end: int
    value: int

    def __call__(self, folder: Path) -> None:
        with (folder / self.file).open("r+b") as file:
            file.seek(self.begin)
            file.write(bytes([self.value]) * (self.end - self.begin))


@dataclass(frozen=True)
class _Cut:
    file: str
    at: int

    def __call__(self, folder: Path) -> None:
        with (folder / self.file).open("r+b") as file:
            file.truncate(self.at)


@dataclass(frozen=True)
class _Change:
    file: str
    way: str
    files: Sequence[str]

    def __call__(self, folder: Path) -> None:
        path = folder / self.file
        other = (folder / self.files[self.files.index(self.file) - 1]).read_bytes()
        data = path.read_bytes()
        path.unlink()
        if self.way == "a folder":
            path.mkdir()
        elif self.way == "longer":
            path.write_bytes(data + bytes(100))
        elif self.way == "another":
            path.write_bytes(other)


def flip_pixels(folder: Path, draws: random.Random) -> None:
    """Change one bit of the pixels of a cache, in a copy that takes a part's place: a map of it stays whole."""
    part = draws.choice(sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_size)[-2:])
    spans_of = classes(part)
    (name,) = [
        name for name in spans_of if name.startswith("column") and name.split()[1].split(".")[0] in ("pixels", "image")
    ]
    aside = folder / ".damaged"
    shutil.copyfile(part, aside)
    _Flip(aside.name, draws.randrange(*draws.choice(spans_of[name])), draws.randrange(8))(folder)
    os.replace(aside, part)
