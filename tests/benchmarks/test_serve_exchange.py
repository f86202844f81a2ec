"""An exchange of photos is timed only where its tensors are those that are made in the process."""

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.benchmarks import serve_exchange
from onewarp.errors import UsageError
from onewarp.pipeline.service.exchange import ImageExchange
from onewarp.pipeline.service.inference import Inference
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service
from onewarp.trainers.inference_model import load_model


@pytest.fixture
def photos(tmp_path):
    random = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(random.integers(0, 256, (60 + i, 80, 3), np.uint8)).save(tmp_path / f"{i}.jpg")
    return tmp_path


@pytest.fixture
def model(tmp_path):
    return serve_exchange.write_model(tmp_path / "model", "small_resnet", 3)


@pytest.fixture
def address(model):
    inference = Inference(threads=1, model=load_model(model))
    server = Server(Service(ServedCaches({}), exchange=ImageExchange(inference)), "grpc://127.0.0.1:0")
    yield f"grpc://127.0.0.1:{server.port}"
    server.stop()
    inference.close()


def test_each_way_has_a_median_and_a_tail_beside_the_first(address, photos):
    rows, (goal,) = serve_exchange.exchanges(address, photos, rounds=2, threads=1)
    names = ["in the process, on all threads", "in the process, as one batch of test_dl", "an exchange"]
    assert [row["name"].partition(", ")[2] for row in rows] == names
    assert rows[0]["times"] == 1
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows)
    assert goal["got"] == pytest.approx(1.15 / rows[2]["times"], abs=0.01)


def test_labels_of_a_model_are_timed_too(address, model, photos):
    rows, (goal,) = serve_exchange.predictions(address, model, photos, rounds=1, threads=1)
    assert [row["name"].partition(" for ")[2] for row in rows] == [
        "labels, in the process, on all threads",
        "labels, an exchange",
    ]
    assert goal["asked"] == 1


def test_other_tensors_are_not_timed(address, photos, monkeypatch):
    monkeypatch.setattr(serve_exchange, "_tensor", lambda *a, **k: torch.zeros(3, 224, 224))
    with pytest.raises(UsageError, match="is not what is made in the process"):
        serve_exchange.exchanges(address, photos, rounds=1, threads=1)
