"""What a client streams: a schema and record batches that are right in themselves, or a refusal by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from ...errors import UsageError
from .time_limit import time_limit


class RecordStream:
    """The stream of a client at `peer`, who is dropped where nothing comes for `seconds`.

    Raises `UsageError` for what is no stream of record batches, and `TimeoutError` for a client that has stopped.
    """

    def __init__(self, reader: Any, peer: str, seconds: float) -> None:
        self._reader, self._peer, self._seconds = reader, peer, seconds

    def schema(self) -> pa.Schema:
        """The columns that come; their names are UTF-8."""
        with self._reading("sent no schema", "begin with an Arrow schema, but does not"):
            schema = self._reader.schema
        try:
            _ = schema.names  # a schema as text has a sign in place of what is none
        except UnicodeDecodeError:
            raise UsageError("the columns must have names of UTF-8, but one has not") from None
        return schema

    def next(self) -> pa.RecordBatch | None:
        """The next record batch, None after the last."""
        try:
            with self._reading("sent nothing", "be Arrow record batches, but cannot be read as such"):
                batch = self._reader.read_chunk().data
        except StopIteration:
            return None
        if batch is None:
            raise UsageError("the stream must be record batches, but has a message without one")
        try:
            batch.validate(full=True)  # else its offsets may point anywhere
        except pa.ArrowException:
            raise UsageError("the stream has a record batch that is damaged") from None
        return batch

    @contextmanager
    def _reading(self, what: str, fault: str) -> Iterator[None]:
        try:
            with time_limit(self._peer, self._seconds, what):
                yield
        except TimeoutError:
            raise
        except (pa.ArrowException, OSError):
            raise UsageError(f"the stream must {fault}") from None
