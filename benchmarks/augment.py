"""Augmenting beside its peers: photos of 460 pixels in memory to batches of 64 at 224, images a second.

`measure` runs everything in processes of their own for each number of threads: first the gate, then rounds. See
benchmarks/README.md for the method, and `onewarp bench augment` for the command.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from ..pipeline.presizing.progress import Reporter, reporter
from ..transforms.augment import Fused, aug_transforms, fuse
from ..transforms.colour import Normalize
from ..transforms.fusible import Geometric
from ..transforms.transform import Transform
from ..transforms.warp import cpu, native
from . import one_by_one
from .correctness import EXACT, ROUNDED, SOFTENED, Claim, Gate
from .measuring import photos, results
from .measuring.timing import Turn, in_rounds, quartiles
from .peers.augmenting import MEAN, MIN_SCALE, PEERS, SIZE, STD, Job

SIDE, BATCH, SEED = 460, 64, 7
FUSED, PLAIN = "onewarp: fused, antialiased", "onewarp: fused, plain"
DRAWN, DRAWING = f"{FUSED}, drawing too", "onewarp: drawing and composing alone"
ALONE, TORCH = "onewarp: one at a time, same kernel", "onewarp: one at a time, in torch"
FORCED = {"avx2": "AVX2", "portable": "portable C++"}


@dataclass(frozen=True)
class Contender:
    """A call that does the job, and what it claims, if it does what we drew; else it draws for itself."""

    call: Callable[[], Any]
    claim: Claim | None = None


def recipe() -> list[Transform]:
    """What everyone is asked for; geometry first, so that one at a time colours act on the small picture."""
    found = aug_transforms(size=SIZE, min_scale=MIN_SCALE)
    return [*sorted(found, key=lambda t: not isinstance(t, Geometric)), Normalize(MEAN, STD)]


def prepare(rows: Any, threads: int) -> tuple[Gate, dict[str, Contender], dict[str, str]]:
    """The gate, all contenders that can run here, and why others cannot."""
    fused, singly = fuse(recipe()), fuse(recipe(), one_by_one=True)
    sizes, keys = np.full((len(rows), 2), rows.shape[1]), np.arange(len(rows), dtype=np.uint64)
    plan, steps = (f.plan(sizes, keys, SEED, split="train") for f in (fused, singly))
    job = Job(rows, plan, threads)
    gate = Gate(rows, plan, steps, (MEAN, STD))
    missing: dict[str, str] = {}
    found = dict(ours(fused, job, missing))
    images = torch.from_numpy(rows)
    found[ALONE] = Contender(lambda: one_by_one.in_kernel(images, steps), SOFTENED)
    found[TORCH] = Contender(lambda: one_by_one.in_torch(images, steps), SOFTENED)
    for name, peer in PEERS.items():
        if find_spec(peer.package) is None:
            missing[name] = "not installed"
        else:
            found[name] = Contender(peer.make(job), None if peer.own_draws else ROUNDED)
    return gate, found, missing


def ours(fused: Fused, job: Job, missing: dict[str, str]) -> Iterator[tuple[str, Contender]]:
    """The warp with each kernel that this processor runs, and with its draws."""
    images = torch.from_numpy(job.rows)
    epochs = count()

    def draw_and_warp() -> Any:
        keys = np.arange(len(images), dtype=np.uint64)
        sizes = np.full((len(images), 2), images.shape[1])
        return fused.images(images, fused.plan(sizes, keys, SEED, next(epochs), "train"))

    for name, antialias in ((FUSED, True), (PLAIN, False)):
        warp = fuse(fused.transforms, antialias=antialias)
        call = lambda warp=warp: warp.images(images, job.plan)  # noqa: E731
        yield name, Contender(call, EXACT[antialias])
        for isa, words in FORCED.items():
            if isa in cpu.instruction_sets():
                yield f"{name} ({words})", Contender(force(isa, call), EXACT[antialias])
            else:
                missing[f"{name} ({words})"] = native.absence or f"this processor does not run {words}"
    yield DRAWN, Contender(draw_and_warp)
    yield DRAWING, Contender(drawing(fused, len(images)))


def force(isa: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """The call with one set of instructions."""

    def under() -> Any:
        os.environ[cpu.INSTRUCTION_SET] = isa
        try:
            return call()
        finally:
            del os.environ[cpu.INSTRUCTION_SET]

    return under


def drawing(fused: Fused, images: int) -> Callable[[], Any]:
    """Parameters of a batch on the host, as a loader asks for them: each epoch others."""
    sizes, keys, epochs = np.full((images, 2), SIDE), np.arange(images, dtype=np.uint64), count()
    return lambda: fused.plan(sizes, keys, SEED, next(epochs), "train")


def judge(gate: Gate, contenders: dict[str, Contender], images: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the gate says of each: `off` for who claims our map, a reason for who fails."""
    for name, contender in contenders.items():
        try:
            batch = contender.call()
        except Exception as error:  # a peer that fails is a row that says so
            yield name, {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
            continue
        if name == DRAWING:
            yield name, {"status": "measured"}
        elif tuple(batch.shape) != (images, 3, SIZE, SIZE) or "float32" not in str(batch.dtype):
            yield name, {"status": "wrong", "reason": f"gave {batch.dtype}{tuple(batch.shape)}"}
        elif contender.claim is not None:
            off = gate.hold(batch, contender.claim)
            told = {"off": asdict(off), "claim": asdict(contender.claim)}
            reason = {} if off.holds else {"reason": f"{off.mean} grey levels off, {off.largest} at most"}
            yield name, {"status": "measured" if off.holds else "wrong", **reason, **told}
        else:
            yield name, {"status": "measured"}


def compare(
    rows: Any, threads: int, rounds: int, seconds: float, progress: Reporter, only: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Rows for one number of threads, of all contenders or `only` some, with images a second in each turn.

    Who fails the gate is not timed.
    """
    gate, contenders, missing = prepare(rows, threads)
    if only:
        contenders = {name: contender for name, contender in contenders.items() if name in only}
        missing = {name: reason for name, reason in missing.items() if name in only}
    verdicts = dict(judge(gate, contenders, len(rows)))
    passed = {name: contenders[name].call for name, verdict in verdicts.items() if verdict["status"] == "measured"}
    uneven = [name for name in passed if contenders[name].claim is None]
    turns = in_rounds(passed, rounds, seconds, progress, uneven)
    found = []
    for name, verdict in verdicts.items():
        speed = {"turns": speeds(turns[name], len(rows))} if name in turns else {}
        found.append({"name": name, "threads": threads, **verdict, **speed})
    for name, reason in missing.items():
        status = reason if reason in results.STATUSES else "failed"
        found.append({"name": name, "threads": threads, "status": status, "reason": reason})
    return found


def speeds(turns: Sequence[Turn], images: int) -> dict[str, list[float]]:
    """Images a second in each turn, by the clock and of processor time."""
    return {measure: [images / getattr(turn, measure) for turn in turns] for measure in ("clock", "cpu")}


def together(parts: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of several processes as one: quartiles over all turns; who fails in one of them is not measured."""
    found = []
    for rows in zip(*parts, strict=True):
        row = next((row for row in rows if "turns" not in row), rows[0])
        told = {key: value for key, value in row.items() if key != "turns"}
        if "turns" in row:
            turns = {measure: [s for row in rows for s in row["turns"][measure]] for measure in ("clock", "cpu")}
            told["images_per_second"] = {measure: quartiles(speeds) for measure, speeds in turns.items()}
            told["rounds"] = len(turns["cpu"])
        found.append(told)
    return found


def rate(rows: Sequence[Any], name: str, threads: int = 1) -> float | None:
    """Images a second, the median: of processor time on one core, by the clock on several."""
    row = results.find_row(rows, name=name, threads=threads)
    return None if row is None else float(row["images_per_second"]["cpu" if threads == 1 else "clock"][1])


def goals(rows: Sequence[Any], most: int) -> list[dict[str, Any]]:
    """What issue 3 asks of the CPU, as far as it was measured."""
    pairs = (
        (DRAWN, "fastai: fused", 90.0),
        (DRAWN, "albumentations: one at a time", 18.0),
        (FUSED, "cv2: composed", 2.2),
        (FUSED, TORCH, 50.0),
        (FUSED, ALONE, 2.5),
        (PLAIN, "cv2: composed", 3.5),
        (f"{PLAIN} (AVX2)", "cv2: composed", 2.5),
    )
    found = []
    for name, peer, least in pairs:
        own, other = rate(rows, name), rate(rows, peer)
        if own and other:
            found.append(results.goal(f"{name}, times {peer}", least, own / other))
    one, many = (results.find_row(rows, name=FUSED, threads=threads) for threads in (1, most))
    if one and many and most == 2:
        ratio = many["images_per_second"]["clock"][1] / one["images_per_second"]["clock"][1]
        found.append(results.goal(f"{FUSED}, two threads over one", 1.8, ratio))
    if draws := rate(rows, DRAWING):
        found.append(results.goal(f"{DRAWING}, images a second (5 us each)", 200_000.0, draws))
    return found


def measure(
    folder: Path, threads: Sequence[int], rounds: int, seconds: float, batch: int = BATCH, processes: int = 1
) -> dict[str, Any]:
    """The result of the suite: for each number of threads `processes` of `rounds` rounds, on as many cores."""
    rows: list[dict[str, Any]] = []
    for several in threads:
        command = [sys.executable, "-W", "ignore", "-m", __spec__.name, str(folder), "--threads", str(several)]
        command += ["--rounds", str(rounds), "--seconds", str(seconds), "--batch", str(batch)]
        parts = []
        for _ in range(processes):
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                raise click.ClickException(f"measuring with {several} threads ended with {done.returncode}")
            parts.append(json.loads(done.stdout.splitlines()[-1]))
        rows += together(parts)
    settings: dict[str, Any] = {"side": SIDE, "size": SIZE, "batch": batch, "processes": processes}
    settings |= {"rounds": rounds, "seconds": seconds, "seed": SEED}
    return {**results.about("augment", "cpu", settings), "rows": rows, "asked": goals(rows, max(threads))}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--threads", default=1)
@click.option("--rounds", default=7)
@click.option("--seconds", default=0.4)
@click.option("--batch", default=BATCH)
@click.option("--only", multiple=True, help="Names of contenders; all if not given.")
def main(folder: Path, threads: int, rounds: int, seconds: float, batch: int, only: tuple[str, ...]) -> None:
    """Measure with so many threads in this process; JSON on stdout."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks a server for its latest version
    torch.set_num_threads(threads)
    rows = photos.padded(photos.squares(folder, batch, SIDE))
    with reporter(rounds * (len(PEERS) + 10), f"augment, {threads} threads") as progress:
        found = compare(rows, threads, rounds, seconds, progress, only)
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
