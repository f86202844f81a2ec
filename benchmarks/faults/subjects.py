"""What faults are tried on: something that a run writes in two versions, and every way in which it is read."""

import hashlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any, Literal, NamedTuple, Protocol

from ...cli import main
from ...errors import OnewarpError
from .children import End, preload, run

Version = Literal["old", "new"]
Files = dict[str, bytes]


class Subject(Protocol):
    """Something that is written and read.

    A run `write`s a version into the folder `home`, of which `folder` is what users know of; it prints what a command
    prints, and ends as one does. `readings` by name return a digest of all that a reader gets. `exact` says that two
    runs of one version leave the same bytes.
    """

    name: str
    home: Path
    folder: Path
    exact: bool

    def write(self, version: Version) -> None:
        """The run, in a process of its own."""

    def readings(self) -> dict[str, Callable[[], str]]:
        """The ways of reading, by name; each gives a digest of all that it got."""

    def names(self) -> Sequence[str]:
        """What a refusal may name beside files: rows."""


class Reading(NamedTuple):
    """What became of a reading: `whole` with a digest, `refused` with the line; `traceback`, `signal` or `hang`."""

    state: str
    detail: str


class Baseline(NamedTuple):
    """A version that nothing has harmed: a copy of its home, the files that users know, what each reading gives."""

    home: Path
    files: Files
    readings: dict[str, Reading]


def build(subject: Subject, scratch: Path, limit: float) -> dict[Version, Baseline]:
    """Both versions, the new one made from the old one, and held to be what it is without."""
    found: dict[Version, Baseline] = {}
    versions: tuple[Version, ...] = ("old", "new")
    clear(subject.home)
    for version in versions:
        preload(partial(subject.write, version), limit)
        preload(partial(read_here, subject, [*subject.readings()]), limit)
        copy = scratch / f"whole-{subject.name}-{version}"
        copytree(subject.home, copy)
        found[version] = Baseline(copy, files(subject.folder), read(subject, limit))
        unread = [f"{name}: {r.detail}" for name, r in found[version].readings.items() if r.state != "whole"]
        if unread:
            raise RuntimeError(f"{subject.name} cannot be read though nothing was done to it: {unread}")
    return found


def restore(subject: Subject, baseline: Baseline | None) -> None:
    """The subject's home as it was, or empty."""
    if baseline is None:
        clear(subject.home)
        return
    rmtree(subject.home, ignore_errors=True)
    copytree(baseline.home, subject.home)


def clear(folder: Path) -> None:
    """Make a folder empty, and where there is none, make one."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def files(folder: Path) -> Files:
    """The bytes of all files of a folder by name; what is no file is there with no bytes."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in paths}


def read(subject: Subject, limit: float, only: str | None = None) -> dict[str, Reading]:
    """Every way of reading the subject as it is now, each in one child as long as that lives."""
    left = [name for name in subject.readings() if only in (None, name)]
    found: dict[str, Reading] = {}
    while left:
        end = run(partial(read_here, subject, left), limit)
        for line in end.out.splitlines():
            name, state, detail = json.loads(line)
            found[name] = Reading(state, detail)
        left = [name for name in left if name not in found]
        if left:  # the child ended with the first of these
            found[left[0]] = diagnose(end)
            left = left[1:]
    return found


def diagnose(end: End) -> Reading:
    """What ended a child before it had said how its reading went."""
    if end.status is None:
        return Reading("hang", "it did not end")
    return Reading("signal" if end.status < 0 else "traceback", f"status {end.status}: {end.err[-700:]}")


def read_here(subject: Subject, names: Sequence[str]) -> None:
    """Read in this process, a line of JSON for each way."""
    for name in names:
        try:
            state, detail = "whole", subject.readings()[name]()
        except OnewarpError as error:
            state, detail = "refused", str(error)
        except Exception:
            state, detail = "traceback", traceback.format_exc()[-700:]
        os.write(1, (json.dumps([name, state, detail]) + "\n").encode())


def command(*arguments: str) -> str:
    """Run a command of onewarp here; what it prints. Raises `OnewarpError` with its line where it exits with 1."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main.main(list(arguments), "onewarp")
        except SystemExit as end:
            if end.code:
                raise OnewarpError(refusal(err.getvalue())) from None
    return out.getvalue()


def refusal(err: str) -> str:
    """The one line with which a command says why it ends; a traceback, or several of them, is a `RuntimeError`."""
    lines = [line for line in err.splitlines() if line.startswith("onewarp: ")]
    if len(lines) != 1 or "Traceback" in err or err.splitlines()[-1] != lines[0]:
        raise RuntimeError(f"a command that fails must say so in one line, but said: {err[-700:]}")
    return lines[0]


@contextmanager
def as_command() -> Iterator[None]:
    """Python as the command line runs it: what onewarp refuses is one line and exit 1."""
    try:
        yield
    except OnewarpError as error:
        print(f"onewarp: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def digest(value: Any) -> str:
    """A name for a value of numbers, words, bytes, lists and mappings, by its `repr` or its bytes."""
    known = hashlib.blake2b(digest_size=8)
    _feed(known, value)
    return known.hexdigest()


def _feed(known: Any, value: Any) -> None:
    if isinstance(value, dict):
        value = sorted(value.items())
    if isinstance(value, (list, tuple)):
        for one in value:
            _feed(known, one)
        known.update(f"of {len(value)}".encode())
    elif hasattr(value, "numpy"):
        _feed(known, value.numpy())
    elif hasattr(value, "tobytes"):
        known.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    else:
        known.update(repr(value).encode())
