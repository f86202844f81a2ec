"""How fast the kernels can be at best: what their machine code asks for, beside what a GPU has.

A real augmentation (460 -> 224 pixels, bfloat16, logits) is drawn and warped on interpreted PTX; `sass.py` says how
often each instruction of the machine code is done. Nothing here is timed: a bound cannot be beaten, and says nothing of
waiting.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...transforms import aug_transforms, fuse
from ...transforms.colour import Normalize
from ...transforms.gpu_planner import GpuPlan, GpuPlanner
from ...transforms.warp import gpu
from ...transforms.warp.footprint import TILE
from ...transforms.warp.gpu_tiles import SLOPES
from .arithmetic import Array
from .launch import Interpreter
from .parse import parse
from .sass import Resources, count_instructions, resources

SOURCE, SIZE = 460, 224
BYTES = SOURCE * SOURCE * 3 + SIZE * SIZE * 3 * 2
"""What an image moves at least: all of it is read once, and its output written."""


@dataclass(frozen=True)
class Device:
    """What a GPU has: multiprocessors, clock in GHz, memory in TB/s, and the code it runs.

    Sources: NVIDIA's datasheets; H100 and H200 as SXM, at their boost clock.
    """

    name: str
    target: str
    multiprocessors: int
    clock: float
    memory: float


DEVICES = (
    Device("H100", "sm_90", 132, 1.755, 3.35),
    Device("H200", "sm_90", 132, 1.755, 4.8),
    Device("B200", "sm_100", 148, 1.85, 8.0),
)
# Lanes that a multiprocessor does in a clock (CUDA C++ Programming Guide, "Throughput of native arithmetic
# instructions", compute capabilities 9.0 and 10.0; dp2a and integer products take half of the FMA pipe).
RATES = {
    "issue slots": (128, None),
    "FMA pipe": (128, {"FP32 add, mul, fma": 1.0, "integer multiply-add": 2.0, "dp2a": 2.0}),
    "ALU pipe": (64, {"integer ALU": 1.0, "float ALU": 1.0, "packing ALU": 1.0}),
    "conversions": (16, {"conversions": 1.0}),
    "special functions": (16, {"special functions": 1.0}),
    "loads and stores": (32, {"loads": 1.0, "stores": 1.0}),
}


@dataclass(frozen=True)
class Cost:
    """What a pixel takes on the path that most tiles take: instructions by class, and what its threads take."""

    name: str
    instructions: Counter[str]
    resources: Resources
    warps: int

    @property
    def total(self) -> float:
        """Instructions a pixel."""
        return sum(self.instructions.values())

    def bounds(self, device: Device) -> dict[str, float]:
        """Images a second that each part of a GPU allows."""
        lanes = device.multiprocessors * device.clock * 1e9
        found = {}
        for part, (rate, weights) in RATES.items():
            use = sum(n * (1.0 if weights is None else weights.get(kind, 0.0)) for kind, n in self.instructions.items())
            if use:
                found[part] = lanes * rate / (use * SIZE * SIZE)
        found["memory"] = device.memory * 1e12 / BYTES
        return found


def occupancy(registers: int, threads: int) -> int:
    """Warps that a multiprocessor holds at once: 65,536 registers, given to warps by 256."""
    of_a_warp = -(-registers * 32 // 256) * 256
    programs = 65536 // of_a_warp // (threads // 32)
    return min(64, programs * threads // 32)


@dataclass(frozen=True)
class Drawing:
    """What the launch that draws takes: instructions of the PTX and of the machine code for each thread, those of the
    PTX for each image, the longest chain of them that wait for one another, and what its threads take.
    """

    thread: float
    machine: float
    image: float
    chain: int
    resources: Resources


def drawing(target: str, images: int = 2) -> Drawing:
    """Of the same augmentation as `cost`."""
    interpreter, augmentation = Interpreter(target, chained=True), _augmentation(True)
    with interpreter:
        _plan(augmentation, images)
    ((text, visits),) = interpreter.visits.items()
    compiled, threads = interpreter.compiled[text], images * parse(text).threads
    machine = sum(count_instructions(text, visits, compiled, threads).values())
    used = resources(compiled.asm["cubin"])
    return Drawing(float(visits.sum()) / threads, machine, float(visits.sum()) / images, interpreter.chain, used)


def _augmentation(antialias: bool) -> GpuPlanner:
    """The augmentation that is counted."""
    recipe = [*aug_transforms(size=SIZE, min_scale=0.75), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    return GpuPlanner.of(fuse(recipe, dtype=torch.bfloat16, antialias=antialias), "cpu", "train")


def _plan(augmentation: GpuPlanner, images: int) -> tuple[torch.Tensor, GpuPlan]:
    """A batch, and what is drawn for it."""
    batch = torch.zeros(images, SOURCE, SOURCE, 3, dtype=torch.uint8)
    return batch, augmentation.plan(batch, augmentation.hashes(range(images), images), augmentation.stream(0, 0))


def cost(target: str, antialias: bool, images: int = 2, most: int | None = None) -> Cost:
    """Of the warp of some images, on the path of its most frequent tiles; `most` limits how many are gone through."""
    augmentation = _augmentation(antialias)
    with Interpreter(target):
        batch, plan = _plan(augmentation, images)
    usual = _usual(plan.tiles[:, : -SLOPES.value].numpy())[:most]
    interpreter = Interpreter(target, programs=lambda name, programs: usual if name == "warp_kernel" else programs)
    with interpreter:
        augmentation.images(batch, plan)
    ((text, visits),) = interpreter.visits.items()
    compiled, pixels = interpreter.compiled[text], len(usual) * TILE * TILE * gpu.SPAN
    used, threads = resources(compiled.asm["cubin"]), parse(text).threads
    return Cost(
        "antialiased" if antialias else "plain",
        count_instructions(text, visits, compiled, pixels),
        used,
        occupancy(used.registers, threads),
    )


def _usual(words: Array) -> Array:
    """The programs all of whose tiles have the most frequent word."""
    across = -(-SIZE // TILE)
    ((usual, _),) = Counter(words.flatten().tolist()).most_common(1)
    same = (words == usual).reshape(len(words), -1, across)
    rows = same.shape[1] // gpu.SPAN
    whole = same[:, : rows * gpu.SPAN].reshape(len(words), rows, gpu.SPAN, across).all(2)
    image, down, column = np.nonzero(whole)
    return np.asarray((image * -(-same.shape[1] // gpu.SPAN) + down) * across + column)


_COLUMNS = ("PTX, a thread", "machine code, a thread", "PTX, an image", "longest chain", "registers")
DRAWING = f"| drawing, counted, not timed | {' | '.join(_COLUMNS)} |\n|---|{'--:|' * len(_COLUMNS)}"
"""The head of a table of drawing launches."""


def drawing_row(one: Drawing, target: str) -> str:
    """The row of a drawing launch, in Markdown."""
    numbers = " | ".join(f"{number:,.0f}" for number in (one.thread, one.machine, one.image, one.chain))
    return f"| {target} | {numbers} | {one.resources.registers} |"


def table(costs: list[Cost], target: str) -> str:
    """The costs as Markdown, counted and not timed."""
    kinds = sorted({kind for one in costs for kind in one.instructions}, key=lambda kind: -costs[0].instructions[kind])
    head = f"| {target}, counted, not timed | " + " | ".join(one.name for one in costs) + " |"
    lines = [head, "|---|" + "--:|" * len(costs)]

    def row(name: str, values: list[Any], form: str = "{:,.1f}") -> None:
        lines.append(f"| {name} | " + " | ".join(form.format(value) for value in values) + " |")

    row("**instructions a pixel**", [one.total for one in costs], "**{:,.1f}**")
    for kind in kinds:
        row(kind, [one.instructions[kind] for one in costs])
    row("registers a thread", [one.resources.registers for one in costs], "{:,}")
    row("bytes spilled", [one.resources.stack + one.resources.local for one in costs], "{:,}")
    row("warps a multiprocessor, of 64", [one.warps for one in costs], "{:,}")
    row("bytes read and written, an image", [BYTES for _ in costs], "{:,}")
    for device in DEVICES:
        if device.target == target:
            for part in costs[0].bounds(device):
                row(
                    f"{device.name}: million images/s by {part}",
                    [one.bounds(device)[part] / 1e6 for one in costs],
                    "{:,.2f}",
                )
            binds = [min(one.bounds(device), key=one.bounds(device).__getitem__) for one in costs]
            row(f"{device.name}: what binds", binds, "{}")
    return "\n".join(lines) + "\n"
