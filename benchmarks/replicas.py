"""Replicas of a service that are killed while a loader reads from them, held against the cache itself.

`python -m onewarp.benchmarks.replicas CACHE --kills 30`: `onewarp serve CACHE --replicas 2` runs, and a loader goes
over an epoch for each kill, at a random moment of which one of the two is killed by SIGKILL. Every batch is compared
with that of the local cache, to the bit, and the longest wait for a batch is measured.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import click

from ..errors import ServiceError
from ..pipeline.commands.transform_texts import read_fused
from ..pipeline.loading.loader import AnyLoader, Loader
from ..pipeline.service.remote_cache import connect

RECIPE = "Resize(64) | aug_transforms(size=48, min_scale=0.75)"
_STEP = 0.02  # seconds that the consumer takes for a batch
_READY = 120.0  # seconds in which both replicas must answer again


@dataclass(frozen=True)
class Kill:
    """One kill: after how many batches of its epoch, how long the consumer waited at most, and what it got.

    `same` says that the epoch had the batches of the local cache, each once, in their order and to the bit.
    """

    batches: int
    longest_wait: float
    same: bool


def study(cache: Path, kills: int, *, recipe: str = RECIPE, batch_size: int = 8, seed: int = 0) -> list[Kill]:
    """Kill one of two replicas in each of `kills` epochs; what became of each. Starts processes."""
    draws, fused = random.Random(seed), read_fused(recipe)
    local: AnyLoader = Loader(cache, None, batch_size, fused, seed=seed)
    done = []
    with _replicas(cache) as (supervisor, locations):
        for augment in ("client", "server"):
            with closing(connect(f"{locations[0]}/cache", augment=augment)) as remote:
                loader: AnyLoader = Loader(remote.to_rows(), None, batch_size, fused, seed=seed)
                for epoch in range(kills // 2 + (kills % 2 if augment == "client" else 0)):
                    _await_answers(locations)
                    done.append(_kill_within(loader, local, epoch, supervisor, draws))
    return done


def _kill_within(loader: AnyLoader, local: AnyLoader, epoch: int, supervisor: int, draws: random.Random) -> Kill:
    """An epoch, somewhere in which a replica is killed."""
    loader.set_epoch(epoch)
    local.set_epoch(epoch)
    expected = [_content(batch) for batch in local]
    counts: list[int] = []
    contents: list[Any] = []
    victim = draws.choice(_children(supervisor))

    def kill() -> None:
        counts.append(len(contents))
        os.kill(victim, signal.SIGKILL)

    timer = Timer(draws.uniform(0, 0.9) * len(expected) * _STEP, kill)
    timer.start()
    longest, begin = 0.0, time.perf_counter()
    for batch in loader:
        longest = max(longest, time.perf_counter() - begin)
        contents.append(_content(batch))
        time.sleep(_STEP)
        begin = time.perf_counter()
    timer.join()
    return Kill(counts[0], round(longest, 3), contents == expected)


def _content(batch: Any) -> tuple[Any, ...]:
    """A batch in few bytes: its keys, the digest of its images, and its targets."""
    x, y = batch[0], batch[1]
    return batch.keys, hash(x.numpy().tobytes()), None if y is None else y.tolist()


@contextmanager
def _replicas(cache: Path) -> Iterator[tuple[int, list[str]]]:
    """The process that supervises two replicas, and where these answer."""
    listen = f"grpc://127.0.0.1:{_two_ports()}"
    words = ["serve", f"cache={cache}", "--replicas", "2", "--listen", listen, "--grace", "5"]
    process = subprocess.Popen([sys.executable, "-m", "onewarp", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None  # it is a pipe
    try:
        yield process.pid, sorted(process.stdout.readline().split()[0] for _ in range(2))
    finally:
        process.terminate()
        process.communicate()
    if process.returncode:
        raise ServiceError(f"onewarp serve ended with status {process.returncode} and not 0")


def _await_answers(locations: Sequence[str]) -> None:
    """Wait until every replica answers by itself. Raises `ServiceError` where one does not come again."""
    for location in locations:
        end = time.monotonic() + _READY
        while True:
            with suppress(ServiceError), closing(connect(f"{location}/cache", replicas=[location], timeout=1.0)):
                break
            if time.monotonic() > end:
                raise ServiceError(f"{location} does not answer again")


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _two_ports() -> int:
    """The first of two ports in a row that are free, and that no client of another process is given meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)  # below those that connections take for their own end
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port


def summary(done: Sequence[Kill]) -> dict[str, Any]:
    """What the kills came to, and each of them."""
    return {
        "kills": len(done),
        "same": sum(kill.same for kill in done),
        "within_2_s": sum(kill.longest_wait <= 2 for kill in done),
        "longest_wait": max(kill.longest_wait for kill in done),
        "each": [asdict(kill) for kill in done],
    }


@click.command()
@click.argument("cache", type=click.Path(exists=True, path_type=Path))
@click.option("--kills", type=click.IntRange(1), default=30, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(cache: Path, kills: int, seed: int) -> None:
    """Kill one of two replicas of CACHE in each of KILLS epochs; exit 1 where a batch was lost, repeated or wrong."""
    found = summary(study(cache, kills, seed=seed))
    click.echo(json.dumps(found))
    raise SystemExit(0 if found["same"] == found["kills"] else 1)


if __name__ == "__main__":
    main()
