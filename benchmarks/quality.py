"""How true a chain of operations is: PSNR beside the spline through the photo, under the chain's own map.

`measure` draws a chain for every photo (perspective, rotation and zoom always, a flip every other time, a crop of at
least three quarters) and has every contender render it. See benchmarks/README.md for the method.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..pipeline.presizing.progress import NoProgress, Reporter
from ..transforms.draw import draw, hash_keys
from ..transforms.geometry import Flip, Rotate, Warp, Zoom
from ..transforms.warp import OutSpec, warp
from . import one_by_one
from .augment import ALONE, FUSED, PLAIN, TORCH
from .measuring import homographies, photos, results
from .peers.chains import PEERS, Chain, Render, Rendered, to_interleaved, to_planar
from .spline_truth import Array, Spline, psnr

SIZE, MIN_SCALE, SEED = 224, 0.75, 3
SIDES = (460, 256)
BILINEAR = "bilinear, 8 x 8 samples a pixel"
OPERATIONS = (Warp(p=1.0), Flip(), Rotate(p=1.0), Zoom(p=1.0))


def draw_chains(count: int, side: int, seed: int = SEED) -> list[Chain]:
    """A chain for each of `count` photos."""
    keys, frame = hash_keys(range(count)), np.full((count, 2), float(side))
    moved = []
    for t in OPERATIONS:
        params = t.params(draw(seed, 0, keys, type(t).__name__, t.draws))
        moved.append(t.normalised(params, frame))
    place = draw(seed, 0, keys, "crop", 3)
    box = np.rint(np.sqrt(place.uniform(0, MIN_SCALE, 1)) * side).astype(int)
    x, y = (np.floor(place.uniform(i) * (side - box + 1)).astype(int) for i in (1, 2))
    return [Chain(tuple(m[i] for m in moved), (int(x[i]), int(y[i]), int(box[i])), SIZE) for i in range(count)]


def warp_image(image: NDArray[np.uint8], matrix: Array, size: int, device: str, **how: Any) -> Any:
    """One image through the warp, colours as they are: `[1, 3, h, w]` on the host."""
    rows, same = torch.from_numpy(image)[None].to(device), torch.eye(3, 4, device=device)[None]
    h = torch.from_numpy(matrix[None]).float().to(device)
    return warp(rows, h, None, same, OutSpec((size, size), **how)).cpu()


def warp_once(image: NDArray[np.uint8], chain: Chain, device: str, antialias: bool) -> Rendered:
    """One warp of the product."""
    found = chain.homographies(image.shape[0])
    done = warp_image(image, homographies.compose(found), chain.size, device, antialias=antialias)
    return to_interleaved(done) * 255, found


def one_at_a_time(image: NDArray[np.uint8], chain: Chain, device: str) -> Rendered:
    """The same kernel for every operation, bytes in between."""
    found, done = chain.homographies(image.shape[0]), image
    for i, matrix in enumerate(found):
        side = chain.size if i == len(found) - 1 else image.shape[0]
        moved = warp_image(done, matrix, side, device, dtype=torch.uint8, layout="channels_last")
        done = moved[0].permute(1, 2, 0).contiguous().numpy()
    return done.astype(np.float64), found


def one_at_a_time_in_torch(image: NDArray[np.uint8], chain: Chain) -> Rendered:
    """`grid_sample` of floats for every operation."""
    found, batch = chain.homographies(image.shape[0]), to_planar(image)
    for i, matrix in enumerate(found):
        side = chain.size if i == len(found) - 1 else image.shape[0]
        batch = one_by_one.resample(batch, matrix[None], (side, side))
    return to_interleaved(batch), found


def contenders(device: str) -> tuple[dict[str, Render], dict[str, str]]:
    """Everyone who is installed, and who is not; our warp runs on `device`, all else on the CPU."""
    ours: dict[str, Render] = {
        FUSED: partial(warp_once, device=device, antialias=True),
        PLAIN: partial(warp_once, device=device, antialias=False),
        ALONE: partial(one_at_a_time, device=device),
        TORCH: one_at_a_time_in_torch,
    }
    found = {**ours, **{name: peer.render for name, peer in PEERS.items() if find_spec(peer.package)}}
    return found, {name: "not installed" for name in PEERS if name not in found}


def chains(rows: NDArray[np.uint8], progress: Reporter | None = None, device: str = "cpu") -> list[dict[str, Any]]:
    """Rows for photos of one side, `uint8[N, S, S, 3]`, rendered at 224."""
    side, (renders, missing) = rows.shape[1], contenders(device)
    found: dict[str, list[float]] = {name: [] for name in renders}
    failed: dict[str, str] = {}
    for image, chain in zip(rows, draw_chains(len(rows), side), strict=True):
        spline, known = Spline(image), {}
        for name, render in renders.items():
            try:
                picture, composed = render(image, chain)
            except Exception as error:  # a peer that fails is a row that says so
                failed[name] = f"{type(error).__name__}: {error}"
                continue
            key = homographies.compose(composed).round(9).tobytes()
            if key not in known:  # peers that mean the same map share its truth
                known[key] = spline.under(homographies.compose(composed), chain.size)
            found[name].append(psnr(picture, known[key], homographies.inside(composed, side, chain.size)))
        (progress or NoProgress()).advance(1)
    setting = f"{side} -> {SIZE}"
    told = [row(name, setting, each) for name, each in found.items() if name not in failed]
    told += [{"name": name, "setting": setting, "status": "failed", "reason": why} for name, why in failed.items()]
    return told + [{"name": name, "setting": setting, "status": why, "reason": why} for name, why in missing.items()]


def row(name: str, setting: str, each: Sequence[float]) -> dict[str, Any]:
    """What a contender reached over the photos, in dB."""
    figures = {"mean": round(float(np.mean(each)), 2), "least": round(float(np.min(each)), 2), "photos": len(each)}
    return {"name": name, "setting": setting, "status": "measured", "psnr": figures}


def shrinks(side: int) -> dict[str, tuple[Array, int, int]]:
    """Strong reductions: the map about the middle of a photo, the output's side, and samples a side of its truth."""
    found = {}
    for shrink in (4, 8, 16):
        found[f"shrink {shrink}"] = (*about_the_middle(shrink, shrink, 10.0, side), 4 * shrink)
    found["anisotropy 6:1"] = (*about_the_middle(6, 1, 30.0, side), 24)
    return found


def about_the_middle(x: float, y: float, degrees: float, side: int) -> tuple[Array, int]:
    """A scale of the source by `x` and `y`, turned; the output is as large as fits into the photo."""
    size = int(side / max(x, y) / 1.42)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[c, -s], [s, c]]) @ np.diag([x, y])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = side / 2 - linear @ np.array([size / 2, size / 2])
    return matrix, size


def supersample(image: NDArray[np.uint8], matrix: Array, size: int, samples: int = 8) -> Array:
    """The mean of `samples` x `samples` bilinear samples in each pixel, by torch in double precision."""
    x, y = homographies.positions(matrix, size, samples)
    side = image.shape[0]
    grid = torch.from_numpy(np.stack([x, y], -1)[None] * (2 / side) - 1)
    found = torch.nn.functional.grid_sample(
        to_planar(image).double(), grid, padding_mode="reflection", align_corners=False
    )
    return np.moveaxis(homographies.box_means(found[0].numpy(), samples), 0, -1)


def reductions(rows: NDArray[np.uint8], progress: Reporter | None = None, device: str = "cpu") -> list[dict[str, Any]]:
    """Rows for strong reductions, beside 8 x 8 bilinear samples."""
    ways: dict[str, Callable[[NDArray[np.uint8], Array, int], Array]] = {
        FUSED: lambda image, m, size: to_interleaved(warp_image(image, m, size, device)) * 255,
        BILINEAR: supersample,
        PLAIN: lambda image, m, size: to_interleaved(warp_image(image, m, size, device, antialias=False)) * 255,
    }
    each: dict[tuple[str, str], list[float]] = {}
    for image in rows:
        spline = Spline(image)
        for setting, (matrix, size, samples) in shrinks(image.shape[0]).items():
            truth, kept = spline.under(matrix, size, samples), np.ones((size, size), bool)
            for name, way in ways.items():
                each.setdefault((name, setting), []).append(psnr(way(image, matrix, size), truth, kept))
        (progress or NoProgress()).advance(1)
    return [row(name, setting, values) for (name, setting), values in each.items()]


def level(rows: Sequence[Any], name: str, setting: str) -> float | None:
    """The mean PSNR of a row."""
    found = results.find_row(rows, name=name, setting=setting)
    return None if found is None else float(found["psnr"]["mean"])


def goals(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What issue 3 asks, as far as it was measured."""
    found = []
    own = level(rows, FUSED, "460 -> 224")
    if own is not None:
        found.append(results.goal("460 -> 224, antialiased, dB", 51.0, own))
        singly = [n for n in (ALONE, TORCH, *PEERS) if n not in ("fastai: fused", "cv2: composed")]
        peers = [("fastai: fused", 4.0), *((name, 9.0) for name in singly)]
        levels = [(name, least, level(rows, name, "460 -> 224")) for name, least in peers]
        found += [
            results.goal(f"460 -> 224, over {name}, dB", least, own - other)
            for name, least, other in levels
            if other is not None
        ]
    if (close := level(rows, FUSED, "256 -> 224")) is not None:
        found.append(results.goal("256 -> 224, antialiased, dB", 46.0, close))
    for setting in shrinks(SIDES[0]):
        ours, bilinear = level(rows, FUSED, setting), level(rows, BILINEAR, setting)
        if ours is not None and bilinear is not None:
            found.append(results.goal(f"{setting}, over {BILINEAR}, dB", -1.0, ours - bilinear))
    return found


def measure(folder: Path, count: int, progress: Reporter | None = None, device: str = "cpu") -> dict[str, Any]:
    """The result of the suite on `count` photos of a folder."""
    rows = []
    for side in SIDES:
        rows += chains(photos.squares(folder, count, side), progress, device)
    rows += reductions(photos.squares(folder, count, SIDES[0]), progress, device)
    settings = {"photos": count, "sides": list(SIDES), "size": SIZE, "seed": SEED, "samples": 8}
    return {**results.about("quality", device, settings), "rows": rows, "asked": goals(rows)}
