"""An exchange of photos for tensors, or for labels, beside the same decoding, warp and model in the process.

All contenders begin with the bytes of encoded photos, and take turns. They must make the same tensors to the bit, and
give the same labels, or nothing is timed.
Over loopback the client, the server and what carries 600 kB for each tensor share the cores with the decoding, which in
the process has them for itself: so the smaller the photos, the more an exchange costs beside them.
"""

import operator
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
from ..pipeline.dataset.blocks import CategoryBlock, ImageBlock
from ..pipeline.dataset.items import get_image_files
from ..pipeline.dataset.keys import keys_of
from ..pipeline.dataset.samples import Samples
from ..pipeline.loading.decoded_rows import load_picture
from ..pipeline.loading.loader import Loader
from ..pipeline.service.asking import predict, prepare
from ..pipeline.service.remote_cache import servers_at
from ..trainers.exporting import ServingData
from ..trainers.inference_model import load_model
from ..trainers.predictor import Architecture, Predictor
from ..trainers.vision import named_model
from ..transforms.augment import Fused, aug_transforms, fuse
from ..transforms.colour import Normalize
from ..transforms.decoding.resizing import Sizing
from ..transforms.warp.threads import share
from .measuring import results

PHOTOS = 32
SIZING = Sizing(460)
RECIPE = fuse([*aug_transforms(size=224, min_scale=0.75), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def exchanges(address: str, photos: Path, rounds: int, threads: int) -> tuple[list[Any], list[Any]]:
    """Milliseconds of an exchange of photos for tensors with the server at `address`, and what is asked of it.

    There are 32 photos, spread over the folder, some of them twice where it has fewer.
    """
    images, servers = _read(photos), servers_at(address)
    with _local(threads) as local:
        contenders: dict[str, Callable[[], list[Any]]] = {
            "in the process, on all threads": partial(local, images, RECIPE, SIZING),
            "in the process, as one batch of test_dl": partial(_one_batch, images, threads),
            "an exchange": lambda: [one.x for one in prepare(servers, images, RECIPE, SIZING)],  # type: ignore[union-attr]
        }
        found = _measure(f"{PHOTOS} photos ({photos.name}) for tensors", contenders, torch.equal, rounds)
    servers.close()
    return found


def predictions(address: str, model: Path, photos: Path, rounds: int, threads: int) -> tuple[list[Any], list[Any]]:
    """The same of photos for labels, with the server at `address` that predicts by `model`, an exported learner."""
    images, servers, network = _read(photos), servers_at(address), load_model(model)

    def here() -> list[Any]:
        x = torch.stack(local(images, network.recipe, network.sizing))
        return network.predict(x)[1].tolist()

    with _local(threads) as local:
        contenders = {
            "in the process, on all threads": here,
            "an exchange": lambda: [int(one.decoded) for one in predict(servers, images)],  # type: ignore[union-attr]
        }
        found = _measure(f"{PHOTOS} photos ({photos.name}) for labels", contenders, operator.eq, rounds)
    servers.close()
    return found


def write_model(path: Path, name: str = "resnet18", classes: int = 37) -> Path:
    """Export a learner with a model of a name that has learnt nothing; what it says is noise."""
    data = ServingData((ImageBlock(), CategoryBlock([str(i) for i in range(classes)])), RECIPE, SIZING)
    torch.manual_seed(0)
    return Predictor(data, named_model(name, classes, pretrained=False), arch=Architecture(name, classes)).export(path)


def _read(photos: Path) -> list[bytes]:
    files = get_image_files(photos)
    return [files[i * len(files) // PHOTOS].read_bytes() for i in range(PHOTOS)]


def _measure(
    words: str, contenders: dict[str, Callable[[], list[Any]]], same: Callable[[Any, Any], bool], rounds: int
) -> tuple[list[Any], list[Any]]:
    """Rows of all contenders beside the first, and what is asked of the last, where all of them have the same."""
    first, *others = (contender() for contender in contenders.values())
    if not all(len(first) == len(other) and all(map(same, first, other)) for other in others):
        raise UsageError("what an exchange answers is not what is made in the process")
    seconds = {name: np.array(times) for name, times in _take_turns(contenders, rounds).items()}
    here, *_, there = seconds.values()
    rows = [_row(f"{words}, {name}", times, here) for name, times in seconds.items()]
    ratio = float(np.median(there) / np.median(here))
    measure = f"serve: an exchange of {words}, p50, 1.15 over times the same on all threads here"
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
def _local(threads: int) -> Iterator[Callable[..., list[Tensor]]]:
    """A function of photos, a recipe and a sizing: it decodes and warps on threads here, one photo each at a time."""
    with ThreadPoolExecutor(threads, initializer=share, initargs=(1,)) as pool:
        yield lambda images, recipe, sizing: list(pool.map(partial(_tensor, recipe=recipe, sizing=sizing), images))


def _tensor(image: bytes, recipe: Fused, sizing: Sizing | None) -> Tensor:
    pixels, _ = load_picture(image, sizing)
    plan = recipe.plan(np.array([pixels.shape[:2]]), None, split="valid")
    return recipe.images(torch.from_numpy(pixels)[None], plan)[0]


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
