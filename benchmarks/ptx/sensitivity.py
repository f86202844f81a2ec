"""Whether the GPU's tests notice a change of the compiled code: `python -m onewarp.benchmarks.ptx mutations`.

All tests are run once on interpreted PTX, which says which of them do which instruction. Then mutants are drawn from
the instructions that are done, as many of each kernel; each is run through the tests that do its instruction until one
fails. Nothing but the tests judges: a mutant is noticed where an assertion does not hold or
where a thread does what no correct kernel does.

A mutant has at most 20 tests, those that do its instruction most often in a second first: a few mutants that another
test would notice count as not noticed. Why none notices a mutant is found out too; see `verdicts.py`.
"""

import hashlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.runner import runtestprotocol

from .coverage import source
from .launch import Interpreter
from .mutations import Mutant, mutants
from .parse import Kernel, Unknown, parse
from .verdicts import SAME_OUTPUTS, SAME_RESULT, WITHIN_TOLERANCE

KERNELS = ("warp_kernel", "tiles_kernel", "draw_kernel", "colour_kernel")
MOST_TESTS = 20
TIMES_AS_MANY_STEPS = 3
"""A mutant that takes as many times the steps of the longest launch does not come to its end."""


@dataclass(frozen=True)
class Baseline:
    """A test that has been run on the code as it is: the instructions that it does of each kernel, digests of what its
    launches leave, and its seconds.
    """

    item: pytest.Item
    visits: dict[str, Any]
    outputs: list[str]
    seconds: float

    def visits_a_second(self, mutant: Mutant) -> float:
        """How often the instruction of a mutant is done."""
        visits = self.visits.get(mutant.kernel.text)
        return 0.0 if visits is None else visits[mutant.place] / self.seconds


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: by which test it was noticed and why, or why by none."""

    mutant: Mutant
    tests: int
    noticed: str
    why: str

    def row(self) -> dict[str, Any]:
        """The verdict for a result's JSON, with the line of Python that was changed."""
        kernel, before = self.mutant.kernel.name, self.mutant.before
        change = {"kind": self.mutant.kind, "change": self.mutant.change}
        where = {"kernel": kernel, "place": before.place, "line": source(before.place)}
        return {**where, **change, "tests": self.tests, "noticed": self.noticed, "why": self.why}


class Study:
    """Runs the tests of a session of pytest again and again, on changed code."""

    def __init__(self, interpreter: Interpreter, seed: int) -> None:
        self.interpreter, self.draws = interpreter, random.Random(seed)

    def run(self, items: Sequence[pytest.Item], count: int) -> Iterator[Verdict]:
        """The verdicts on `count` mutants, as many of each kernel that the tests launch.

        Raises `RuntimeError` where a test fails on the code as it is.
        """
        done = self._run_unchanged(items)
        self.interpreter.most_steps = TIMES_AS_MANY_STEPS * self.interpreter.steps
        places = _places(done)
        for number in range(count):
            verdict = None
            while verdict is None:
                verdict = self._try_mutant(self._draw(places[sorted(places)[number % len(places)]]), done)
            yield verdict

    def _run_unchanged(self, items: Sequence[pytest.Item]) -> list[Baseline]:
        done = []
        for item in items:
            self.interpreter.visits = {}
            begin = time.process_time()
            failure, outputs = self._run(item)
            if failure:
                raise RuntimeError(f"{item.nodeid} fails on the code as it is: {failure}")
            seconds = time.process_time() - begin
            done.append(Baseline(item, self.interpreter.visits, [_digest(x) for x in outputs], seconds))
        return done

    def _run(self, item: pytest.Item) -> tuple[str, list[torch.Tensor]]:
        """Why a test fails, if it does, and what its launches leave."""
        self.interpreter.outputs = []
        failure = _failure(item)
        outputs, self.interpreter.outputs = self.interpreter.outputs, None
        return failure, outputs

    def _draw(self, places: Sequence[tuple[str, int]]) -> Mutant:
        """A mutant: an instruction first, then a kind, then one of its kind."""
        while True:
            text, place = self.draws.choice(places)
            kernel = parse(text)
            if not kernel.useless(place) and (kinds := mutants(kernel, place)):
                return self.draws.choice(kinds[self.draws.choice(sorted(kinds))])

    def _try_mutant(self, mutant: Mutant, done: Sequence[Baseline]) -> Verdict | None:
        """None for a mutant that has no meaning: it is no instruction of PTX."""
        tests = sorted(
            (one for one in done if one.visits_a_second(mutant)), key=lambda one: -one.visits_a_second(mutant)
        )
        tests, different = tests[:MOST_TESTS], []
        with self._substitute(mutant.kernel, mutant.code()):
            for one in tests:
                failure, outputs = self._run(one.item)
                if failure.startswith(f"onewarp.benchmarks.ptx.parse.{Unknown.__name__}"):
                    return None
                if failure:
                    return Verdict(mutant, len(tests), one.item.name, failure)
                if [_digest(x) for x in outputs] != one.outputs:
                    different.append((one, outputs))
                    del different[1:]
        return Verdict(mutant, len(tests), "", self._why_unnoticed(mutant, tests, different))

    def _why_unnoticed(
        self, mutant: Mutant, tests: Sequence[Baseline], different: list[tuple[Baseline, list[torch.Tensor]]]
    ) -> str:
        """Why no test notices it; `different` is a test with other outputs, if there is one."""
        if different:
            ((one, after),) = different
            _, before = self._run(one.item)
            apart = [_difference(x, y) for x, y in zip(before, after, strict=True) if _digest(x) != _digest(y)]
            return f"{WITHIN_TOLERANCE}: off by {max(apart, default=0.0):.1e} in {one.item.name}"
        if comparing := mutant.comparing():
            with self._substitute(mutant.kernel, comparing):
                if not any(_failure(one.item) for one in tests):
                    return SAME_RESULT
        return SAME_OUTPUTS

    @contextmanager
    def _substitute(self, kernel: Kernel, code: Kernel) -> Iterator[None]:
        """Runs `code` wherever `kernel` is launched."""
        before = self.interpreter.changed
        self.interpreter.changed = lambda other: code if other.text == kernel.text else other
        try:
            yield
        finally:
            self.interpreter.changed, self.interpreter.visits = before, {}


def _places(done: Sequence[Baseline]) -> dict[str, list[tuple[str, int]]]:
    """For each kernel the instructions that some test does: their variant and index."""
    reached: dict[str, Any] = {}
    for one in done:
        for text, visits in one.visits.items():
            reached[text] = reached[text] + visits if text in reached else visits
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for text in sorted(reached):
        if (name := parse(text).name) in KERNELS:
            places[name] += [(text, place) for place in reached[text].nonzero()[0].tolist()]
    return places


def _failure(item: pytest.Item) -> str:
    """Why a test fails; nothing where it passes."""
    for report in runtestprotocol(item, nextitem=None, log=False):
        if report.failed:
            return " ".join(str(report.longrepr).split(": ", 1)[-1].split())[:200] or "failed"
    return ""


def _digest(x: torch.Tensor) -> str:
    """Of the bits of a tensor."""
    return hashlib.blake2b(x.contiguous().flatten().view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest()


def _difference(x: torch.Tensor, y: torch.Tensor) -> float:
    """The largest difference of two tensors where both are finite."""
    apart = (x.double() - y.double()).abs()
    apart = apart[apart > 0]
    return float(apart[apart.isfinite()].max()) if apart.isfinite().any() else float("inf")


def study(session: pytest.Session, interpreter: Interpreter, options: dict[str, Any]) -> bool:
    """Instead of running the tests of a session: `options` are `count`, `seed` and the file `out`."""
    rows = []
    for verdict in Study(interpreter, options["seed"]).run(session.items, options["count"]):
        rows.append(verdict.row())
        print(describe(rows[-1]), flush=True)
    Path(options["out"]).write_text(json.dumps(rows, indent=1) + "\n")
    return True


def describe(row: dict[str, Any]) -> str:
    """A verdict in a line: what was changed where, and who noticed it."""
    word = f"noticed by {row['noticed']}" if row["noticed"] else "NOT NOTICED"
    return f"{row['kernel']} {row['place']}: {row['kind']}: {row['change']}: {word}: {row['why']}"
