import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onewarp.benchmarks.input_stall import measure
from onewarp.pipeline.presizing.presizer import presize


@pytest.fixture
def cache(tmp_path):
    for i in range(24):
        folder = tmp_path / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 10 * i, np.uint8)).save(folder / f"{i}.png")
    presize(tmp_path / "photos", tmp_path / "cache", 32, label="parent", encoding="raw")
    return tmp_path / "cache"


def test_waiting_is_a_share_of_the_step(cache):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    found = measure(cache, model, torch.device("cpu"), batch_size=8, size=16, steps=4, rounds=2)
    assert found["rows"] == 24
    assert len(found["rounds"]) == 2
    assert all(one["step"] > 0 and 0 <= one["waiting"] < 1 for one in found["rounds"])
