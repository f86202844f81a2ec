"""Presizing beside its peers: the same photos, one core, one thread, all to the same N x N crop.

`taskset -c 0 python -m onewarp.benchmarks.presize --simd .venv-simd/bin/python --out RESULTS.json`. Two sets of photos:
those of 500 pixels on the long side, as the web has them, and those of a phone. Every contender is a process of its
own. It first makes every photo once, which warms it up and is held against a float64 reference: the photo decoded
whole, and resampled by the triangle filter over the same square. Then come the rounds, each in another order; medians
and quartiles of images a second of processor time are told, which others on the machine disturb less than the clock,
and the ratio to fastai in the same round. `--simd PYTHON` adds Pillow of another environment.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import UsageError
from ..pipeline.dataset.items import get_image_files
from ..pipeline.presizing.part_task import prepare_worker
from ..transforms.decoding.colourspace import needs_conversion
from ..transforms.decoding.decode import Decoding, decode_pixels
from ..transforms.decoding.resizing import Sizing, resize
from .measuring import photos, results
from .peers import pillow_alone, presizing
from .peers.pillow_alone import Presize

BASE = "fastai PILImage.create + Resize"
OURS = "onewarp"
WEB, PHONE = "500 px web photos", "12 Mpx phone photos"
GOALS = {WEB: 2.5, PHONE: 4.0}
"""How many times as fast as fastai, at 50 dB in the worst photo."""


@dataclass(frozen=True)
class Measurement:
    """A contender: images a second (quartiles over rounds), times fastai (median), PSNR in dB (worst and mean)."""

    name: str
    low: float
    median: float
    high: float
    ratio: float | None
    worst: float
    mean: float


def ours(quality: float) -> Presize:
    """The decoder and the resizing of `onewarp presize`, in a worker as it makes one, at a quality setting."""
    prepare_worker()
    decoding = Decoding(quality=quality)

    def presize(path: str, size: int) -> Any:
        return resize(decode_pixels(path, size, decoding), Sizing(size, "crop"))[0]

    return presize


CONTENDERS: dict[str, tuple[str, Callable[[], Presize]]] = {  # name: the package that it needs, and how it is made
    OURS: ("simplejpeg", lambda: ours(Decoding().quality)),
    "onewarp, quality 1": ("simplejpeg", lambda: ours(1)),
    BASE: ("fastai", presizing.fastai),
    "Pillow": ("pillow", lambda: pillow_alone.presize),
    "torchvision decode + resized_crop": ("torchvision", presizing.torchvision),
    "cv2 imread + resize": ("opencv-python-headless", presizing.cv2),
}


def reference(path: str, size: int) -> NDArray[np.float64]:
    """The centre square of a photo decoded whole, resampled in float64 by a triangle as wide as the reduction."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.float64)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    weights = _triangle(side, size)
    square = pixels[top : top + side, left : left + side]
    return np.stack([weights @ square[..., c] @ weights.T for c in range(3)], -1)


def _triangle(length: int, size: int) -> NDArray[np.float64]:
    """float64[size, length], rows that sum to one."""
    step = length / size
    distance = (np.arange(length) + 0.5)[None] - ((np.arange(size) + 0.5) * step)[:, None]
    weights = np.clip(1 - np.abs(distance) / max(step, 1.0), 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def psnr(found: NDArray[Any], expected: NDArray[np.float64]) -> float:
    """In dB, of 8-bit pixels. The reference is as the file lies; a picture turned upright is turned to fit."""
    turned = [np.rot90(mirrored, k) for mirrored in (expected, expected[:, ::-1]) for k in range(4)]
    error = min(float(np.mean((found - candidate) ** 2)) for candidate in turned)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


class Contender:
    """A contender in a process of its own, as its users run it, that waits between its rounds."""

    def __init__(self, command: Sequence[str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._child: Any = subprocess.Popen(list(command), text=True, **pipes)  # type: ignore[call-overload]
        self.version: str = json.loads(self._child.stdout.readline())["version"]

    def round(self, paths: Sequence[str], size: int, keep: str | None = None) -> float:
        """Seconds for all of them; with `keep`, their pixels are left in that file before."""
        self._child.stdin.write(json.dumps({"paths": list(paths), "size": size, "keep": keep}) + "\n")
        self._child.stdin.flush()
        return float(json.loads(self._child.stdout.readline())["seconds"])

    def pixels(self, paths: Sequence[str], size: int) -> NDArray[np.uint8]:
        """What it makes of them: `uint8[N, size, size, 3]`."""
        with tempfile.NamedTemporaryFile(suffix=".npy") as kept:
            self.round(paths, size, kept.name)
            made: NDArray[np.uint8] = np.load(kept.name)
        return made

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        with self._child:  # closes the pipes, and waits
            pass


def contenders(simd: str | None) -> dict[str, Contender]:
    """Those that are installed, and Pillow of another environment."""
    found = {}
    for name, (package, _) in CONTENDERS.items():
        if results.version_of(package) is not None:
            found[name] = Contender([sys.executable, "-m", __spec__.name, "serve", name])
    if simd is not None:
        other = Contender([simd, str(Path(pillow_alone.__file__))])
        found[f"Pillow of another environment ({other.version})"] = other
    return found


def compare(paths: Sequence[str], size: int, rounds: int, simd: str | None = None, seed: int = 0) -> list[Measurement]:
    """Every contender, measured on the same photos."""
    running = contenders(simd)
    expected = [reference(path, size) for path in paths]
    fidelity = {
        name: [psnr(found, target) for found, target in zip(one.pixels(paths, size), expected, strict=True)]
        for name, one in running.items()
    }
    order, draws = list(running), random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        draws.shuffle(order)
        for name in order:
            seconds[name].append(running[name].round(paths, size))
    for one in running.values():
        one.close()
    return [_summarise(name, seconds, fidelity[name], len(paths)) for name in running]


def _summarise(name: str, seconds: dict[str, list[float]], fidelity: list[float], count: int) -> Measurement:
    rates = [count / s for s in seconds[name]]
    low, median, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else (rates[0],) * 3
    base = seconds.get(BASE)
    ratio = None if base is None else statistics.median(b / s for b, s in zip(base, seconds[name], strict=True))
    return Measurement(name, low, median, high, ratio, min(fidelity), statistics.mean(fidelity))


def row(setting: str, one: Measurement) -> dict[str, Any]:
    """A contender's row of the result."""
    return {
        "name": one.name,
        "setting": setting,
        "status": "measured",
        "images_per_second": {"cpu": [round(rate, 2) for rate in (one.low, one.median, one.high)]},
        "times_fastai": None if one.ratio is None else round(one.ratio, 3),
        "psnr": {"mean": round(one.mean, 2), "least": round(one.worst, 2)},
    }


def absent(setting: str, simd: str | None) -> list[dict[str, Any]]:
    """Rows that say who is not there."""
    missing = [(name, package) for name, (package, _) in CONTENDERS.items() if results.version_of(package) is None]
    if simd is None:
        missing.append(("Pillow of another environment", "an environment named by --simd"))
    told = {"setting": setting, "status": "not installed"}
    return [{"name": name, **told, "reason": f"{package} is not there"} for name, package in missing]


def goals(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was asked beside what was measured."""
    found = []
    for setting, times in GOALS.items():
        ours = results.find_row(rows, name=OURS, setting=setting)
        if ours is not None and ours["times_fastai"] is not None:
            found.append(results.goal(f"presize: {setting}, times {BASE}", times, ours["times_fastai"]))
        if ours is not None:
            found.append(results.goal(f"presize: {setting}, the worst photo, dB", 50.0, ours["psnr"]["least"]))
    return found


def choose_photos(folder: Path, limit: int, long: int | None = None) -> list[str]:
    """Photos that are JPEG by content, evenly chosen; in sRGB, to which the others convert nothing.

    With `long` only those that have so many pixels on the long side.
    """
    files = [str(file) for file in get_image_files(folder) if file.read_bytes()[:3] == b"\xff\xd8\xff"]
    fitting = [file for file in files if _fits(file, long)]
    if not fitting:
        raise UsageError(f"photos must lie in a folder, but {folder} has none that fits: name another")
    return fitting[:: -(-len(fitting) // limit)]


def _fits(file: str, long: int | None) -> bool:
    with Image.open(file) as image:
        return image.mode == "RGB" and not needs_conversion(image) and long in (None, max(image.size))


def measure(sets: Mapping[str, Sequence[str]], size: int, rounds: int, simd: str | None) -> dict[str, Any]:
    """All contenders over all sets of photos."""
    rows = []
    for setting, paths in sets.items():
        rows += [row(setting, one) for one in compare(paths, size, rounds, simd)] + absent(setting, simd)
    counts = {setting: len(paths) for setting, paths in sets.items()}
    about = results.about("presize", "cpu", {**counts, "size": size, "rounds": rounds})
    about["versions"] |= {name: results.version_of(name) for name in ("pillow", "simplejpeg")}
    return {**about, "rows": rows, "asked": goals(rows)}


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--web", type=click.Path(path_type=Path), default=photos.PETS, help="A folder with photos of 500 pixels.")
@click.option("--phone", type=click.Path(path_type=Path), default=photos.PHONE, help="A folder with a phone's photos.")
@click.option("--size", default=460, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--limit", default=48, show_default=True, help="Photos of a set at most.")
@click.option("--simd", help="The Python of an environment with pillow-simd.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON there.")
def main(
    context: click.Context,
    web: Path,
    phone: Path,
    size: int,
    rounds: int,
    limit: int,
    simd: str | None,
    out: Path | None,
) -> None:
    """Presize photos to SIZE x SIZE by every contender."""
    if context.invoked_subcommand is not None:
        return
    found = measure({WEB: choose_photos(web, limit, 500), PHONE: choose_photos(phone, limit)}, size, rounds, simd)
    results.check(found)
    for one in found["rows"]:
        click.echo(f"{one['setting']}, {one['name']:44s} {describe(one)}")
    for one in found["asked"]:
        click.echo(f"{one['measure']}: {one['got']}, asked {one['asked']}{'' if one['holds'] else ', missed'}")
    if out is not None:
        out.write_text(json.dumps(found, indent=1) + "\n")


def describe(one: Mapping[str, Any]) -> str:
    """A row in words: its rate with quartiles, times fastai, and its PSNR."""
    if one["status"] != "measured":
        return str(one["reason"])
    low, median, high = one["images_per_second"]["cpu"]
    times = "" if one["times_fastai"] is None else f", {one['times_fastai']:.2f} x fastai"
    level = f"{one['psnr']['least']:.1f} dB at worst, {one['psnr']['mean']:.1f} on average"
    return f"{median:.1f} images/s ({low:.1f} .. {high:.1f}){times}, {level}"


@main.command()
@click.argument("name")
def serve(name: str) -> None:
    """Be a contender, for the comparison."""
    pillow_alone.serve(CONTENDERS[name][1](), results.version_of(CONTENDERS[name][0]) or "")


if __name__ == "__main__":
    main()
