"""The warp on a GPU: held to the reference on this very device, and measured beside its peers; one part for each call.

Run by `on_gpu.py`, which lets nothing be measured unless every check holds. A figure is the median of rounds that take
all contenders of a group in alternating order, each timed by device events; quartiles beside it. A group is in the JSON
as soon as it is measured, and one that is there is not measured again. A dry run writes no figure.
"""

import argparse
import hashlib
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..transforms.augment import aug_transforms, fuse
from ..transforms.colour import Brightness, Contrast, Normalize
from ..transforms.geometry import Affine, Flip, RandomResizedCrop
from ..transforms.gpu_planner import GpuPlan, GpuPlanner
from ..transforms.types import sizes_of
from ..transforms.warp import OutSpec, backends, gpu, reference, warp
from ..transforms.warp.packed import Packed
from . import one_by_one
from .measuring import results
from .measuring.report import Report
from .peers.gpu import MEAN, PEERS, STD

ROOT = Path(__file__).resolve().parents[1]
PADDINGS: tuple[Any, ...] = ("reflection", "border", "zeros", (0.2, 0.4, 0.6))
ROUNDS, AIM = 21, 2e-3
"""How often each contender is timed, and for how many seconds at least."""
WHOLE, COMMON = "onewarp: antialiased, whole call, graph", "onewarp: operations of triton-augment"


@dataclass(frozen=True)
class Setting:
    """The sizes of a run: everything, or as little as shows that it would run."""

    device: torch.device
    dry: bool
    source: int
    size: int
    small: int
    large: int


@dataclass(frozen=True)
class Check:
    """A back end beside the reference: the largest and the mean difference, in the images' units."""

    name: str
    largest: float
    mean: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the largest is within its bound, and the mean within 1e-3 and half the bound's excess over 1/255."""
        return self.largest <= self.bound and self.mean <= 1e-3 + max(0.0, self.bound - 1 / 255) / 2


@dataclass(frozen=True)
class Contender:
    """Something to time: a call, for how many images, what it is in words, and which of ours it is held against."""

    name: str
    images: int
    call: Callable[[], Any]
    beside: str | None = None


@dataclass(frozen=True)
class Figure:
    """Microseconds of one call: median and quartiles."""

    name: str
    images: int
    beside: str | None
    median: float
    lower: float
    upper: float

    @property
    def rate(self) -> float:
        """Images a second, at the median."""
        return self.images / self.median * 1e6


def homographies(count: int, source: tuple[int, int], size: tuple[int, int], seed: int) -> Tensor:
    """Turned, scaled by e^-1 to e^2 along each axis, tilted, about the middle: `float32[N, 3, 3]`."""
    draw = torch.randn(5, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    c, s = (3 * draw[0]).cos(), (3 * draw[0]).sin()
    x, y = draw[1].clamp(-1, 2).exp(), draw[2].clamp(-1, 2).exp()
    middle = torch.zeros(count, 3, 3, dtype=torch.float64)
    middle[:, 0, 0], middle[:, 0, 1], middle[:, 1, 0], middle[:, 1, 1] = c * x, s * y, -s * x, c * y
    middle[:, 2, 0], middle[:, 2, 1], middle[:, 2, 2] = 1e-3 * draw[3], 1e-3 * draw[4], 1
    back, forth = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    back[0, 2], back[1, 2], forth[0, 2], forth[1, 2] = -size[1] / 2, -size[0] / 2, source[1] / 2, source[0] / 2
    return (forth @ middle @ back).float()


def to_device(images: Tensor | Packed, device: torch.device) -> Tensor | Packed:
    """The same images in the memory of a device."""
    if isinstance(images, Packed):
        return Packed(images.data.to(device), images.offsets.to(device), images.sizes.to(device))
    return images.to(device)


def compare_to_reference(name: str, backend: Any, images: Tensor | Packed, homography: Tensor, spec: OutSpec) -> Check:
    """A back end beside the reference in float64, both where the images are."""
    colour = torch.eye(3, 4, device=homography.device).repeat(len(images), 1, 1)
    exact = OutSpec(spec.size, torch.float64, padding=spec.padding, antialias=spec.antialias)
    expected = reference.warp(images, homography, None, colour, exact)
    found = warp(images, homography, None, colour, spec, backend=backend).double()
    found = found / 255 if spec.dtype == torch.uint8 else found
    row = torch.arange(spec.size[0], device=found.device)[:, None] + 0.5
    column = torch.arange(spec.size[1], device=found.device) + 0.5
    h = homography[:, 2, :, None, None]
    seen = (h[:, 0] * column + h[:, 1] * row + h[:, 2] > 0.05)[:, None].expand_as(found)
    off = (found - expected).abs()[seen]
    rounding = {torch.float32: 0.0, torch.uint8: 0.5 / 255, torch.bfloat16: 2**-8 if found.is_cuda else 2**-7}
    return Check(name, float(off.max()), float(off.mean()), 1 / 255 + rounding[spec.dtype])


def checks(setting: Setting) -> Iterator[Check]:
    """Every back end that there is, over sizes, paddings, filters and number formats."""
    sizes = [(37, 53), (1, 1), (5, 2)] if setting.dry else [(37, 53), (1, 1), (5, 2), (513, 301), (64, 512), (460, 460)]
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (h, w, 3), generator=draw, dtype=torch.uint8) for h, w in sizes]
    size = (33, 20) if setting.dry else (225, 223)
    homography = torch.cat([homographies(1, (x.shape[0], x.shape[1]), size, i) for i, x in enumerate(images)])
    for name, state in backends().items():
        if name == "reference" or not state.available:
            continue
        device = setting.device if name == "gpu" else torch.device("cpu")
        packed, there = to_device(Packed.of(images), device), homography.to(device)
        for padding in PADDINGS[::3] if setting.dry else PADDINGS:
            for antialias in (True, False):
                spec = OutSpec(size, padding=padding, antialias=antialias)
                words = f"{name}, packed, {padding}, antialias={antialias}"
                yield compare_to_reference(words, name, packed, there, spec)
        for dtype in (torch.uint8, torch.bfloat16):
            spec = OutSpec(size, dtype, "channels_last")
            dense = to_device(images[0][None], device)
            yield compare_to_reference(f"{name}, dense, {dtype}, channels last", name, dense, there[:1], spec)
        floats = to_device(images[0][None] / 255, device)
        yield compare_to_reference(f"{name}, floats", name, floats, there[:1], OutSpec(size))
    yield check_plan(setting)


def check_plan(setting: Setting) -> Check:
    """Where the corners of the output fall by the device's parameters and the host's, over the size of the source."""
    fused, size = fuse(recipe(setting)), setting.source
    images = torch.zeros(setting.small, size, size, 3, dtype=torch.uint8)
    host = torch.from_numpy(fused.plan(sizes_of(images), range(len(images)), 1, 2, "train").matrix)
    drawn = GpuPlanner.of(fused, setting.device, "train")
    device = drawn.plan(images.to(setting.device), drawn.hashes(None, len(images)), drawn.stream(1, 2))
    corners = torch.tensor([[0.0, 0, 1], [setting.size, 0, 1], [0, setting.size, 1]], dtype=torch.float64).T
    there, here = host @ corners, device.matrix.cpu().double() @ corners
    off = (there[:, :2] / there[:, 2:] - here[:, :2] / here[:, 2:]).abs() / size
    return Check("parameters drawn on the device", float(off.max()), float(off.mean()), 1e-5)


def recipe(setting: Setting) -> list[Any]:
    """What everyone is asked to do."""
    return [*aug_transforms(size=setting.size, min_scale=0.75), Normalize(MEAN, STD)]


def triton_augments(setting: Setting) -> list[Any]:
    """The operations that triton-augment has: no perspective, a crop without a resize, no filter."""
    share = (setting.size / setting.source) ** 2
    crop = RandomResizedCrop(setting.size, min_scale=share, max_scale=share, ratio=(1.0, 1.0))
    return [
        Affine(10.0, scale=(1.0, 1.1), pad_mode="zeros"),
        crop,
        Flip(pad_mode="zeros"),
        Brightness(),
        Contrast(),
        Normalize(MEAN, STD),
    ]


class Ours:
    """An augmentation of a batch with everything that a graph needs kept."""

    def __init__(self, setting: Setting, transforms: list[Any], images: Tensor, antialias: bool = True) -> None:
        fused = fuse(transforms, dtype=torch.bfloat16, antialias=antialias)
        self.drawn, self.images = GpuPlanner.of(fused, setting.device, "train"), images
        self.hashes, self.stream = self.drawn.hashes(None, len(images)), self.drawn.stream(0, 0)
        self.known: GpuPlan = self.plan()

    def plan(self) -> GpuPlan:
        """What the first launch gives: a matrix and a colour map for each image."""
        return self.drawn.plan(self.images, self.hashes, self.stream)

    def warp(self) -> Tensor:
        """The second launch alone, with parameters that are known."""
        return self.drawn.images(self.images, self.known)

    def draw_and_warp(self) -> Tensor:
        """Both launches, one after the other."""
        return self.drawn.images(self.images, self.plan())


def capture(setting: Setting, call: Callable[[], Any]) -> Callable[[], Any]:
    """The call as a CUDA graph; itself where there is no GPU."""
    call()
    if setting.dry:
        return call
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def pictures(setting: Setting, folder: Path | None) -> tuple[Tensor, str]:
    """The batch `uint8[N, S, S, 3]` that everyone is given, on the device, and what it is: photos, or noise and why.

    Photos are those of `folder`, or those beside the repository. Raises `UsageError` where `folder` has none.
    """
    try:
        from .measuring.photos import PETS, squares

        if folder is not None or PETS.is_dir():
            photos = torch.from_numpy(squares(folder or PETS, setting.large, setting.source))
            return photos.to(setting.device), "photos"
        reason = f"there is no folder {PETS}; --photos names another"
    except ImportError as error:
        reason = f"photos cannot be decoded: {error}"
    print(f"noise is augmented in place of photos: {reason}", file=sys.stderr)
    draw = torch.Generator().manual_seed(1)
    shape = (setting.large, setting.source, setting.source, 3)
    noise = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return noise.to(setting.device), f"noise: {reason}"


def warps(setting: Setting, images: Tensor, antialias: bool) -> list[Contender]:
    """The whole call under a graph and launched, and the warp alone under a graph."""
    ours, count = Ours(setting, recipe(setting), images, antialias), len(images)
    name = f"onewarp: {'antialiased' if antialias else 'plain'}"
    return [
        Contender(f"{name}, whole call, graph", count, capture(setting, ours.draw_and_warp)),
        Contender(f"{name}, whole call, launched", count, ours.draw_and_warp),
        Contender(f"{name}, warp alone, graph", count, capture(setting, ours.warp)),
    ]


def one_at_a_time(setting: Setting, batch: Tensor, name: str, way: Callable[[Tensor, Any], Any]) -> list[Contender]:
    """The same transforms one at a time, beside the fused ones."""
    steps = fuse(recipe(setting), one_by_one=True).plan(sizes_of(batch), None, 0, split="train")
    ours = Ours(setting, recipe(setting), batch)
    return [
        Contender(WHOLE, len(batch), capture(setting, ours.draw_and_warp)),
        Contender(name, len(batch), lambda: way(batch, steps), WHOLE),
    ]


def against_peer(setting: Setting, batch: Tensor, part: str) -> list[Contender]:
    """A peer, beside ours with the same recipe: of what triton-augment has, where it is the peer."""
    label, make = PEERS[part]
    peer, planar = make(setting.size, setting.device), batch.permute(0, 3, 1, 2).contiguous()
    peer(planar)
    simple = part == "triton-augment"
    transforms = triton_augments(setting) if simple else recipe(setting)
    ours = Ours(setting, transforms, batch, antialias=not simple)
    name = COMMON if simple else WHOLE
    return [
        Contender(name, len(batch), capture(setting, ours.draw_and_warp)),
        Contender(label, len(batch), lambda: peer(planar), name),
    ]


def groups(setting: Setting, part: str, batch: Tensor) -> dict[str, Callable[[], list[Contender]]]:
    """What a part measures: the contenders of each group, made when it is their turn."""
    if part in ("warp", "graph"):
        images = batch[: setting.small] if part == "warp" else batch
        ways = (("antialiased", True), ("plain", False))
        return {f"{name}, {len(images)}": partial(warps, setting, images, antialias) for name, antialias in ways}
    if part == "alone":
        ours = {"same kernel": one_by_one.in_kernel, "in torch": one_by_one.in_torch}
        names = {f"onewarp: one at a time, {name}": way for name, way in ours.items()}
        return {name: partial(one_at_a_time, setting, batch, name, way) for name, way in names.items()}
    return {part: partial(against_peer, setting, batch, part)}


def time_on_device(call: Callable[[], Any], repeats: int) -> float:
    """Microseconds of one of `repeats` calls in a row, by the device's clock."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) * 1000 / repeats


def measure_group(everyone: list[Contender]) -> list[Figure]:
    """All contenders, round by round in alternating order."""
    repeats = {}
    for contender in everyone:
        time_on_device(contender.call, 3)  # warm-up
        repeats[contender.name] = max(1, int(AIM * 1e6 / time_on_device(contender.call, 3)))
    times: dict[str, list[float]] = {contender.name: [] for contender in everyone}
    for number in range(ROUNDS):
        for contender in everyone if number % 2 else reversed(everyone):
            times[contender.name].append(time_on_device(contender.call, repeats[contender.name]))
    found = []
    for contender in everyone:
        lower, median, upper = statistics.quantiles(times[contender.name], n=4)
        found.append(Figure(contender.name, contender.images, contender.beside, median, lower, upper))
    return found


def tune(setting: Setting, batch: Tensor) -> list[dict[str, Any]]:
    """The warp alone, antialiased and plain, over ways to divide it among threads."""
    kept, found = (gpu.CHUNK, gpu.PATCH, gpu.WARPS, gpu.REGISTERS, gpu.PLAIN_REGISTERS), []
    ways = [(c, p, w, r) for c in (128, 256, 512) for p in (8, 16, 32) for w in (4, 8) for r in (64, 80, 96, 128, 168)]
    ways = [way for way in ways if way[0] >= 32 * way[2]]
    for antialias in (True, False):
        ours = Ours(setting, recipe(setting), batch, antialias)
        for way in ways[:1] if setting.dry else ways:
            if not setting.dry:
                gpu.CHUNK, gpu.PATCH, gpu.WARPS, gpu.REGISTERS = way
                gpu.PLAIN_REGISTERS = gpu.REGISTERS
            call = capture(setting, ours.warp)
            row: dict[str, Any] = {"antialias": antialias, "chunk": way[0], "patch": way[1], "warps": way[2]}
            row["registers"] = way[3]
            if not setting.dry:
                row["microseconds"] = statistics.median(time_on_device(call, 5) for _ in range(5))
            found.append(row)
    gpu.CHUNK, gpu.PATCH, gpu.WARPS, gpu.REGISTERS, gpu.PLAIN_REGISTERS = kept
    return found if setting.dry else sorted(found, key=lambda row: (row["antialias"], row["microseconds"]))


def machine(dry: bool) -> dict[str, Any]:
    """Where and with what this is run; `sources` changes with every line of the warp and of its measurement."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in ("transforms", "benchmarks") for path in (ROOT / folder).rglob("*.py")):
        digest.update(path.read_bytes())
    return {
        "machine": platform.machine(),
        "device": "none: interpreted" if dry else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "back ends": {name: state.detail for name, state in backends().items()},
        "sources": digest.hexdigest()[:12],
        "commit": results.commit(),
    }


def count_instructions(target: str) -> int:
    """Print what the warp costs on a GPU, and what bounds it."""
    from .ptx.model import DRAWING, cost, drawing, drawing_row, table
    from .ptx.sass import version

    torch.set_num_threads(1)
    print(table([cost(target, antialias) for antialias in (True, False)], target))
    print(f"{DRAWING}\n{drawing_row(drawing(target), target)}\n")
    print(f"Counted, not timed: {version()}, commit {results.commit()}.")
    return 0


def run_checks(setting: Setting, report: Report) -> int:
    """Every check, told and put into the report; 1 where one does not hold."""
    report.write(checks=[])
    for check in checks(setting):
        word = "ok " if check.holds else "BAD"
        print(f"{word} {check.name}: {check.largest:.2e} of {check.bound:.2e}", file=sys.stderr)
        report.write(checks=[*report.read()["checks"], {**asdict(check), "holds": check.holds}])
    return 0 if all(check["holds"] for check in report.read()["checks"]) else 1


def measure(setting: Setting, part: str, photos: Path | None, report: Report) -> int:
    """The groups of a part that the report does not have yet; 1 where one of ours does not run."""
    batch, kind = pictures(setting, photos)
    if part == "tune":
        report.write(tuning=tune(setting, batch))
        return 0
    for name, make in groups(setting, part, batch).items():
        if name in report.groups():
            print(f"{name}: measured before", file=sys.stderr)
            continue
        try:
            everyone = make()
        except Exception as error:
            if part not in PEERS:
                raise
            report.put("skipped", name, f"{type(error).__name__}: {str(error)[:200]}")  # a peer that does not run here
            continue
        if setting.dry:
            for contender in everyone:
                contender.call()
            report.figures(name, [{"name": c.name, "images": c.images} for c in everyone], kind)
        else:
            figures = [{**asdict(f), "images_per_second": f.rate} for f in measure_group(everyone)]
            report.figures(name, figures, kind)
        print(f"{name}: measured", file=sys.stderr)
    return 0


def main(arguments: list[str]) -> int:
    """Do one part, or count machine code."""
    parser = argparse.ArgumentParser(prog="python -m onewarp.benchmarks.gpu", description=__doc__)
    parser.add_argument("--part", help="of `on_gpu.py`")
    parser.add_argument("--report", type=Path, help="the JSON to add to")
    parser.add_argument("--photos", type=Path, help="a folder of photos to augment")
    parser.add_argument("--dry", action="store_true", help="without a GPU: everything but the figures")
    parser.add_argument("--model", metavar="TARGET", help="count machine code, as sm_90 or sm_100; needs no GPU")
    options = parser.parse_args(arguments)
    if options.model:
        return count_instructions(options.model)
    if options.part is None or options.report is None:
        parser.error("--model TARGET is needed, or --part PART and --report FILE, as on_gpu.sh gives them")
    sizes = (48, 24, 2, 3) if options.dry else (460, 224, 64, 256)
    setting = Setting(torch.device("cpu" if options.dry else "cuda"), options.dry, *sizes)
    report = Report(options.report)
    if options.part == "checks":
        return run_checks(setting, report)
    return measure(setting, options.part, options.photos, report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
