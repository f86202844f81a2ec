"""Encoded images in, what the validation pipeline makes of them out; beside it what a model says of them.

Images of all callers are decoded by the same threads, one image each. A model sees the images of all callers together:
a batch goes when it is full, when no image is on its way any more, or when its first image has waited for `delay`.
"""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Condition, Event, Lock, Thread
from time import monotonic
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import OnewarpError, UsageError
from ...transforms.augment import Fused
from ...transforms.decoding.cost import turn, worker_share
from ...transforms.decoding.decode import Decoding, decode_pixels
from ...transforms.decoding.orientation import swaps_axes
from ...transforms.decoding.picture import Buffer, Picture
from ...transforms.decoding.resizing import Sizing
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.threads import cores, share
from ..loading.decoded_rows import fit
from .limits import Limits
from .recipes import size_of_output
from .tickets import MOST_BATCH

_SECONDS = 20.0  # of one processor, for one image


class Model(Protocol):
    """What a server predicts with; it is called by one thread."""

    @property
    def recipe(self) -> Fused:
        """The transforms that its images pass."""

    @property
    def sizing(self) -> Sizing | None:
        """What size a photo gets before them."""

    @property
    def kind(self) -> str:
        """What it predicts: `category`, `multicategory`, `mask`, `points` or another kind of block."""

    @property
    def vocab(self) -> Sequence[str] | None:
        """The names of the classes, where there are any."""

    @property
    def batch_size(self) -> int:
        """How many images it takes at once."""

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions (probabilities), and decoded ones, for a batch `[N, 3, h, w]`: both `[N, ...]`, on the CPU.

        The former are float32; the latter float32, or whole numbers.
        """


@dataclass(frozen=True)
class Preparation:
    """The validation pipeline from a file's bytes to a tensor; `size` (height, width) is that of all its outputs."""

    recipe: Fused
    sizing: Sizing | None
    size: tuple[int, int]
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, recipe: Fused, sizing: Sizing | None, limits: Limits) -> "Preparation":
        """Raises `UsageError` where outputs are too large, or of several sizes."""
        return cls(recipe, sizing, size_of_output(recipe, sizing, limits), limits)

    @property
    def dtype(self) -> torch.dtype:
        """That of the tensors that are sent: Arrow has no bfloat16, whose numbers are float32 too."""
        return torch.float32 if self.recipe.dtype == torch.bfloat16 else self.recipe.dtype

    def tensor(self, data: Buffer) -> tuple[Tensor, NDArray[np.float64]]:
        """The tensor `[3, h, w]` of an encoded image, and the matrix from its pixels to the file's.

        Raises `DecodeError` and `UsageError` for an image that cannot be used, `ResourceError` where the machine had
        no room.
        """
        limits = self.limits
        decoding = Decoding(max_bytes=limits.image_bytes, max_pixels=limits.image_pixels, max_seconds=_SECONDS)
        memory = worker_share(None, None, decoding.max_memory)
        with ExitStack() as stack:
            picture = decode_pixels(
                data,
                None if self.sizing is None else self.sizing.size,
                decoding,
                lambda needed: stack.enter_context(turn(needed, memory)),
            )
            self._check_presized(picture)
            pixels, matrix = fit(picture, self.sizing)
        plan = self.recipe.plan(np.array([pixels.shape[:2]]), None, split="valid")
        x = self.recipe.images(torch.from_numpy(pixels)[None], plan)
        return x[0], matrix @ plan.matrix[0]

    def _check_presized(self, picture: Picture) -> None:
        if self.sizing is None:
            return
        height, width = picture.size[::-1] if swaps_axes(picture.orientation) else picture.size
        tall, wide = self.sizing.size_for(height, width)
        if tall * wide > self.limits.output_pixels:
            raise UsageError(
                f"has {height} x {width} pixels, which presizing makes {tall} x {wide}, and output_pixels is "
                f"{self.limits.output_pixels:,}"
            )


class Answers:
    """What becomes of some images, in their order, while it becomes so.

    Once `wait` has returned: `x` `[N, 3, h, w]`, `matrix` `float64[N, 3, 3]`, `errors`, None where all is well, and
    `outputs`, what the model says of each. Where there is an error, the tensor is zero.
    """

    def __init__(self, images: Sequence[Buffer | None], x: Tensor) -> None:
        self.x, self.matrix = x, np.zeros((len(images), 3, 3))
        self.errors: list[str | None] = [None] * len(images)
        self.outputs: list[tuple[Tensor, Tensor] | None] = [None] * len(images)
        self._images = list(images)
        self._left, self._lock, self._done = len(images), Lock(), Event()
        if not images:
            self._done.set()

    def __len__(self) -> int:
        return len(self.errors)

    def wait(self) -> "Answers":
        """Itself, when all are there."""
        self._done.wait()
        return self

    def take_image(self, number: int) -> Buffer | None:
        """The bytes of an image, which are let go."""
        image, self._images[number] = self._images[number], None
        return image

    def refuse(self, number: int, reason: str) -> None:
        """The image of this number has no answer, for a reason."""
        self.errors[number] = reason
        self.x[number].zero_()  # memory that others have used
        self.matrix[number] = 0
        self.finish(number)

    def finish(self, number: int, output: tuple[Tensor, Tensor] | None = None) -> None:
        """All is there that will be for the image of this number."""
        self.outputs[number] = output
        with self._lock:
            self._left -= 1
            if not self._left:
                self._done.set()


class Inference:
    """Turns encoded images into tensors, and by a model into predictions; many threads may call it at once.

    `threads` decode (as many as there are cores without), and `delay` is the seconds for which an image may wait for
    others to fill a model's batch. `example` is what the model says of one image. `close` ends its threads.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        model: Model | None = None,
        delay: float = 0.005,
        threads: int | None = None,
    ) -> None:
        if delay < 0:
            raise UsageError(f"delay must be seconds from 0 up, but got {delay}")
        self.limits, self.model = limits or Limits(), model
        self.prepared = None if model is None else Preparation.of(model.recipe, model.sizing, self.limits)
        self.example = None if model is None or self.prepared is None else _try(model, self.prepared)
        self._buffers = Buffers(largest=2 * MOST_BATCH)
        self._pool = ThreadPoolExecutor(threads or cores(), "onewarp-decode", initializer=share, initargs=(1,))
        self._batcher = None if model is None else Batcher(model, delay)

    def submit(self, images: Sequence[Buffer | None], preparation: Preparation | None = None) -> Answers:
        """Begin with some images (None: no image is there), and return what becomes of them.

        Without a `preparation` it is the model's, and so there are predictions.
        """
        prepared, batcher = self._prepared(preparation), None if preparation is not None else self._batcher
        answers = Answers(images, self._buffers.empty((len(images), 3, *prepared.size), prepared.dtype))
        if batcher is not None:
            batcher.expect(len(images))
        for number in range(len(images)):
            self._pool.submit(_prepare, answers, number, prepared, batcher)
        return answers

    def bytes_of_answer(self, preparation: Preparation | None = None) -> int:
        """How many bytes the tensor of one image takes."""
        prepared = self._prepared(preparation)
        return 3 * prepared.size[0] * prepared.size[1] * prepared.dtype.itemsize

    def _prepared(self, preparation: Preparation | None) -> Preparation:
        """This preparation, or the model's."""
        prepared = preparation or self.prepared
        if prepared is None:
            raise UsageError("images must have a recipe where there is no model")
        return prepared

    def close(self) -> None:
        """End all threads; images on their way are answered first."""
        self._pool.shutdown()
        if self._batcher is not None:
            self._batcher.close()


def _try(model: Model, prepared: Preparation) -> tuple[Tensor, Tensor]:
    """What a model says of one black image: it says something, and so no request has to wait for its first time."""
    predictions, decoded = model.predict(torch.zeros(1, 3, *prepared.size, dtype=prepared.dtype))
    return predictions[0], decoded[0]


def _prepare(answers: Answers, number: int, preparation: Preparation, batcher: "Batcher | None") -> None:
    """Make the tensor of one image."""
    image = answers.take_image(number)
    try:
        if image is None:
            raise UsageError("has no image")
        x, answers.matrix[number] = preparation.tensor(image)
        answers.x[number].copy_(x)
    except Exception as error:
        if batcher is not None:
            batcher.expect(-1)
        answers.refuse(number, reason_for_client(error))
    else:
        if batcher is None:
            answers.finish(number)
        else:
            batcher.put(answers, number)


def reason_for_client(error: Exception) -> str:
    """Why there is no answer, without what is the server's own: paths, and errors that it did not expect."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.filename is not None:
            return "cannot be decoded: the server could not use a file of its own"
        cause = cause.__cause__
    if isinstance(error, OnewarpError):
        return str(error)
    _LOG.error("an image has no answer", exc_info=error)
    return f"cannot be answered: the server failed ({type(error).__name__})"


_LOG = logging.getLogger(__name__)


class Batcher:
    """The images of several callers as batches of one model, in a thread of its own."""

    def __init__(self, model: Model, delay: float) -> None:
        self._model, self._delay = model, delay
        self._waiting: deque[tuple[Answers, int, float]] = deque()
        self._coming, self._closed, self._change = 0, False, Condition()
        self._thread = Thread(target=self._run, name="onewarp-model", daemon=True)
        self._thread.start()

    def expect(self, images: int) -> None:
        """So many more images are on their way, or so many less."""
        with self._change:
            self._coming += images
            self._change.notify()

    def put(self, answers: Answers, number: int) -> None:
        """An image that was expected is there."""
        with self._change:
            self._coming -= 1
            self._waiting.append((answers, number, monotonic() + self._delay))
            self._change.notify()

    def close(self) -> None:
        """End when all that waits is answered."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._answer(batch)
            del batch  # or it would live until the next one

    def _answer(self, batch: list[tuple[Answers, int]]) -> None:
        try:
            predictions, decoded = self._model.predict(torch.stack([answers.x[number] for answers, number in batch]))
            outputs = [(predictions[i], decoded[i]) for i in range(len(batch))]
        except Exception as error:
            for answers, number in batch:
                answers.refuse(number, reason_for_client(error))
        else:
            for (answers, number), output in zip(batch, outputs, strict=True):
                answers.finish(number, output)

    def _next(self) -> list[tuple[Answers, int]]:
        """The next batch; empty when there will be none."""
        with self._change:
            while not self._is_due():
                due = self._waiting[0][2] - monotonic() if self._waiting else None
                self._change.wait(due)
            count = min(len(self._waiting), self._model.batch_size)
            return [self._waiting.popleft()[:2] for _ in range(count)]

    def _is_due(self) -> bool:
        if not self._waiting:
            return self._closed
        full = len(self._waiting) >= self._model.batch_size
        return full or not self._coming or self._waiting[0][2] <= monotonic()
