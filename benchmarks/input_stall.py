"""How much of a training step is waiting for data: steps fed by the loader beside steps on one batch that stays.

`python -m onewarp.benchmarks.input_stall CACHE --model resnet50 --device cuda --out RESULTS.json`; part of `on_gpu.sh`.

Both loops run the same steps, one after the other in turns; what the loader's loop takes longer is waiting. On a GPU
the loops are timed by events on the stream, so that nothing is synchronised within them.
"""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from ..pipeline.cache.reader import Cache
from ..pipeline.loading.loader import Loader
from ..pipeline.presizing.presizer import presize
from ..trainers.small_network import small_resnet
from ..trainers.synthetic_photos import draw_photos
from ..transforms.augment import aug_transforms
from ..transforms.colour import Normalize

Batches = Iterator[Any]


def step_of(model: nn.Module, device: torch.device) -> Callable[[Tensor, Tensor], None]:
    """One training step in bfloat16 where the device is a GPU."""
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    on_gpu = device.type == "cuda"

    def step(x: Tensor, y: Tensor) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    return step


def seconds(steps: int, batches: Batches, step: Callable[[Tensor, Tensor], None], device: torch.device) -> float:
    """What `steps` steps take."""
    if device.type != "cuda":
        begin = time.perf_counter()
        for x, y in itertools.islice(batches, steps):
            step(x, y)
        return time.perf_counter() - begin
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    first.record()
    for x, y in itertools.islice(batches, steps):
        step(x, y)
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / 1e3


def endless(loader: Loader) -> Batches:
    """The batches of a loader, epoch after epoch, without an end."""
    while True:
        yield from loader


def measure(
    cache: Path, model: nn.Module, device: torch.device, batch_size: int, size: int, steps: int, rounds: int
) -> dict[str, Any]:
    """Seconds a step with and without loading, and the share of waiting, for each round."""
    tfms = [*aug_transforms(size=size, min_scale=0.75), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    opened = Cache.open(cache)
    loader = Loader(opened, batch_size=batch_size, batch_tfms=tfms, tail="drop", device=device, prefetch=4)
    model.to(device).train()
    step, fed = step_of(model, device), endless(loader)
    kept = next(fed)
    seconds(max(3, steps // 4), fed, step, device)  # compiled code, autotuning, checksums
    found = []
    for _ in range(rounds):
        without = seconds(steps, itertools.repeat(kept), step, device) / steps
        loaded = seconds(steps, fed, step, device) / steps
        found.append({"step": without, "fed_step": loaded, "waiting": max(0.0, 1 - without / loaded)})
    return {
        "suite": "waiting",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "torch": torch.__version__,
        "rows": len(opened),
        "batch_size": batch_size,
        "size": size,
        "waiting": statistics.median(one["waiting"] for one in found),
        "rounds": found,
    }


def draw_cache(folder: Path, per_class: int, size: int) -> Path:
    """A cache of drawn photos."""
    presize(draw_photos(folder / "photos", per_class), folder / "cache", size, label="parent", encoding="raw")
    return folder / "cache"


def dry() -> dict[str, Any]:
    """The whole way on the CPU, as small as it gets: what it was done with, and no figure."""
    with tempfile.TemporaryDirectory() as folder:
        cache = draw_cache(Path(folder), per_class=4, size=64)
        found = measure(cache, small_resnet(6), torch.device("cpu"), batch_size=8, size=32, steps=2, rounds=1)
    return {"model": "small_resnet", **{name: found[name] for name in ("suite", "device", "torch", "rows")}}


def measure_model(cache: Path, name: str, device: torch.device, **settings: int) -> dict[str, Any]:
    """The measurement of a model of timm on a cache."""
    import timm

    model = timm.create_model(name, pretrained=False, num_classes=len(Cache.open(cache).vocab or ()) or 1)
    return {"model": name, **measure(cache, model, device, **settings)}


@click.command()
@click.argument("cache", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="resnet50", show_default=True, help="A model of timm.")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
@click.option("--batch-size", default=256, show_default=True)
@click.option("--size", default=224, show_default=True)
@click.option("--steps", default=100, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="A file for the JSON.")
@click.option("--dry", "only_dry", is_flag=True, help="Only see that it runs: on the CPU, small, without figures.")
def main(cache: Path | None, model: str, device: str, out: Path | None, only_dry: bool, **settings: int) -> None:
    """Measure how long training on CACHE (2,100 drawn photos of 460 pixels if not given) waits for data."""
    if only_dry:
        found = dry()
    elif cache is not None:
        found = measure_model(cache, model, torch.device(device), **settings)
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = draw_cache(Path(folder), per_class=350, size=460)
            found = measure_model(made, model, torch.device(device), **settings)
    text = json.dumps(found, indent=1)
    click.echo(text)
    if out:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
