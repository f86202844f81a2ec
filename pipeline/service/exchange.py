"""`do_exchange`: encoded images come in, tensors and predictions go out, while further images come.

The contract. The descriptor's command is JSON:

| field | what it says |
|---|---|
| `version` | 1 |
| `recipe` | the JSON of the transforms, as text (see `recipes.py`); without it the model's, or the server's own |
| `presize` | `{"size": 460, "square": null, "enlarge": false}`, or null for none; beside `recipe` alone |
| `tensors` | whether `x` is sent; true, but where there are predictions |

A record batch that comes in has rows, as many as one likes (of several images no more bytes than of the largest that is
allowed), with the columns

| column | type |
|---|---|
| `image` | binary, large_binary or binary_view: the bytes of an image file, not a path |
| `id` | text or whole numbers: sent back as it came; may be missing |

and for each of its rows, in order, a record batch that goes out has

| column | type |
|---|---|
| `row` | int64: the number of the image in the stream, from 0 |
| `id` | as it came in; missing where it was |
| `error` | string: why there is no answer, null where all is well; the other columns are null where it is not |
| `matrix` | float64[9]: 3 x 3, row by row, from continuous pixels of `x` to those of the file |
| `x` | fixed-shape tensor `[3, height, width]`: what a loader of the validation split makes of the image, to the bit |

and where the server's model predicts, which it does unless the request has a recipe,

| column | type |
|---|---|
| `label` | string, or a list of strings where an image may have several; with a vocabulary alone |
| `probabilities` | list of float32, one for each class; for classes alone |
| `decoded` | the number of the class, or a fixed-shape tensor: a number a class, a mask, points in pixels of `x` |

The metadata of the schema has `onewarp`, JSON: `version`, `size` (height and width of `x`), and with a model `kind`
(`category`, `multicategory`, `mask`, `points`, ...) and `vocab`. A batch that comes in is answered by one or several
that go out, and none waits for the next batch to come in: so one may send an image, and wait for its answer.
"""

from dataclasses import dataclass
from typing import Any

from ...errors import UsageError
from ...transforms.decoding.resizing import Sizing
from .admission import Room
from .answer_columns import AnswerColumns
from .inference import Inference, Preparation
from .monitoring import Tally
from .received_images import Receiver
from .recipes import read_recipe
from .record_stream import RecordStream
from .tickets import MOST_RECIPE, VERSION, Fields
from .time_limit import time_limit


@dataclass(frozen=True)
class Question:
    """What an exchange asks for: `preparation` is None where the model predicts."""

    preparation: Preparation | None
    tensors: bool

    @classmethod
    def of(cls, fields: Fields, inference: Inference, default: Preparation | None) -> "Question":
        """Read from the fields of a request. Raises `UsageError` for what a server does not do."""
        fields.version(VERSION)
        recipe = fields.text("recipe", MOST_RECIPE, "")
        presize = fields.take("presize", None)
        tensors = fields.flag("tensors", bool(recipe) or inference.model is None)
        fields.end()
        sizing = _sizing(presize)
        if recipe:
            return cls(Preparation.of(read_recipe(recipe), sizing, inference.limits), tensors)
        if presize is not None:
            raise UsageError("presize must stand beside a recipe, but there is none")
        if inference.model is None and default is None:
            raise UsageError("the request must have a recipe: this server has neither a model nor a recipe of its own")
        return cls(None if inference.model is not None else default, tensors)


def _sizing(presize: object) -> Sizing | None:
    if presize is None:
        return None
    if not isinstance(presize, dict):
        raise UsageError(f"presize must be a JSON object, but is a {type(presize).__name__}")
    fields = Fields(presize, "presize")
    size = fields.integer("size", 1, 1 << 16)
    square, enlarge = fields.take("square", None), fields.flag("enlarge", False)
    fields.end()
    if not isinstance(square, str | None):
        raise UsageError("presize: square must be crop, squish, pad or null")
    return Sizing(size, square, enlarge)  # type: ignore[arg-type]


class ImageExchange:
    """Answers `do_exchange` by an `Inference`; `default` is done to images where nothing is asked and nobody predicts.

    Calls raise `UsageError` for a request or a stream that is none, and `TimeoutError` where the client has stopped.
    """

    def __init__(self, inference: Inference, default: Preparation | None = None) -> None:
        self._inference, self._default = inference, default

    def __call__(
        self,
        context: Any,
        command: bytes,
        reader: Any,
        writer: Any,
        tally: Tally | None = None,
        room: Room | None = None,
    ) -> None:
        """Answer one exchange, until its client has sent all images.

        Rows and bytes are counted by `tally`, and what is held for the client is taken from its `room`.
        """
        inference, peer = self._inference, context.peer()
        seconds = inference.limits.stall_seconds
        fields = Fields.parse(command, "the request", inference.limits.request_bytes)
        question = Question.of(fields, inference, self._default)
        came = RecordStream(reader, peer, seconds).schema()
        columns = AnswerColumns.of(came, inference, question.preparation, question.tensors)
        with time_limit(peer, seconds, "took no schema"):
            writer.begin(columns.schema)
        with Receiver(reader, peer, inference, question.preparation, room) as receiver:
            for piece in receiver:
                batch = columns.batch(piece.first, piece.ids, piece.answers.wait())
                with time_limit(peer, seconds, "took no answer"):
                    writer.write_batch(batch)
                if tally is not None:
                    tally.add(rows=len(batch), nbytes=batch.nbytes)
