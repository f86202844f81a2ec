"""How images come in: read by a thread of its own, checked, and no more of them than an exchange may hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.types as types

from ...errors import UsageError
from ...transforms.decoding.picture import Buffer
from .admission import Room
from .byte_arrays import is_binary
from .inference import Answers, Inference, Preparation
from .record_stream import RecordStream
from .time_limit import drop_connection

_PIECE = 5 << 19  # bytes of tensors that are answered at once: few messages, and soon
_MOST_ROWS = 64  # images that are answered at once, however small their tensors are
_WINDOW = 64 << 20  # bytes of images and tensors that one exchange holds
_OBJECTS = 1 << 14  # bytes that an image takes beside these, with all that belongs to it
_GRACE = 1.0  # seconds in which a stream ends by itself where its client has left


def check_images(came: pa.Schema) -> None:
    """Raise `UsageError` where images cannot come with this schema."""
    names = came.names
    if sorted(names) not in (["image"], ["id", "image"]):
        raise UsageError(f"the columns must be image, and id if one likes, but got {', '.join(names)[:200] or 'none'}")
    image = came.field("image").type
    if not is_binary(image):
        raise UsageError(f"image must be binary: the bytes of a file, but is {str(image)[:60]}")
    kind = came.field("id").type if "id" in names else pa.int64()
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)):
        raise UsageError(f"id must be text or whole numbers, but is {str(kind)[:60]}")


@dataclass(frozen=True)
class Piece:
    """Some images of a stream from number `first` on: their ids, what becomes of them, the bytes that they hold."""

    first: int
    ids: pa.Array | None
    answers: Answers
    cost: int


class Receiver:
    """Images that come in, read by a thread of its own; iterated, pieces of them in order, each on its way.

    A piece holds its bytes until the next one is asked for. Leaving the `with` block ends the thread, also where it
    waits for its client.
    """

    def __init__(
        self,
        reader: Any,
        peer: str,
        inference: Inference,
        preparation: Preparation | None,
        room: Room | None = None,
    ) -> None:
        self._stream, self._peer = RecordStream(reader, peer, inference.limits.stall_seconds), peer
        self._inference, self._preparation = inference, preparation
        self._pieces: SimpleQueue[Piece | BaseException | None] = SimpleQueue()
        self._window = Window(min(_WINDOW, inference.limits.client_bytes), room)
        self._thread = Thread(target=self._run, name="onewarp-receive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._window.close()
        self._thread.join(_GRACE)
        if self._thread.is_alive():  # it waits for a client that has not left
            drop_connection(self._peer)
            self._thread.join()
        self._window.give_rest()

    def __iter__(self) -> Iterator[Piece]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            self._window.give(piece.cost)

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            self._receive()
        except BaseException as error:
            end = error
        self._pieces.put(end)

    def _receive(self) -> None:
        row = 0
        most = self._inference.limits.image_bytes
        while (batch := self._stream.next()) is not None:
            if batch.nbytes > most and len(batch) > 1:
                raise UsageError(
                    f"a record batch of several images must have at most {most:,} bytes: send fewer at once"
                )
            for images, ids in self._divide(batch):
                cost = self._cost(images)
                self._window.take(cost)
                self._pieces.put(Piece(row, ids, self._inference.submit(images, self._preparation), cost))
                row += len(images)

    def _divide(self, batch: pa.RecordBatch) -> Iterator[tuple[Sequence[Buffer | None], pa.Array | None]]:
        """The images of a record batch, and their ids, as many as are answered at once."""
        images = batch.column("image")
        ids = batch.column("id") if "id" in batch.schema.names else None
        step = min(max(1, _PIECE // self._inference.bytes_of_answer(self._preparation)), _MOST_ROWS)
        for begin in range(0, len(batch), step):
            buffers = [image.as_buffer() for image in images[begin : begin + step]]
            piece = [None if buffer is None else memoryview(buffer).cast("B") for buffer in buffers]
            yield piece, None if ids is None else ids[begin : begin + step]

    def _cost(self, images: Sequence[Buffer | None]) -> int:
        nbytes = sum(memoryview(image).nbytes for image in images if image is not None)
        return nbytes + len(images) * (_OBJECTS + self._inference.bytes_of_answer(self._preparation))


class Window:
    """The bytes that one exchange holds, of those that its client may have: who takes some waits until there is room.

    What is larger than all of the window is let in alone.
    """

    def __init__(self, most: int, room: Room | None = None) -> None:
        self._most, self._room = most, room
        self._held, self._open, self._change = 0, True, Condition()

    def take(self, nbytes: int) -> None:
        """Hold so many bytes more, as soon as there is room. Raises `UsageError` where the window is closed."""
        with self._change:
            self._change.wait_for(lambda: not (self._open and self._held and self._held + nbytes > self._most))
            if not self._open:
                raise UsageError("the exchange has ended")
        if self._room is not None:
            self._room.take(nbytes)
        with self._change:
            self._held += nbytes

    def give(self, nbytes: int) -> None:
        """Hold so many bytes less."""
        if self._room is not None:
            self._room.give_back(nbytes)
        with self._change:
            self._held -= nbytes
            self._change.notify_all()

    def give_rest(self) -> None:
        """Hold nothing any more."""
        self.give(self._held)

    def close(self) -> None:
        """Let nobody in any more."""
        with self._change:
            self._open = False
            self._change.notify_all()
