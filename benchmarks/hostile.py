"""Hostile requests at a running server: `python -m onewarp.benchmarks.hostile [--count 10000] [--out FOLDER]`.

`onewarp serve` runs as a process, with a cache and with one that grows. Requests that were right and of which something
was changed come one by one, each on a connection of its own. A request may be answered, or refused in one line. A
process that ends, an answer that does not come, a path or a traceback in an answer, and an error that was not foreseen
are forbidden, and printed with the number of the request. Afterwards the process must hold what it held at the start.
"""

import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import pyarrow.flight as flight

from ..pipeline.cache.reader import Cache
from ..pipeline.loading.cache_rows import CacheRows
from ..pipeline.presizing.presizer import presize
from .faults import outcomes
from .faults.grpc_bytes import answer_to
from .faults.hostile_requests import Request, Target, draw, picture, right_requests
from .faults.outcomes import Case, Outcome
from .faults.served_process import Holdings, ServedProcess
from .measuring import results

MEMORY = 50 << 20
"""Bytes of memory that may be resident beyond those of the start."""
WARM_UP = 280
REST = 4.0
"""Seconds without a request, after which a server has given freed memory back."""
LIMIT = 30.0
"""Seconds after which an answer does not come."""

_FRAME = re.compile(rb'File "([^"]*)"')
_UNFORESEEN = b"the server failed, and its log says why"


@click.command()
@click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
@click.option("--count", default=10_000, show_default=True, help="How many requests.")
@click.option("--only", type=int, help="Only the request of this number.")
@click.option("--out", type=click.Path(path_type=Path), help="Write JSON into this folder.")
def main(seed: int, count: int, only: int | None, out: Path | None) -> None:
    """Send hostile requests to a server; exit 1 where an outcome is forbidden, or where something is not let go."""
    with tempfile.TemporaryDirectory() as folder:
        pairs, start, end = study(Path(folder), seed, [only] if only is not None else list(range(count)))
    rows = outcomes.rows(outcomes.count(pairs))
    allowed = sum(outcome.state in outcomes.ALLOWED for _, outcome in pairs)
    back = end.is_back(start, MEMORY)
    for name, before, after in zip(Holdings._fields, start, end, strict=True):
        click.echo(f"{name.replace('_', ' ')}: {before:,} at the start, {after:,} at the end", err=True)
    asked = [
        results.goal(f"of {len(pairs):,} hostile requests, answered or refused in one line", len(pairs), allowed),
        results.goal("memory, threads, files and requests of the server as at the start", 1, int(back)),
    ]
    result = {**results.about("hostile", "cpu", {"seed": seed, "count": len(pairs)}), "rows": rows, "asked": asked}
    click.echo(outcomes.table(rows))
    if out is not None:
        click.echo(f"wrote {results.write(result, out)}", err=True)
    if allowed < len(pairs) or not back:
        raise SystemExit(1)


def study(scratch: Path, seed: int, numbers: list[int]) -> tuple[list[tuple[Case, Outcome]], Holdings, Holdings]:
    """What becomes of the requests of these numbers, and what the server holds before and after them."""
    (scratch / "photos").mkdir()
    for number in range(12):
        (scratch / "photos" / f"{number}.png").write_bytes(picture(random.Random(number)))
    presize(scratch / "photos", scratch / "pets", 24, encoding="jpeg")
    rows = CacheRows(Cache.open(scratch / "pets"))
    arguments = [
        str(scratch / "pets"),
        str(scratch / "grown"),
        "--writable=grown",
        "--size=16",
        "--max-stall-seconds=1",
    ]
    with ServedProcess(scratch, arguments) as served:
        target = Target(served.token.encode(), "pets", rows.fingerprint, len(rows), "grown")
        for request in right_requests(target):
            if (outcome := _send(served, request)).state != "whole":
                raise RuntimeError(f"a request of which nothing was changed must be answered, but is not: {outcome}")
        for number in range(min(WARM_UP, len(numbers))):
            _send(served, draw(target, seed + 1, number))
        time.sleep(REST)
        start = served.holdings()
        pairs = list(_attempt(served, target, seed, numbers))
        return pairs, start, served.settle(start, MEMORY)


def _attempt(served: ServedProcess, target: Target, seed: int, numbers: list[int]) -> Iterator[tuple[Case, Outcome]]:
    for done, number in enumerate(numbers, 1):
        request = draw(target, seed, number)
        case = Case(request.kind, "service", str(number), partial(_send, served, request, done % 100 == 0))
        outcome = case.attempt()
        yield case, outcome
        if outcome.state in outcomes.FORBIDDEN:
            click.echo(f"{outcome.state.upper()}: {request.kind}: {outcome.detail}", err=True)
            click.echo(f"  python -m onewarp.benchmarks.hostile --seed {seed} --only {number}", err=True)
        if outcome.state == "signal":
            return
        if done % 1000 == 0 or done == len(numbers):
            click.echo(f"{done:,} of {len(numbers):,} requests", err=True)


def _send(served: ServedProcess, request: Request, and_ask: bool = False) -> Outcome:
    data, ended = answer_to(served.port, request.data, LIMIT if request.is_call else 0.05)
    if served.process.poll() is not None:
        return Outcome("signal", f"the server ended with {served.process.returncode}")
    if and_ask and not _is_well(served):
        return Outcome("hang", "the server does not answer whether it is well")
    outcome = judge(data, ended or not request.is_call, str(served.log.parent))
    if outcome.detail == _UNFORESEEN.decode():
        return Outcome(outcome.state, served.log.read_bytes()[-2000:].decode(errors="replace"))
    return outcome


def judge(data: bytes, ended: bool, folder: str) -> Outcome:
    """What an answer comes to; `folder` is where the server has its files, which nobody is told."""
    said = data.decode(errors="replace")
    if not ended:
        return Outcome("hang", f"no answer within {LIMIT} s")
    if folder in said:
        return Outcome("wrong", f"a path is in the answer: {said[-700:]}")
    if b"Traceback" in data and {*_FRAME.findall(data)} != {b"pyarrow/_flight.pyx"}:
        return Outcome("traceback", said[-1500:])
    if _UNFORESEEN in data:
        return Outcome("traceback", _UNFORESEEN.decode())
    return Outcome("whole" if b"grpc-status\x010" in data else "refused")


def _is_well(served: ServedProcess) -> bool:
    try:
        with flight.connect(served.address) as client:
            return bool(list(client.do_action("health", flight.FlightCallOptions(timeout=LIMIT))))
    except flight.FlightError:
        return False


if __name__ == "__main__":
    sys.exit(main())
