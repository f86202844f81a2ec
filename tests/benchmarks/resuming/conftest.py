"""A trainer that is resumed here, in the process of the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`resume(trainer)`: its first three idioms, each resumed from four checkpoints; everything must be equal."""
    from onewarp.benchmarks.resuming import rank

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def resume(trainer: str) -> None:
        pytest.importorskip(rank.PACKAGES[trainer], reason="it comes with the group adapters")
        rows = rank.rows(trainer, tmp_path, 4, 3)
        equal = {"batches": 4, "steps": 4, "rates": 4, "weights": 4}
        assert [row.get("equal", row) for row in rows] == [equal] * 3

    yield resume
    torch.set_num_threads(threads)
