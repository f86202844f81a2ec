"""Files sent to a server, and what it says of each: answers come while further files go."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property, partial
from itertools import chain
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.flight as flight
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from ...errors import DecodeError, ServiceError, UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.decoding.decode import read_image_file
from ...transforms.decoding.resizing import Sizing
from ...transforms.transform_lists import Transforms
from .answers import Answer, Prepared, Refusal
from .recipes import recipe_json
from .replicas import Replicas, refusal_in
from .tickets import VERSION
from .time_limit import Wait

File = str | os.PathLike[str] | bytes
"""An image file, by its path or as its bytes."""

T_co = TypeVar("T_co", covariant=True)
_SCHEMA = pa.schema([("image", pa.binary())])
BATCH_SIZE = 8
_BYTES = 1 << 20  # of images that are sent at once, unless one alone has more
_FRUITLESS = 3  # exchanges in a row that end without an answer, until it is taken for no accident


def predict(
    replicas: Replicas, files: Iterable[File], *, tensors: bool = False, batch_size: int = BATCH_SIZE
) -> "Replies[Answer]":
    """What a server's model says of each of `files`, in order; with `tensors`, its input too.

    At most `batch_size` images are sent at once. Raises `UsageError`, when the answers are asked for, where the server
    has no model.
    """
    return Replies(replicas, {"version": VERSION, "tensors": tensors}, files, _answers, batch_size)


def prepare(
    replicas: Replicas,
    files: Iterable[File],
    transforms: Fused | Transforms | None = None,
    sizing: Sizing | None = None,
) -> "Replies[Prepared]":
    """What the validation pipeline makes of each of `files`, in order; without `transforms`, the server's own."""
    command: dict[str, Any] = {"version": VERSION, "tensors": True}
    if transforms is not None:
        fused = transforms if isinstance(transforms, Fused) else fuse(transforms)
        command["recipe"] = recipe_json(fused)
        command["presize"] = None if sizing is None else asdict(sizing)
    return Replies(replicas, command, files, _tensors)


class Replies(Generic[T_co]):
    """What becomes of files, in their order; to be iterated over once. `vocab` has the names of the model's classes.

    A thread of its own reads files and sends them, as many ahead as the server takes. Where a server does not answer
    any more, another one is asked for the rest. Where the loop is left early, the call is cancelled. Raises
    `ServiceError` where no server answers, and what a server refuses.
    """

    def __init__(
        self,
        replicas: Replicas,
        command: dict[str, Any],
        files: Iterable[File],
        read: "Callable[[pa.RecordBatch], Sequence[Callable[[File], T_co]]]",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self._replicas, self._command, self._batch_size = replicas, json.dumps(command).encode(), batch_size
        self._files: Iterator[File | Refusal] = iter(files)
        self._read = read

    @cached_property
    def _exchange(self) -> "_Exchange":
        """An exchange with one of the servers, which has said what it will answer."""
        begin = partial(_begin, replicas=self._replicas, command=self._command)
        return self._replicas.call(lambda client, options: begin(client))

    @property
    def vocab(self) -> list[str] | None:
        """The names of the classes; None where the model has none, and without a model."""
        vocab: list[str] | None = self._exchange.facts.get("vocab")
        return vocab

    def __iter__(self) -> Iterator[T_co | Refusal]:
        fruitless = 0
        while True:
            sender = _Sender(self._exchange, self._files, self._batch_size)
            try:
                for reply in self._replies(sender):
                    fruitless = 0
                    yield reply
                return
            except pa.ArrowException as error:
                fruitless += 1
                refused = refusal_in(error)
                if refused is not None or fruitless == _FRUITLESS:
                    raise refused or ServiceError(f"servers end the exchange before they answer ({error})") from None
            finally:
                sender.end()
            del self._exchange
            self._files = chain(sender.unanswered(), self._files)

    def _replies(self, sender: "_Sender") -> Iterator[T_co | Refusal]:
        sender.start()
        while (batch := sender.next_answers()) is not None:
            for error, reply in zip(batch.column("error").to_pylist(), self._read(batch), strict=True):
                file, refusals = sender.take()
                yield from refusals
                yield reply(file) if error is None else Refusal(file, error)
        yield from sender.rest()


class _Exchange(NamedTuple):
    """What writes images, what reads answers, and what the server says of these."""

    writer: Any
    reader: Any
    facts: dict[str, Any]


def _begin(client: Any, replicas: Replicas, command: bytes) -> _Exchange:
    """Begin an exchange with one server. Raises `TimeoutError` where it says nothing."""
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(command), replicas.stream_options)
    wait = Wait(replicas.timeout, reader.cancel)
    try:
        writer.begin(_SCHEMA)
        facts = (reader.schema.metadata or {}).get(b"onewarp", b"{}")
    except pa.ArrowException:
        if wait.is_over:
            raise TimeoutError(f"it says nothing for {replicas.timeout:g} s") from None
        raise
    finally:
        wait.end()
    return _Exchange(writer, reader, json.loads(facts))


class _Sender(Thread):
    """Reads files and sends them in an exchange. `failure` is what ended it, if anything did."""

    def __init__(self, exchange: _Exchange, files: Iterator[File | Refusal], batch_size: int) -> None:
        super().__init__(name="onewarp-send", daemon=True)
        self._exchange, self._files, self._batch_size = exchange, files, batch_size
        self._sent: SimpleQueue[File | Refusal] = SimpleQueue()  # in order; what is refused here is not sent
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send all files, and say that there are no more; where that fails, end the call."""
        try:
            for images in self._batches():
                self._exchange.writer.write_batch(pa.record_batch([pa.array(images, pa.binary())], schema=_SCHEMA))
            self._exchange.writer.done_writing()
        except BaseException as error:
            self.failure = error
            self._exchange.reader.cancel()

    def _batches(self) -> Iterator[list[bytes]]:
        images: list[bytes] = []
        for file in self._files:
            image = file if isinstance(file, Refusal) else _read(file)
            if isinstance(image, Refusal):
                self._sent.put(image)
                continue
            self._sent.put(file)  # before anything can fail, so that no file is lost
            if images and (len(images) == self._batch_size or sum(map(len, images)) + len(image) > _BYTES):
                yield images
                images = []
            images.append(image)
        if images:
            yield images

    def next_answers(self) -> pa.RecordBatch | None:
        """The next record batch of answers, None after the last; what the files themselves raised goes first."""
        try:
            return self._exchange.reader.read_chunk().data
        except StopIteration:
            self.join()
            if self.failure is not None:
                raise self.failure from None
            return None
        except pa.ArrowException:
            if self.failure is not None and not isinstance(self.failure, pa.ArrowException):
                raise self.failure from None
            raise

    def take(self) -> tuple[File, list[Refusal]]:
        """The file that the next answer is about, and those before it that were not sent."""
        refusals: list[Refusal] = []
        while isinstance(file := self._sent.get_nowait(), Refusal):
            refusals.append(file)
        return file, refusals

    def rest(self) -> list[Refusal]:
        """The files after the last answer, none of which was sent."""
        self.join()
        rest = self.unanswered()
        if any(not isinstance(file, Refusal) for file in rest):
            raise ServiceError("the server has ended the exchange before all files were answered: ask again")
        return rest

    def unanswered(self) -> list[Any]:
        """The files that have no answer yet."""
        left: list[Any] = []
        while not self._sent.empty():
            left.append(self._sent.get_nowait())
        return left

    def end(self) -> None:
        """End the thread, and the call where it has not ended."""
        writer, reader, _ = self._exchange
        reader.cancel()
        self.join()
        with suppress(pa.ArrowException):
            writer.close()


def _read(file: File) -> bytes | Refusal:
    """The bytes of a file, or why there are none."""
    if isinstance(file, bytes):
        return file
    try:
        return read_image_file(file)
    except (UsageError, DecodeError) as error:
        return Refusal(file, str(error))


def _answers(batch: pa.RecordBatch) -> "Sequence[Callable[[File], Answer]]":
    """What the model says, for each row of a record batch."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    if "decoded" not in columns:
        raise UsageError("this server has no model that predicts: ask it for tensors, or for another server")
    decoded, matrix = _rows(columns["decoded"]), _rows(columns["matrix"])
    labels = columns["label"].to_pylist() if "label" in columns else decoded
    lists = columns["probabilities"].to_pylist() if "probabilities" in columns else decoded
    inputs = _rows(columns["x"]) if "x" in columns else [None] * len(batch)

    def answer(i: int) -> Callable[[File], Answer]:
        return lambda file: Answer(
            file, labels[i], decoded[i], torch.as_tensor(lists[i]), matrix[i].reshape(3, 3), inputs[i]
        )

    return [answer(i) for i in range(len(batch))]


def _tensors(batch: pa.RecordBatch) -> "Sequence[Callable[[File], Prepared]]":
    """The tensors of the rows of a record batch."""
    x, matrix = _rows(batch.column("x")), _rows(batch.column("matrix"))

    def prepared(i: int) -> Callable[[File], Prepared]:
        return lambda file: Prepared(file, x[i], matrix[i].reshape(3, 3))

    return [prepared(i) for i in range(len(batch))]


def _rows(column: pa.Array) -> list[Tensor]:
    """A column of numbers, or of tensors, as a tensor for each row that shares its memory; of a null it is zero."""
    if not isinstance(column.type, pa.FixedShapeTensorType | pa.FixedSizeListType):
        return [torch.tensor(value or 0) for value in column.to_pylist()]
    shape = column.type.shape if isinstance(column.type, pa.FixedShapeTensorType) else [column.type.list_size]
    lists = column.storage if isinstance(column, pa.ExtensionArray) else column
    return [*from_dlpack(lists.values).reshape(len(column), *shape)]
