"""How what becomes of images is written as record batches; `exchange.py` says what stands in them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from .inference import Answers, Inference, Model, Preparation
from .received_images import check_images
from .tensor_arrays import ARROW_TYPES, tensor_array
from .tickets import VERSION


@dataclass(frozen=True)
class AnswerColumns:
    """The columns of the answers to one exchange."""

    schema: pa.Schema
    model: Model | None

    @classmethod
    def of(
        cls, came: pa.Schema, inference: Inference, preparation: Preparation | None, tensors: bool
    ) -> "AnswerColumns":
        """For images that come with this schema; without a `preparation` the model's, and what it says.

        Raises `UsageError` where images cannot come so.
        """
        check_images(came)
        model = inference.model if preparation is None else None
        preparation = preparation or inference.prepared
        assert preparation is not None  # or there is nothing to do, which a question says
        fields = [pa.field("row", pa.int64(), nullable=False)]
        fields += [came.field("id")] if "id" in came.names else []
        fields += [pa.field("error", pa.string()), pa.field("matrix", pa.list_(pa.float64(), 9))]
        facts: dict[str, Any] = {"version": VERSION, "size": list(preparation.size)}
        if tensors:
            kind = pa.fixed_shape_tensor(ARROW_TYPES[preparation.dtype], [3, *preparation.size])
            fields.append(pa.field("x", kind))
        if model is not None:
            fields += _fields_of(model, inference)
            facts |= {"kind": model.kind, "vocab": None if model.vocab is None else [*model.vocab]}
        return cls(pa.schema(fields, {"onewarp": json.dumps(facts)}), model)

    def batch(self, first: int, ids: pa.Array | None, answers: Answers) -> pa.RecordBatch:
        """The answers to images from number `first` on."""
        good = [error is None for error in answers.errors]
        wrong = None if all(good) else pa.array([not well for well in good])
        arrays = []
        for field in self.schema:
            match field.name:
                case "row":
                    arrays.append(pa.array(range(first, first + len(answers)), pa.int64()))
                case "id":
                    arrays.append(ids)
                case "error":
                    arrays.append(pa.array(answers.errors, pa.string()))
                case "matrix":
                    arrays.append(tensor_array(torch.from_numpy(answers.matrix), field.type, wrong))
                case "x":
                    arrays.append(tensor_array(answers.x, field.type, wrong))
                case name:
                    arrays.append(_predicted(name, field.type, answers, self.model))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _fields_of(model: Model, inference: Inference) -> list[pa.Field]:
    """The columns of what a model says."""
    assert inference.example is not None  # for there is a model
    predictions, decoded = inference.example
    classes = model.kind in ("category", "multicategory") and predictions.ndim == 1
    fields = []
    if classes and model.vocab is not None:
        fields.append(pa.field("label", pa.string() if decoded.ndim == 0 else pa.list_(pa.string())))
    if classes:
        fields.append(pa.field("probabilities", pa.list_(pa.float32())))
    number = ARROW_TYPES[decoded.dtype]
    kind = number if decoded.ndim == 0 else pa.fixed_shape_tensor(number, list(decoded.shape))
    return [*fields, pa.field("decoded", kind)]


def _predicted(name: str, kind: pa.DataType, answers: Answers, model: Model | None) -> pa.Array:
    """A column of what the model says."""
    outputs = answers.outputs
    if name == "label":
        vocab = model.vocab if model is not None else None
        return pa.array([None if output is None else label_of(output[1], vocab or ()) for output in outputs], kind)
    if name == "probabilities":
        return pa.array([None if output is None else output[0].float().numpy() for output in outputs], kind)
    if not isinstance(kind, pa.FixedShapeTensorType):
        return pa.array([None if output is None else output[1].item() for output in outputs], kind)
    like = next((output[1] for output in outputs if output is not None), None)
    if like is None:
        return pa.nulls(len(outputs), kind)
    stacked = torch.stack([torch.zeros_like(like) if output is None else output[1] for output in outputs])
    return tensor_array(stacked, kind, pa.array([output is None for output in outputs]))


def label_of(decoded: Tensor, vocab: Sequence[str]) -> str | list[str]:
    """The name of a class, or the names of those that hold."""
    if decoded.ndim == 0:
        return vocab[int(decoded)]
    return [name for name, holds in zip(vocab, decoded.tolist(), strict=True) if holds]
