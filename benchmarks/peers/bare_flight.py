"""A bare server of Arrow Flight: record batches that lie in memory, sent as they are. What the service is held to.

`python -m onewarp.benchmarks.peers.bare_flight CACHE ORDER` prints its port, and serves until stdin ends. ORDER is a
file of numpy with row numbers: the batches hold the bytes of these rows, each column `image` of at most `GROUP` bytes.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from numpy.typing import NDArray

from ...pipeline.cache.reader import Cache

GROUP = 1 << 22


def record_batches(cache: Cache, order: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The bytes of rows in this order."""
    group: list[bytes] = []
    for number in order.tolist():
        data = cache.bytes_of(number)
        if group and sum(map(len, group)) + len(data) > GROUP:
            yield _batch(group)
            group = []
        group.append(data)
    yield _batch(group)


def _batch(group: list[bytes]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(group, pa.binary())], ["image"])


class BareServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Sends the same record batches to whoever asks."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._batches = batches

    def do_get(self, context: Any, ticket: Any) -> Any:
        """All batches."""
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(self._batches[0].schema, self._batches))


def main() -> None:
    """Serve the rows that the command line names."""
    server = BareServer(list(record_batches(Cache.open(sys.argv[1]), np.load(sys.argv[2]))))
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
