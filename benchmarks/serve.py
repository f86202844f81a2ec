"""The service beside a bare Flight server and beside local work: `onewarp bench serve`.

All of it over loopback, servers in processes of their own, everything warm. Contenders take turns in every round; a
ratio is the median of those of the rounds. The bare server holds the same bytes in record batches of its own, and sends
them in the same order: it parses no ticket, finds no row and builds no batch.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.flight as flight
import torch

from ..errors import UsageError
from ..pipeline.cache.reader import Cache
from ..pipeline.loading.loader import Loader
from ..pipeline.presizing.presizer import presize
from ..pipeline.service.remote_cache import connect
from ..pipeline.service.tickets import Ticket
from ..transforms.augment import aug_transforms, fuse
from . import serve_exchange
from .measuring import results
from .measuring.timing import quartiles
from .peers.bare_flight import GROUP

RECIPE = aug_transforms(size=224, min_scale=0.75)
ENCODINGS = ("jpeg", "raw")
DTYPES = (torch.float32, torch.bfloat16)
"""Of augmented batches: half the bytes are half of what a client receives."""

ORDERS = ("sequential", "shuffled")
EPOCH = {"jpeg": 4096, "raw": 489}
"""Rows of a turn: about 250 MB."""

T = TypeVar("T")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A server in a process of its own."""

    address: str
    pid: int

    def cpu(self) -> float:
        """The processor time that it has taken, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def process(*words: str) -> Iterator[Process]:
    """A server whose first line names its address, or its port."""
    with subprocess.Popen(
        [sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            word = server.stdout.readline().partition(" ")[0].strip()
            if not word:
                raise UsageError(f"a server did not start: {' '.join(words)}")
            yield Process(f"grpc://127.0.0.1:{word}" if word.isdecimal() else word, server.pid)
        finally:
            server.terminate()


def serving(*words: str) -> Any:
    """Our server on a free port."""
    return process("onewarp", "serve", *words, "--listen", "grpc://127.0.0.1:0")


def read_all(address: str, ticket: bytes, rows: int) -> None:
    """Read an answer by bare pyarrow, and count it."""
    with flight.FlightClient(address) as client:
        count = sum(chunk.data.num_rows for chunk in client.do_get(flight.Ticket(ticket)))
    if count != rows:
        raise UsageError(f"{address} sent {count} rows of {rows}")


def check_same(bare: str, ours: str, ticket: bytes) -> None:
    """The gate: both servers send the same bytes in the same order."""
    columns = []
    for address in (bare, ours):
        with flight.FlightClient(address) as client:
            table = client.do_get(flight.Ticket(ticket)).read_all()
        columns.append([hash(value.as_py()) for value in table.column("image")])
    if columns[0] != columns[1]:
        raise UsageError("the two servers do not send the same bytes")


def turns(contenders: Mapping[T, Callable[[], Any]], rounds: int) -> dict[T, list[float]]:
    """Seconds of each contender in each round, by the clock, after one turn that warms up."""
    order, draws = list(contenders), random.Random(0)
    seconds: dict[T, list[float]] = {name: [] for name in order}
    for turn in range(-1, rounds):
        draws.shuffle(order)
        for name in order:
            begun = time.perf_counter()
            contenders[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return float(np.median([a / b for a, b in zip(over, under, strict=True)]))


def transport(caches: Mapping[str, Path], work: Path, rounds: int) -> tuple[list[Any], list[Any]]:
    """Rows a second of the stored bytes, beside the bare server."""
    rows, asked = [], []
    for encoding, folder in caches.items():
        cache = Cache.open(folder)
        content = _content(folder)
        for kind in ORDERS:
            order = _order(len(cache), EPOCH[encoding], kind == "shuffled")
            np.save(work / "order.npy", order)
            ticket = partial(Ticket, folder.name, content, rows=tuple(order.tolist()), columns=(), batch_bytes=GROUP)
            tickets = {name: ticket(binary=name).to_json() for name in ("view", "plain")}
            bare_command = ("onewarp.benchmarks.peers.bare_flight", str(folder), str(work / "order.npy"))
            with process(*bare_command) as bare, serving(str(folder)) as ours:
                for one in tickets.values():
                    check_same(bare.address, ours.address, one)
                contenders = {"bare": partial(read_all, bare.address, b"", len(order))}
                for name, one in tickets.items():
                    contenders[name] = partial(read_all, ours.address, one, len(order))
                seconds = turns(contenders, rounds)
            for name, least in (("view", 0.9), ("plain", 0.75)):
                words = f"{encoding}, {kind}, binary {name}"
                times = ratio(seconds["bare"], seconds[name])
                rows.append(_row(words, len(order), seconds[name], times))
                asked.append(results.goal(f"serve: {words}, times a bare Flight server", least, times))
            rows.append(_row(f"{encoding}, {kind}, a bare Flight server", len(order), seconds["bare"], 1.0))
    return rows, asked


WARPING = {"local": "the local loader", "client": "warped by the client", "server": "warped by the server"}


def loaders(caches: Mapping[str, Path], rounds: int, threads: int) -> tuple[list[Any], list[Any]]:
    """Augmented batches at the client, beside the local loader; and the client's processor time by who warps."""
    rows, asked = [], []
    for encoding, folder in caches.items():
        with serving(str(folder)) as server:
            sources: dict[str, Any] = {
                "local": folder,
                "client": connect(f"{server.address}/{folder.name}"),
                "server": connect(f"{server.address}/{folder.name}", augment="server"),
            }
            for world_size in (1, 3):
                check_epochs(sources, world_size)
            made = {
                (name, dtype): Loader(source, None, 64, fuse(RECIPE, dtype=dtype), threads=threads)
                for dtype in DTYPES
                for name, source in sources.items()
            }
            cpu: dict[Any, list[float]] = {name: [] for name in made}
            seconds = turns({name: partial(_epoch, loader, cpu[name]) for name, loader in made.items()}, rounds)
        count = len(made["local", torch.float32].rows)
        for (name, dtype), found in seconds.items():
            words = f"{encoding}, augmented to {str(dtype).removeprefix('torch.')}, {WARPING[name]}"
            row = _row(words, count, found, ratio(seconds["local", dtype], found))
            rows.append({**row, "client_cpu_seconds": quartiles(cpu[name, dtype][1:], 3)})
        if encoding == "jpeg":
            times = ratio(seconds["local", torch.float32], seconds["client", torch.float32])
            asked.append(results.goal("serve: augmented JPEG at the client, times the local loader", 0.8, times))
        for dtype in DTYPES:
            less = ratio(cpu["client", dtype][1:], cpu["server", dtype][1:])
            words = (
                f"serve: {encoding} to {str(dtype).removeprefix('torch.')}, client's processor time, warping over not"
            )
            asked.append(results.goal(words, 5.0, less))
    return rows, asked


def replicas(folder: Path, rounds: int) -> tuple[list[Any], list[Any]]:
    """Rows a second of the servers' own processor time, and by the clock, two replicas beside one."""
    cache = Cache.open(folder)
    with serving(str(folder)) as first, serving(str(folder)) as second:
        one = connect(f"{first.address}/{folder.name}")
        two = connect(f"{first.address}/{folder.name}", replicas=[second.address])
        readers = {"one": Loader(one, None, 64, threads=2), "two": Loader(two, None, 64, threads=2)}
        cpu: dict[str, list[float]] = {name: [] for name in readers}

        def epochs(name: str) -> None:
            before = first.cpu() + second.cpu()
            for _ in range(8):
                for _ in readers[name]:
                    pass
            cpu[name].append(first.cpu() + second.cpu() - before)

        seconds = turns({name: partial(epochs, name) for name in readers}, rounds)
    count = 8 * len(cache)
    rows = [
        {**_row(f"{name} replica{'s' * (name == 'two')}", count, seconds[name], ratio(seconds["one"], seconds[name])),
         "server_cpu_seconds": quartiles(cpu[name][1:], 3)}
        for name in readers
    ]  # fmt: skip
    each = ratio(cpu["one"][1:], cpu["two"][1:])
    return rows, [results.goal("serve: two replicas, rows of a processor second of the servers, times one", 0.95, each)]


def exchanged(photos: Path, cache: Path, work: Path, rounds: int, threads: int) -> tuple[list[Any], list[Any]]:
    """Photos for tensors and for labels, beside the same in the process."""
    with serving(str(cache)) as server:
        rows, asked = serve_exchange.exchanges(server.address, photos, rounds, threads)
    model = serve_exchange.write_model(work / "model.safetensors")
    with serving("--model", str(model)) as server:
        more, also = serve_exchange.predictions(server.address, model, photos, rounds, threads)
    return [*rows, *more], [*asked, *also]


def measure(photos: Path, rounds: int, threads: int) -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name, ExitStack():
        work = Path(name)
        caches = {}
        for encoding in ENCODINGS:
            caches[encoding] = work / f"{encoding}.cache"
            presize(photos, caches[encoding], 460, label=r"regex:(.+)_\d+.jpg$", encoding=encoding)  # type: ignore[arg-type]
        begun = time.perf_counter()
        with serving(str(caches["jpeg"])):
            start = time.perf_counter() - begun
        sent, asked = transport(caches, work, rounds)
        loaded, more = loaders(caches, rounds, threads)
        shared, last = replicas(caches["jpeg"], rounds)
        answered, also = exchanged(photos, caches["jpeg"], work, 4 * rounds, threads)
    rows = [*sent, *loaded, *shared, *answered]
    goals = [results.goal("serve: seconds to start, 3 over them", 1.0, 3.0 / start), *asked, *more, *last, *also]
    settings = {"photos": len(list(Path(photos).iterdir())), "rounds": rounds, "threads": threads, "batch bytes": GROUP}
    return {**results.about("serve", "cpu", settings), "rows": rows, "asked": goals}


def _row(name: str, count: int, seconds: Sequence[float], times: float) -> dict[str, Any]:
    rates = quartiles([count / one for one in seconds], 1)
    return {"name": name, "status": "measured", "rows_per_second": rates, "times": round(times, 3)}


def _order(rows: int, count: int, shuffled: bool) -> Any:
    """Row numbers, each as often as any other, in order or not."""
    numbers = np.arange(count) % rows
    return np.random.default_rng(0).permutation(numbers) if shuffled else numbers


def _content(folder: Path) -> str:
    return str(Loader(folder).rows.fingerprint)


def _epoch(loader: Loader, cpu: list[float]) -> None:
    before = time.process_time()
    for _ in loader:
        pass
    cpu.append(time.process_time() - before)


def check_epochs(sources: Mapping[str, Any], world_size: int) -> None:
    """The gate: the same pixels, targets, keys and states from all sources, to the bit, and each sample once.

    Half an epoch in batches of 64, the rest in batches of 48 from the state of the first half on, all ranks.
    """
    keys: list[str] = []
    for rank in range(world_size):
        states: list[Any] = []
        for batch_size in (64, 48):
            loaders = [
                Loader[Any, Any, list[str]](
                    source, None, batch_size, RECIPE, keys=True, rank=rank, world_size=world_size
                )
                for source in sources.values()
            ]
            count = len(loaders[0].rows)
            for loader, state in zip(loaders, states, strict=False):
                loader.load_state_dict(state)
            half = None if states else count // (64 * world_size) // 2
            for batches in islice(zip(*loaders, strict=True), half):
                _refuse_differences(batches)
                keys += batches[0][2]
            states = [loader.state_dict() for loader in loaders]
            if any(state != states[0] for state in states):
                raise UsageError("the states over the service are not those of the local cache")
    if len(keys) != count or len({*keys}) != count:
        raise UsageError(f"an epoch of {count} samples had {len(keys)}, {len({*keys})} of them different")


def _refuse_differences(batches: Sequence[Any]) -> None:
    first, *others = batches
    for other in others:
        same = torch.equal(first[0], other[0]) and torch.equal(first[1], other[1]) and first[2] == other[2]
        if not (same and torch.equal(first.matrix, other.matrix)):
            raise UsageError("the batches over the service are not those of the local cache")


def table(found: Mapping[str, Any]) -> str:
    """Markdown: rows a second of what is read, milliseconds of what is exchanged, and both beside their standard."""
    lines = ["| what is sent | rows/s, or milliseconds | beside its standard |", "|---|--:|--:|"]
    lines += [f"| {row['name']} | {figure(row)} | {row['times']:.2f} |" for row in found["rows"]]
    return "\n".join(lines) + "\n"


def figure(row: Mapping[str, Any]) -> str:
    """The figure of a row in words."""
    if "rows_per_second" in row:
        return f"{row['rows_per_second'][1]:,.0f}"
    return f"p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms"


def main() -> None:
    """Measure the photos that the command line names, and print JSON."""
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), 2), indent=1))


if __name__ == "__main__":
    main()
