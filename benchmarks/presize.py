"""Presizing beside its peers: the same photos, one core, one thread, all to the same N x N crop.

`taskset -c 0 python -m onewarp.benchmarks.presize run PHOTOS… --size 460 --out RESULTS.json`. Every contender is a
process of its own. It first makes every photo once, which warms it up and is held against a float64 reference: the
photo decoded whole, and resampled by the triangle filter over the same square. Then come the rounds, each in another
order; medians and quartiles of images a second of processor time are told, which others on the machine disturb less
than the clock, and the ratio to fastai in the same round. `--simd PYTHON` adds Pillow of another environment.
"""

import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..pipeline.items import get_image_files
from ..pipeline.store.work import prepare_worker
from ..transforms.colourspace import needs_conversion
from ..transforms.decoding import Decoding, decode_pixels
from ..transforms.resizing import Sizing, resize
from .peers import pillow_alone, presizing
from .peers.pillow_alone import Presize

BASE = "fastai PILImage.create + Resize"
PACKAGES = ("pillow", "simplejpeg", "torch", "torchvision", "fastai", "opencv-python-headless")


@dataclass(frozen=True)
class Measured:
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
    "onewarp": ("simplejpeg", lambda: ours(Decoding().quality)),
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
        """End the process."""
        self._child.stdin.close()
        self._child.wait()


def contenders(simd: str | None) -> dict[str, Contender]:
    """Those that are installed, and Pillow of another environment."""
    found = {}
    for name, (package, _) in CONTENDERS.items():
        if _version(package) is not None:
            found[name] = Contender([sys.executable, "-m", __spec__.name, "serve", name])
    if simd is not None:
        other = Contender([simd, str(Path(pillow_alone.__file__))])
        found[f"Pillow of another environment ({other.version})"] = other
    return found


def compare(paths: Sequence[str], size: int, rounds: int, simd: str | None = None, seed: int = 0) -> list[Measured]:
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
    return [_measured(name, seconds, fidelity[name], len(paths)) for name in running]


def _measured(name: str, seconds: dict[str, list[float]], fidelity: list[float], count: int) -> Measured:
    rates = [count / s for s in seconds[name]]
    low, median, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else (rates[0],) * 3
    base = seconds.get(BASE)
    ratio = None if base is None else statistics.median(b / s for b, s in zip(base, seconds[name], strict=True))
    return Measured(name, low, median, high, ratio, min(fidelity), statistics.mean(fidelity))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _photos(sources: Sequence[Path], limit: int) -> list[str]:
    """Photos of the sources that are JPEG by content, evenly chosen; in sRGB, to which the others convert nothing."""
    files = [file for source in sources for file in ([source] if source.is_file() else get_image_files(source))]
    photos = [str(file) for file in files if file.read_bytes()[:3] == b"\xff\xd8\xff" and _is_srgb(file)]
    return photos[:: -(-len(photos) // limit)]


def _is_srgb(file: Path) -> bool:
    with Image.open(file) as image:
        return image.mode == "RGB" and not needs_conversion(image)


@click.group()
def main() -> None:
    """Presizing beside its peers."""


@main.command()
@click.argument("name")
def serve(name: str) -> None:
    """Be a contender, for `run`."""
    pillow_alone.serve(CONTENDERS[name][1](), _version(CONTENDERS[name][0]) or "")


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--size", default=460, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--limit", default=48, show_default=True, help="Photos at most.")
@click.option("--simd", help="The Python of an environment with pillow-simd.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON there.")
def run(sources: tuple[Path, ...], size: int, rounds: int, limit: int, simd: str | None, out: Path | None) -> None:
    """Presize the photos of SOURCES to SIZE x SIZE by every contender."""
    paths = _photos(sources, limit)
    found = compare(paths, size, rounds, simd)
    for one in found:
        times = "" if one.ratio is None else f"{one.ratio:6.2f} x"
        click.echo(
            f"{one.name:44s} {one.median:8.1f} images/s ({one.low:.1f} .. {one.high:.1f}) {times}  "
            f"{one.worst:5.1f} dB at worst, {one.mean:5.1f} on average"
        )
    if out is not None:
        said = {"photos": len(paths), "size": size, "rounds": rounds, "machine": platform.machine()}
        results = [asdict(one) for one in found]
        out.write_text(
            json.dumps({**said, "versions": {name: _version(name) for name in PACKAGES}, "results": results}, indent=1)
            + "\n"
        )


if __name__ == "__main__":
    main()
