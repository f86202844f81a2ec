"""One version of onewarp as a contender: a program for the Python of any version, so that it uses public names only.

It takes a folder of photos and the name of a piece of work. Each line on stdin asks for one round of it, and is
answered with the seconds of processor time that this process took for the work once. `benchmarks/versions.py` compares
two versions.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from onewarp.pipeline import Loader, presize
from onewarp.transforms import Normalize, aug_transforms, fuse

SIDE, SIZE, BATCH = 460, 224, 64
Work = Callable[[], Any]


def fuse_recipe() -> Any:
    """The usual augmentation, fused."""
    return fuse([*aug_transforms(size=SIZE, min_scale=0.75), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def photos(folder: Path) -> torch.Tensor:
    """`uint8[BATCH, SIDE, SIDE, 3]`."""
    rows = []
    for path in sorted(folder.iterdir())[:BATCH]:
        with Image.open(path) as image:
            rows.append(np.asarray(image.convert("RGB").resize((SIDE, SIDE))))
    return torch.from_numpy(np.stack([rows[i % len(rows)] for i in range(BATCH)]))


def repetitions(work: Work, seconds: float) -> int:
    """How often the work fits into so many seconds, once it is warm."""
    work()
    begin = time.perf_counter()
    work()
    return max(1, round(seconds / (time.perf_counter() - begin)))


def warp(folder: Path, scratch: Path) -> Work:
    """A batch through the warp, by one plan."""
    images, augmentation = photos(folder), fuse_recipe()
    plan = augmentation.plan(np.full((BATCH, 2), SIDE), np.arange(BATCH, dtype=np.uint64), split="train")
    return lambda: augmentation.images(images, plan)


def draw(folder: Path, scratch: Path) -> Work:
    """The draws of a batch: its plan, and no pixels."""
    augmentation, sizes, keys = fuse_recipe(), np.full((BATCH, 2), SIDE), np.arange(BATCH, dtype=np.uint64)
    return lambda: augmentation.plan(sizes, keys, 0, 1, "train")


def presizing(folder: Path, scratch: Path, encoding: Any) -> Work:
    """All photos into a cache."""

    def work() -> None:
        presize(folder, scratch / "made", SIDE, encoding=encoding, workers=1)
        shutil.rmtree(scratch / "made")

    return work


def epoch(folder: Path, scratch: Path, encoding: Any, augmented: bool) -> Work:
    """A later epoch over a cache of the photos; the first one is over."""
    presize(folder, scratch / "cache", SIDE, encoding=encoding, workers=1)
    loader: Iterable[Any] = Loader(
        scratch / "cache", batch_size=BATCH, batch_tfms=fuse_recipe() if augmented else None, threads=1
    )

    def work() -> None:
        for _ in loader:
            pass

    work()
    return work


WORK: dict[str, Callable[[Path, Path], Work]] = {
    "the warp": warp,
    "a batch's draws": draw,
    "presize, raw": lambda folder, scratch: presizing(folder, scratch, "raw"),
    "presize, JPEG": lambda folder, scratch: presizing(folder, scratch, "jpeg"),
    "an epoch, raw": lambda folder, scratch: epoch(folder, scratch, "raw", False),
    "an epoch, JPEG": lambda folder, scratch: epoch(folder, scratch, "jpeg", False),
    "an epoch, raw and augmented": lambda folder, scratch: epoch(folder, scratch, "raw", True),
}


def main(folder: str, name: str, seconds: str) -> None:
    """Answer round by round."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        work = WORK[name](Path(folder), Path(scratch))
        times = repetitions(work, float(seconds))
        print(json.dumps({"ready": name}), flush=True)
        for _ in sys.stdin:
            begin = time.process_time()
            for _ in range(times):
                work()
            print(json.dumps({"seconds": (time.process_time() - begin) / times}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
