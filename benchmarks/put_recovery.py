"""Photos that are put by two clients while the server and the clients are killed, held against presizing them at once.

`python -m onewarp.benchmarks.put_recovery SOURCE --kills 30`: `onewarp serve --writable` runs, and two clients put all
photos of SOURCE in different orders and commit from time to time. At random instants one of the three is killed by
SIGKILL and started again. In the end the files of the cache are compared with those of `presize`.
"""

import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import distributed  # noqa: F401  (before the first fork, so that every child has it)

from ..errors import ServiceError
from ..pipeline.dataset.sources import FolderSource
from ..pipeline.presizing.growth_settings import GrowthSettings
from ..pipeline.presizing.presizer import presize
from ..pipeline.presizing.spool import RECORDS
from ..pipeline.service import upload
from ..pipeline.service.remote_cache import upload_to
from ..trainers.serve_command import serve

_COMMITS = 3  # of each client before its last, so that kills fall into commits too
_PAUSE = 0.2  # seconds between two tries of a client
_LATER = 0.5  # seconds at most from a sign of progress to a kill
_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


@dataclass(frozen=True)
class Kill:
    """One kill: of what, how many photos had been acknowledged at least, and whether a commit had begun and not ended.

    `resumed` says that there was something to go on from, and something left to do.
    """

    victim: str
    kept: int
    committing: bool
    resumed: bool


def study(source: Path, settings: GrowthSettings, kills: int, seed: int = 0) -> tuple[list[Kill], bool]:
    """Kill `kills` times; what became of each kill, and whether the cache is that of `presize` to the byte.

    Fewer where the photos are all there before. Forks, so it must be called where no other thread runs.
    """
    draws = random.Random(seed)
    items = [(item.key, item.place) for item in FolderSource(str(source)).items()]
    with tempfile.TemporaryDirectory() as scratch:
        cache, expected = Path(scratch) / "photos", Path(scratch) / "expected"
        port = _free_port()
        starts: dict[str, Callable[[], int]] = {
            "server": lambda: _fork(lambda: _serve(cache, settings, port)),
            "first": lambda: _fork(lambda: _put(port, items, 1)),
            "second": lambda: _fork(lambda: _put(port, items, 2)),
        }
        running = {name: start() for name, start in starts.items()}
        done: list[Kill] = []
        while len(done) < kills:
            _await_progress(cache, running)
            time.sleep(draws.uniform(0, _LATER))
            for name in [name for name, child in running.items() if name != "server" and _has_ended(child)]:
                del running[name]
            if len(running) == 1:
                break
            victim = draws.choice(sorted(running))
            os.kill(running[victim], signal.SIGKILL)
            os.waitpid(running[victim], 0)
            done.append(_look(victim, cache, len(items)))
            running[victim] = starts[victim]()
        for name in running.keys() - {"server"}:
            if os.waitstatus_to_exitcode(os.waitpid(running[name], 0)[1]) != 0:
                raise RuntimeError(f"the {name} client failed")
        os.kill(running["server"], signal.SIGTERM)
        os.waitpid(running["server"], 0)
        presize(source, expected, **asdict(settings))
        same = _files(cache) == _files(expected)
    return done, same


def _await_progress(cache: Path, running: Mapping[str, int]) -> None:
    """Wait until photos have come in or a commit has written something since now, or a client has ended."""
    before = _state(cache)
    clients = [child for name, child in running.items() if name != "server"]
    while _state(cache) == before and all(os.waitid(os.P_PID, child, _LOOK) is None for child in clients):
        time.sleep(0.002)


def _state(cache: Path) -> tuple[int, list[str]]:
    records = _spool(cache) / RECORDS
    return records.stat().st_size if records.exists() else 0, os.listdir(cache) if cache.exists() else []


def _spool(cache: Path) -> Path:
    return cache.with_name(f"{cache.name}.spool")


def _fork(function: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def _has_ended(child: int) -> bool:
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid and os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError("a client failed")
    return bool(pid)


def _serve(cache: Path, settings: GrowthSettings, port: int) -> None:
    os.dup2(2, 1)  # its line is none of the study's
    words = [f"photos={cache}", "--writable", "photos", "--listen", f"grpc://127.0.0.1:{port}"]
    values = {name: value for name, value in asdict(settings).items() if value not in (None, False)}
    words += [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    serve.main(words, standalone_mode=False)


def _put(port: int, items: Sequence[tuple[str, str]], seed: int) -> None:
    """Put all photos, some at a time, and commit in between and at the end, for as long as it takes."""
    upload._CHUNK, upload._BATCH = 1 << 18, 1 << 16  # many streams and batches, so that kills fall between them
    to = upload_to(f"grpc://127.0.0.1:{port}/photos", timeout=120)
    entries = random.Random(seed).sample(items, len(items))
    step = len(entries) // (_COMMITS + 1) + 1
    while True:
        try:
            for begin in range(0, len(entries), step):
                to.put(entries[begin : begin + step])
                to.commit()
            return
        except ServiceError as error:  # the server was killed in the middle of an answer
            click.echo(f"a client tries again: {error}", err=True)
            time.sleep(_PAUSE)


def _look(victim: str, cache: Path, count: int) -> Kill:
    spool = _spool(cache)
    records = spool / RECORDS
    kept = len({json.loads(line)[0] for line in records.read_bytes().splitlines()}) if records.exists() else 0
    return Kill(victim, kept, (spool / ".lock").exists(), 0 < kept < count)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--size", default=128, show_default=True)
@click.option("--label", default="none", show_default=True, help="As of presize.")
@click.option("--split", default="none", show_default=True, help="As of presize.")
@click.option("--kills", default=30, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(source: Path, size: int, label: str, split: str, kills: int, seed: int) -> None:
    """Put the photos of SOURCE by a service, and kill its server and its clients at random instants."""
    done, same = study(source, GrowthSettings(size, label, split, "jpeg"), kills, seed)
    counts = {name: sum(kill.victim == name for kill in done) for name in ("server", "first", "second")}
    found = {"kills": len(done), **counts, "resumed": sum(kill.resumed for kill in done)}
    found |= {"committing": sum(kill.committing for kill in done), "same": same}
    click.echo(json.dumps({**found, "each": [asdict(kill) for kill in done]}))
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
