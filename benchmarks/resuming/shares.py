"""Each sample once an epoch over 1, 2 and 3 ranks of each trainer, as processes of a group.

`python -m onewarp.benchmarks.resuming.shares TRAINER FOLDER` is one rank, which writes what it has trained on.
"""

import importlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...pipeline.order.ranks import from_environment
from ..measuring.results import version_of
from . import data
from .processes import launch_environments, start, wait
from .rank import NAMES, PACKAGES
from .traces import EPOCHS, digest

ROWS, SIZES, WORLDS = (97, 392), (16, 65), (1, 2, 3)
CASES = [(count, bs) for count in ROWS for bs in SIZES]
LIMIT = 900.0


def main() -> None:
    """One rank: train on each case, by the first idiom of a trainer, and write the samples of each."""
    trainer, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    module = importlib.import_module(f".{trainer}", __package__)
    found = [
        module.run(module.IDIOMS[0], folder / f"{count}-{bs}", None, partial(data.loaders, count, bs)).samples
        for count, bs in CASES
    ]
    (folder / f"samples-{from_environment('RANK', 0)}.json").write_text(json.dumps(found))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def rows(trainers: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A row of the result for each trainer and number of ranks."""
    for trainer in trainers:
        for ranks in WORLDS:
            head = {"name": NAMES[trainer], "setting": f"{ranks} {'ranks' if ranks > 1 else 'rank'}"}
            if version_of(PACKAGES[trainer]) is None:
                yield {**head, "status": "not installed", "reason": f"pip install {PACKAGES[trainer]}"}
                continue
            try:
                found = train_ranks(trainer, ranks)
                again = [repeats(samples, *case, ranks) for samples, case in zip(found, CASES, strict=True)]
            except Exception as error:
                yield {**head, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
                continue
            yield {**head, "status": "measured", "cases": len(again), "repeats": sum(again)}


def train_ranks(trainer: str, ranks: int) -> list[list[str]]:
    """The digests of the samples that all ranks have trained on, for each case; raises `AssertionError` where one ends
    without them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        command = [sys.executable, "-W", "ignore", "-m", f"{__package__}.shares", trainer, scratch]
        statuses = wait(start(command, launch_environments(ranks), folder, "output"), LIMIT)
        if any(statuses):
            told = "; ".join(file.read_text()[-1000:] for file in sorted(folder.glob("output-*")))
            raise AssertionError(f"the ranks ended with {statuses}: {told}")
        every = [json.loads(file.read_text()) for file in folder.glob("samples-*.json")]
    return [[sample for samples in case for sample in samples] for case in zip(*every, strict=True)]


def repeats(found: Iterable[str], count: int, bs: int, ranks: int) -> int:
    """How many samples came twice in an epoch; raises `AssertionError` where one is missing, is of no epoch, or where
    more came twice than fill the last step of several ranks up."""
    loader = data.loaders(count, bs, rank=0, world_size=1).train
    expected = {digest([image]) for _ in range(EPOCHS) for x, _ in loader for image in x}
    got = Counter(found)
    twice = got.total() - len(got)
    filled = EPOCHS * (-(-count // (bs * ranks)) * bs * ranks - count) if ranks > 1 else 0
    if set(got) != expected or len(expected) != EPOCHS * count or twice > filled:
        raise AssertionError(
            f"{count} samples in batches of {bs} must come once an epoch, but {len(set(got) & expected)} of "
            f"{len(expected)} came, {twice} of them again, and {len(set(got) - expected)} others"
        )
    return twice


if __name__ == "__main__":
    main()
