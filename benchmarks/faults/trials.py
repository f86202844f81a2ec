"""One fault at a time: done, read, run again, and judged."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .calls import CHANGING, KILL, LET_GO, Call, Decide
from .children import KILLED, End, run
from .outcomes import Outcome
from .power import Disk
from .subjects import Baseline, Files, Reading, Subject, Version, diagnose, files, read, read_here, refusal, restore


class Verdict(Exception):  # noqa: N818
    """An outcome that ends a trial."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.state)
        self.outcome = outcome


@dataclass(frozen=True)
class Trials:
    """A subject whose whole versions are known, and the seconds after which a child hangs."""

    subject: Subject
    baselines: dict[Version, Baseline]
    limit: float

    # The faults ------------------------------------------------------------------------------------------------------

    def harm(self, change: Callable[[Path], None]) -> Outcome:
        """Change a file of the old version, read it, write it again."""
        old = self.baselines["old"]
        restore(self.subject, old)
        change(self.subject.folder)
        try:
            readings = self._read((old,), refusable=True)
            silent = all(reading.state == "whole" for reading in readings.values())
            outcome = self._mend("old", touched=not silent)
            return Outcome(outcome.state, outcome.detail, silent)
        except Verdict as verdict:
            return verdict.outcome

    def fail_call(
        self, names: Iterable[str], nth: int, error: int, before: Version | None, version: Version
    ) -> Outcome:
        """Write a version while the `nth` of these calls fails; read what is there; write again."""
        restore(self.subject, None if before is None else self.baselines[before])
        end = self._run(version, _Nth(nth, error), names)
        return self._after(end, before, version)

    def kill(self, nth: int, before: Version | None, version: Version) -> Outcome:
        """Write a version and be killed when the `nth` change of the disk would begin; read; write again."""
        restore(self.subject, None if before is None else self.baselines[before])
        end = self._run(version, _NthChange(nth, KILL), CHANGING)
        return self._after(end, before, version)

    def cut_power(self, nth: int, before: Version | None, version: Version, way: str) -> Outcome:
        """The same where the power fails: what no `fsync` has brought to the disk is lost, in one of `WAYS`."""
        restore(self.subject, None if before is None else self.baselines[before])
        disk = Disk(self.subject.home, self.subject.home.with_name("disk"), _NthChange(nth, KILL))
        end = self._run(version, disk, CHANGING)
        if end.status == 0 or end.was_killed:  # also when all is done the power may fail
            disk.lose(way)
            end = End(KILLED, "", "")
        return self._after(end, before, version)

    def fail_reading(self, reading: str, names: Iterable[str], nth: int, error: int) -> Outcome:
        """Read while the `nth` of these calls fails, and then again while none does."""
        old = self.baselines["old"]
        restore(self.subject, old)
        end = run(partial(read_here, self.subject, [reading]), self.limit, _Nth(nth, error), [self.subject.home], names)
        try:
            found = readings_of(end) or {reading: diagnose(end)}
            self._judge(found, (old,), refusable=True)
            self._judge(read(self.subject, self.limit, reading), (old,), refusable=False)
            return Outcome("whole" if found[reading].state == "whole" else "refused")
        except Verdict as verdict:
            return verdict.outcome

    def calls(self, before: Version | None, version: Version) -> list[Call]:
        """The calls of a run that nothing is done to."""
        restore(self.subject, None if before is None else self.baselines[before])
        recorder = _Recorder([])
        self._run(version, recorder, None)
        return recorder.calls

    def calls_of_reading(self, reading: str) -> list[Call]:
        """The calls of a reading that nothing is done to."""
        restore(self.subject, self.baselines["old"])
        recorder = _Recorder([])
        run(partial(read_here, self.subject, [reading]), self.limit, recorder, [self.subject.home])
        return recorder.calls

    # What became of it -----------------------------------------------------------------------------------------------

    def _run(self, version: Version, decide: Decide | None = None, names: Iterable[str] | None = None) -> End:
        return run(partial(self.subject.write, version), self.limit, decide, [self.subject.home], names)

    def _after(self, end: End, before: Version | None, version: Version) -> Outcome:
        """After a run that was failed or killed: readers see one version or the other, and the next run ends well."""
        try:
            if not end.was_killed:
                self._check_end(end)
            if end.status == 0:
                self._same(version, "a run that ended well left")
            versions = [self.baselines[name] for name in (before, version) if name is not None]
            if self._files() or before is not None:
                self._read(versions, refusable=before is None)
            return self._mend(version, touched=end.status != 0)
        except Verdict as verdict:
            return verdict.outcome

    def _check_end(self, end: End) -> None:
        """A run ends with 0, or with 1 and one line that names what failed."""
        if end.status == 0:
            return
        if end.status != 1:
            state, detail = diagnose(end)
            raise Verdict(Outcome(state, f"the run: {detail}"))  # type: ignore[arg-type]
        try:
            self._named(refusal(end.err))
        except RuntimeError as error:
            raise Verdict(Outcome("traceback", f"the run: {error}")) from None

    def _named(self, line: str) -> None:
        files = [name for version in self.baselines.values() for name in version.files]
        known = [str(self.subject.home), *files, *self.subject.names()]
        if "\n" in line.strip() or not any(name in line for name in known):
            raise Verdict(Outcome("wrong", f"a refusal names neither file nor row in one line: {line}"))

    def _read(self, versions: Iterable[Baseline], refusable: bool) -> dict[str, Reading]:
        found = read(self.subject, self.limit)
        self._judge(found, versions, refusable)
        return found

    def _judge(self, found: dict[str, Reading], versions: Iterable[Baseline], refusable: bool) -> None:
        """Every reading gives the same version, or is refused by name where it may be."""
        for name, reading in found.items():
            if reading.state not in ("whole", "refused"):
                raise Verdict(Outcome(reading.state, f"{name}: {reading.detail}"))  # type: ignore[arg-type]
            if reading.state == "refused":
                if not refusable:
                    raise Verdict(Outcome("wrong", f"{name} refuses what was whole: {reading.detail}"))
                self._named(reading.detail)
        whole = {name: reading for name, reading in found.items() if reading.state == "whole"}
        if not any(all(one.readings[name] == reading for name, reading in whole.items()) for one in versions):
            raise Verdict(Outcome("wrong", f"what is read is no version: {_unlike(whole, versions)}"))

    def _mend(self, version: Version, touched: bool) -> Outcome:
        """Write a version once more: it ends well and is whole, or is refused by name."""
        end = self._run(version)
        self._check_end(end)
        if end.status != 0:
            return Outcome("refused", refusal(end.err))
        self._same(version, "the next run left")
        return Outcome("mended" if touched else "whole")

    def _same(self, version: Version, what: str) -> None:
        there, expected = self._files(), self.baselines[version].files
        if not self.subject.exact:
            self._read([self.baselines[version]], refusable=False)
            there, expected = dict.fromkeys(there, b""), dict.fromkeys(expected, b"")
        unlike = sorted(name for name in there.keys() | expected.keys() if there.get(name) != expected.get(name))
        if unlike:
            raise Verdict(Outcome("wrong", f"{what} other files than a run that nothing was done to: {unlike}"))

    def _files(self) -> Files:
        return files(self.subject.folder)


def readings_of(end: End) -> dict[str, Reading]:
    """What a child said of its readings."""
    lines = [json.loads(line) for line in end.out.splitlines()]
    return {name: Reading(state, detail) for name, state, detail in lines}


def _unlike(found: dict[str, Reading], versions: Iterable[Baseline]) -> dict[str, list[str]]:
    """Which readings are not of the old or the new version."""
    names = {f"version {i}": one.readings for i, one in enumerate(versions)}
    return {word: [name for name, r in found.items() if known[name] != r] for word, known in names.items()}


@dataclass
class _Nth:
    """The answer for the n-th call, counted from 1; all others are let go."""

    nth: int
    answer: int

    def __call__(self, call: Call) -> int:
        self.nth -= 1
        return self.answer if self.nth == 0 else LET_GO


class _NthChange(_Nth):
    """The same of the calls that change what is on the disk."""

    def __call__(self, call: Call) -> int:
        return super().__call__(call) if call.changes else LET_GO


@dataclass
class _Recorder:
    calls: list[Call]

    def __call__(self, call: Call) -> int:
        self.calls.append(call)
        return LET_GO
