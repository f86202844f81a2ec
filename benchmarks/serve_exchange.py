"""An exchange of photos for tensors, beside the same decoding and warp in the process.

All begin with the bytes of encoded photos and end with their tensors, which are the same to the bit. They take turns.
Over loopback the client, the server and what carries 600 kB for each photo share the cores with the decoding, which in
the process has them for itself: so the smaller the photos, the more an exchange costs beside them.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from ..pipeline.datablock.sample_rows import sample_rows
from ..pipeline.dataset.blocks import ImageBlock
from ..pipeline.dataset.items import get_image_files
from ..pipeline.dataset.keys import keys_of
from ..pipeline.dataset.samples import Samples
from ..pipeline.loading.decoded_rows import load_picture
from ..pipeline.loading.loader import Loader
from ..pipeline.service.asking import prepare
from ..pipeline.service.remote_cache import servers_at
from ..transforms.augment import Fused, aug_transforms, fuse
from ..transforms.colour import Normalize
from ..transforms.decoding.resizing import Sizing
from ..transforms.warp.threads import share
from .measuring import results

PHOTOS = 32
SIZING = Sizing(460)
RECIPE = fuse([*aug_transforms(size=224, min_scale=0.75), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def exchanges(address: str, photos: Path, rounds: int, threads: int) -> tuple[list[Any], list[Any]]:
    """Milliseconds of an exchange with the server at `address`, p50 and p99, of photos in a folder; and what is asked.

    There are 32 of them, spread over the folder, some of them twice where it has fewer.
    """
    files = get_image_files(photos)
    images = [files[i * len(files) // PHOTOS].read_bytes() for i in range(PHOTOS)]
    servers = servers_at(address)
    with _local(threads) as local:
        contenders: dict[str, Callable[[], list[Tensor]]] = {
            "in the process, on all threads": partial(local, images),
            "in the process, as one batch of test_dl": partial(_one_batch, images, threads),
            "an exchange": lambda: [one.x for one in prepare(servers, images, RECIPE, SIZING)],  # type: ignore[union-attr]
        }
        _check(contenders)
        seconds = _take_turns(contenders, rounds)
    servers.close()
    here, *_, there = (np.array(times) for times in seconds.values())
    rows = [_row(f"{PHOTOS} of {photos.name}, {name}", np.array(times), here) for name, times in seconds.items()]
    ratio = float(np.median(there) / np.median(here))
    measure = f"serve: an exchange of {PHOTOS} of {photos.name}, p50, 1.15 over times the same on all threads here"
    return rows, [results.goal(measure, 1.0, 1.15 / ratio)]


def _row(name: str, times: Any, standard: Any) -> dict[str, Any]:
    p50, p99 = (1000 * np.percentile(times, share_of_all) for share_of_all in (50, 99))
    ratio = float(np.median(times) / np.median(standard))
    milliseconds = {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
    return {"name": name, "status": "measured", **milliseconds, "times": round(ratio, 3)}


def _one_batch(images: Sequence[bytes], threads: int) -> list[Tensor]:
    """What predictions in the process begin with: a loader over new items, of one batch."""
    samples = Samples(images, (ImageBlock(),), (None,))
    rows = sample_rows(samples, keys_of(images), ["valid"] * len(images), SIZING)
    (batch,) = Loader(rows, "valid", len(images), RECIPE, shuffle=False, threads=threads)
    return [*batch[0]]


@contextmanager
def _local(threads: int) -> Iterator[Callable[[Sequence[bytes]], list[Tensor]]]:
    """A function that decodes and warps photos on some threads of this process, one photo each at a time."""
    with ThreadPoolExecutor(threads, initializer=share, initargs=(1,)) as pool:
        yield lambda images: list(pool.map(partial(_tensor, recipe=RECIPE, sizing=SIZING), images))


def _tensor(image: bytes, recipe: Fused, sizing: Sizing) -> Tensor:
    pixels, _ = load_picture(image, sizing)
    plan = recipe.plan(np.array([pixels.shape[:2]]), None, split="valid")
    return recipe.images(torch.from_numpy(pixels)[None], plan)[0]


def _check(contenders: dict[str, Callable[[], list[Tensor]]]) -> None:
    """The gate: both have the same tensors, to the bit."""
    here, *others = (contender() for contender in contenders.values())
    if not all(len(here) == len(other) and all(map(torch.equal, here, other)) for other in others):
        raise UsageError("the tensors of an exchange are not those that are made in the process")


def _take_turns(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, in an order drawn for each, after three rounds that warm up."""
    draws, seconds = random.Random(0), {name: list[float]() for name in contenders}
    for turn in range(-3, rounds):
        for name in draws.sample([*contenders], len(contenders)):
            begin = time.perf_counter()
            contenders[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begin)
    return seconds
