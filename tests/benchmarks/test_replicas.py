"""A replica that is killed costs nothing but a wait."""

import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks import replicas
from onewarp.pipeline import presize


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(48):
        pixels = np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((64, 48)).save(tmp_path / "photos" / f"{i}.png")
    presize(tmp_path / "photos", tmp_path / "cache", 48, encoding="jpeg")
    return tmp_path / "cache"


def test_two_kills_lose_nothing(cache):
    done = replicas.study(cache, 2, batch_size=2)
    assert [kill.same for kill in done] == [True, True]
    assert all(0 <= kill.batches < 24 for kill in done)


def test_a_summary_counts_what_was_lost_and_what_took_long():
    done = [replicas.Kill(3, 0.5, True), replicas.Kill(4, 2.5, True), replicas.Kill(5, 1.0, False)]
    found = replicas.summary(done)
    assert (found["kills"], found["same"], found["within_2_s"], found["longest_wait"]) == (3, 2, 2, 2.5)
    assert found["each"][0] == {"batches": 3, "longest_wait": 0.5, "same": True}
