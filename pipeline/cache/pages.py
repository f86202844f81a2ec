"""Where the values of a Parquet column lie in the file, byte by byte.

A column that is uncompressed and PLAIN, without a dictionary, stores its values as they are: behind each page's header
come the levels (none where the column cannot be null) and then the values, each variable one behind its length in 4
bytes. So a row's pixels can be read in place. The headers are Thrift structures in the compact protocol
(parquet.thrift, PageHeader; thrift-compact-protocol.md).
"""

from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...errors import CacheError

_BOOLEAN_TRUE, _BOOLEAN_FALSE, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 7, 8, 9, 12
_DATA_PAGE, _DATA_PAGE_V2, _PLAIN = 0, 3, 0


def value_offsets(file: BinaryIO, group: int, column: int, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The byte offset `int64[n]` of each value of a column in a row group, given their lengths in bytes.

    `file` is an open binary file. Raises `CacheError` where the column is not stored as described above.
    """
    metadata = pq.ParquetFile(file).metadata
    chunk = metadata.row_group(group).column(column)
    leaf = metadata.schema.column(column)
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        raise CacheError(f"column {chunk.path_in_schema} must be uncompressed and without dictionary")
    prefix = 4 if chunk.physical_type == "BYTE_ARRAY" else 0
    position, first, offsets = chunk.data_page_offset, 0, np.empty(len(lengths), np.int64)
    while first < len(lengths):
        count, values, position = _page(file, position, leaf.max_definition_level)
        if not 0 < count <= len(lengths) - first:
            raise CacheError(f"a page of column {chunk.path_in_schema} says that it has {count} values: it is damaged")
        sizes = lengths[first : first + count] + prefix
        offsets[first : first + count] = values + prefix + np.cumsum(sizes) - sizes
        if values + int(sizes.sum()) != position:
            raise CacheError(f"column {chunk.path_in_schema} holds {position - values} bytes, expected {sizes.sum()}")
        first += count
    return offsets


def _page(file: BinaryIO, position: int, definition_level: int) -> tuple[int, int, int]:
    """The page at `position`: how many values it has, where they begin, and where the next page begins."""
    file.seek(position)
    header, read = _Compact(file.read(1 << 16)).struct()
    kind, size = header[1], header[3]
    begin = position + read
    if kind == _DATA_PAGE and header[5][2] == _PLAIN:
        file.seek(begin)
        levels = 4 + int.from_bytes(file.read(4), "little") if definition_level else 0
        return header[5][1], begin + levels, begin + size
    if kind == _DATA_PAGE_V2 and header[8][4] == _PLAIN:
        return header[8][1], begin + header[8][5] + header[8][6], begin + size
    raise CacheError(f"page at byte {position} must be a PLAIN data page, but is of type {kind}")


class _Compact:
    """Thrift's compact protocol, as far as page headers go: structures of numbers, bytes and lists."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> tuple[dict[int, Any], int]:
        """The fields of the structure by number, and how many bytes have been read in all."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15)
        return fields, self._at

    def _value(self, kind: int) -> Any:
        if kind in (_BOOLEAN_TRUE, _BOOLEAN_FALSE):
            return kind == _BOOLEAN_TRUE
        if kind == _STRUCT:
            return self.struct()[0]
        if kind == _BINARY:
            return self._take(self._varint())
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _LIST:
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            if count > len(self._data):
                raise CacheError("a list in a page header is longer than the header: the file is damaged")
            return [self._value(head & 15) for _ in range(count)]
        return self._zigzag()

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise CacheError("a page header ends too early: the file is damaged")
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
