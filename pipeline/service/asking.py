"""Files sent to a server, and what it says of each: answers come while further files go."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from ...errors import DecodeError, OnewarpError, UsageError
from ...transforms.augment import Fused, fuse
from ...transforms.decoding.decode import read_image_file
from ...transforms.decoding.resizing import Sizing
from ...transforms.transform_lists import Transforms
from .answers import Answer, Prepared, Refusal
from .recipes import recipe_json
from .tickets import VERSION

File = str | os.PathLike[str] | bytes
"""An image file, by its path or as its bytes."""

Open = Callable[[bytes], tuple[Any, Any]]
"""Begins a `do_exchange` with the command of its descriptor: what writes, and what reads."""

T_co = TypeVar("T_co", covariant=True)
_SCHEMA = pa.schema([("image", pa.binary())])
_IMAGES, _BYTES = 8, 1 << 20  # images, and bytes of them, that are sent at once, unless one alone has more


def predict(open_exchange: Open, files: Iterable[File], *, tensors: bool = False) -> "Replies[Answer]":
    """What a server's model says of each of `files`, in order; with `tensors`, its input too.

    Raises `UsageError`, when the answers are asked for, where the server has no model.
    """
    return Replies(open_exchange, {"version": VERSION, "tensors": tensors}, files, _answers)


def prepare(
    open_exchange: Open,
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
    return Replies(open_exchange, command, files, _tensors)


class Replies(Generic[T_co]):
    """What becomes of files, in their order; to be iterated over once. `vocab` has the names of the model's classes.

    A thread of its own reads files and sends them, as many ahead as the server takes. Where the loop is left early, the
    call is cancelled.
    """

    def __init__(
        self,
        open_exchange: Open,
        command: dict[str, Any],
        files: Iterable[File],
        read: "Callable[[pa.RecordBatch], Sequence[Callable[[File], T_co]]]",
    ) -> None:
        self._open, self._command, self._files, self._read = open_exchange, command, files, read

    @cached_property
    def _exchange(self) -> tuple[Any, Any]:
        writer, reader = self._open(json.dumps(self._command).encode())
        writer.begin(_SCHEMA)
        return writer, reader

    @cached_property
    def vocab(self) -> list[str] | None:
        """The names of the classes; None where the model has none, and without a model."""
        _, reader = self._exchange
        vocab: list[str] | None = json.loads(reader.schema.metadata[b"onewarp"]).get("vocab")
        return vocab

    def __iter__(self) -> Iterator[T_co | Refusal]:
        writer, reader = self._exchange
        sender = _Sender(writer, reader, self._files)
        sender.start()
        try:
            while (batch := _next(reader, sender)) is not None:
                for error, reply in zip(batch.column("error").to_pylist(), self._read(batch), strict=True):
                    file, refusals = sender.take()
                    yield from refusals
                    yield reply(file) if error is None else Refusal(file, error)
            yield from sender.rest()
        finally:
            reader.cancel()  # which does nothing to what has ended
            sender.join()
            with suppress(pa.ArrowException):
                writer.close()


def _next(reader: Any, sender: "_Sender") -> pa.RecordBatch | None:
    """The next record batch of answers, None after the last; an error of the sender's own goes before the server's."""
    try:
        return reader.read_chunk().data
    except (StopIteration, pa.ArrowException) as error:
        own = sender.failure
        if own is not None and not (isinstance(own, pa.ArrowException) and isinstance(error, pa.ArrowException)):
            raise own from None
        if isinstance(error, StopIteration):
            return None
        raise


class _Sender(Thread):
    """Reads files and sends them. `failure` is what ended it, if anything did."""

    def __init__(self, writer: Any, reader: Any, files: Iterable[File]) -> None:
        super().__init__(name="onewarp-send", daemon=True)
        self._writer, self._reader, self._files = writer, reader, files
        self._sent: SimpleQueue[File | Refusal] = SimpleQueue()  # in order; what is refused here is not sent
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Send all files, and say that there are no more; where that fails, end the call."""
        try:
            for images in self._batches():
                self._writer.write_batch(pa.record_batch([pa.array(images, pa.binary())], schema=_SCHEMA))
            self._writer.done_writing()
        except BaseException as error:
            self.failure = error
            self._reader.cancel()

    def _batches(self) -> Iterator[list[bytes]]:
        images: list[bytes] = []
        for file in self._files:
            image = _read(file)
            if isinstance(image, Refusal):
                self._sent.put(image)
                continue
            if images and (len(images) == _IMAGES or sum(map(len, images)) + len(image) > _BYTES):
                yield images
                images = []
            images.append(image)
            self._sent.put(file)
        if images:
            yield images

    def take(self) -> tuple[File, list[Refusal]]:
        """The file that the next answer is about, and those before it that were not sent."""
        refusals: list[Refusal] = []
        while isinstance(file := self._sent.get_nowait(), Refusal):
            refusals.append(file)
        return file, refusals

    def rest(self) -> list[Refusal]:
        """The files after the last answer, none of which was sent."""
        self.join()
        rest: list[Refusal] = []
        while not self._sent.empty():
            file = self._sent.get_nowait()
            if not isinstance(file, Refusal):
                raise OnewarpError("the server has ended the stream before all files were answered: ask again")
            rest.append(file)
        return rest


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
