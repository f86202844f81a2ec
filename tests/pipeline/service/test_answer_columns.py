"""Answers as record batches: types that are known before an image came, and tensors that are not copied."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from onewarp.pipeline.service.answer_columns import AnswerColumns, label_of
from onewarp.pipeline.service.inference import Inference, Preparation
from onewarp.pipeline.service.limits import Limits
from onewarp.transforms import Resize, fuse

CAME = pa.schema([("image", pa.binary())])


@pytest.fixture
def inference():
    inference = Inference()
    yield inference
    inference.close()


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        (torch.float32, pa.float32()),
        (torch.uint8, pa.uint8()),
        (torch.float64, pa.float64()),
        (torch.bfloat16, pa.float32()),
    ],
    ids=str,
)
def test_the_tensors_of_answers_are_those_of_the_record_batch(inference, encoded, dtype, number):
    preparation = Preparation.of(fuse([Resize((4, 6))], dtype=dtype), None, Limits())
    columns = AnswerColumns.of(CAME, inference, preparation, tensors=True)
    answers = inference.submit([encoded(0), b"", encoded(1)], preparation).wait()
    batch = columns.batch(5, None, answers)
    batch.validate(full=True)
    assert batch.schema.equals(columns.schema)
    assert batch["row"].to_pylist() == [5, 6, 7]
    x = batch["x"]
    assert x.type == pa.fixed_shape_tensor(number, [3, 4, 6])
    assert x.storage.values.buffers()[1].address == answers.x.data_ptr()
    assert [valid.as_py() for valid in x.is_valid()] == [True, False, True]
    assert np.array_equal(x.storage.values.to_numpy().reshape(3, 3, 4, 6), answers.x.numpy())
    matrix = batch["matrix"].to_pylist()
    assert matrix[1] is None
    assert matrix[2] == answers.matrix[2].ravel().tolist()


def test_tensors_that_nobody_asked_for_are_left_out(inference):
    preparation = Preparation.of(fuse([Resize(8)]), None, Limits())
    columns = AnswerColumns.of(CAME, inference, preparation, tensors=False)
    assert columns.schema.names == ["row", "error", "matrix"]


def test_a_label_is_a_name_or_a_list_of_names():
    assert label_of(torch.tensor(1), ["a", "b"]) == "b"
    assert label_of(torch.tensor([1.0, 0, 1]), ["a", "b", "c"]) == ["a", "c"]
    assert label_of(torch.zeros(2), ["a", "b"]) == []


def test_a_batch_of_nothing_but_errors_has_nulls_of_the_right_type(encoded):
    class Masks:
        recipe, sizing, kind, vocab, batch_size = fuse([Resize(8)]), None, "mask", None, 64

        def predict(self, x):
            return x, x[:, 0].long()

    inference = Inference(model=Masks())
    columns = AnswerColumns.of(CAME, inference, None, tensors=True)
    batch = columns.batch(0, None, inference.submit([b"", None]).wait())
    assert batch.schema.equals(columns.schema)
    assert batch["decoded"].null_count == batch["x"].null_count == 2
    inference.close()
