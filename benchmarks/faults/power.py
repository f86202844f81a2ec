"""A disk whose power fails: what was written and not brought to it by `fsync` is lost.

After `fsync` of a file its bytes are on the disk, after `fsync` of a folder its names; POSIX promises no more. Three
ways of losing the rest are tried, of which a careless order of calls survives one or two (Pillai et al., "All File
Systems Are Not Created Equal", OSDI 2014).
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .calls import Call

WAYS = ("names kept", "names lost", "removals kept")
"""All changes of names are on the disk, but no byte without `fsync`; no change of names is; only removals are."""

_WRITES = (
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "sendfile",
    "copy_file_range",
    "ftruncate",
    "fallocate",
)


@dataclass
class Disk:
    """Watches the calls of a run in `folder`, decided by `decide`; `shadow` keeps what the disk is sure to have."""

    folder: Path
    shadow: Path
    decide: Callable[[Call], int]
    _unsafe: dict[int, int] = field(default_factory=dict)  # by inode: how many bytes `fsync` has brought to the disk
    _removed: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        shutil.rmtree(self.shadow, ignore_errors=True)
        for folder in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
            self._keep(folder)

    def __call__(self, call: Call) -> int:
        """Note a call before it is carried out."""
        answer = self.decide(call)
        if answer == 0:
            self._note(call)
        return answer

    def _note(self, call: Call) -> None:
        if call.name in ("unlink", "unlinkat", "rmdir"):
            self._removed.add(call.path)
        elif call.name in ("fsync", "fdatasync") and call.path.is_dir():
            self._keep(call.path)
        elif call.name in ("fsync", "fdatasync", *_WRITES) and call.path.is_file():
            status = call.path.stat()
            if call.name in _WRITES:
                self._unsafe.setdefault(status.st_ino, 0)
            else:
                self._unsafe[status.st_ino] = status.st_size

    def _keep(self, folder: Path) -> None:
        """The names in a folder, and the files behind them, are on the disk from now on."""
        copy = self.shadow / folder.relative_to(self.folder)
        copy.mkdir(parents=True, exist_ok=True)
        there = {path.name: path for path in folder.iterdir()}
        for path in copy.iterdir():
            if path.is_file():
                path.unlink()
            elif path.name not in there:
                shutil.rmtree(path)
        for name, path in there.items():
            if path.is_file():
                os.link(path, copy / name)
            else:
                (copy / name).mkdir(exist_ok=True)
        self._removed = {path for path in self._removed if path.parent != folder}

    def lose(self, way: str) -> None:
        """Leave in the folder what is on the disk when the power comes back."""
        if way != "names kept":
            for path in self._removed if way == "removals kept" else ():
                (self.shadow / path.relative_to(self.folder)).unlink(missing_ok=True)
            shutil.rmtree(self.folder)
            shutil.move(self.shadow, self.folder)
        for path in [path for path in self.folder.rglob("*") if path.is_file()]:
            status = path.stat()
            if status.st_size > self._unsafe.get(status.st_ino, status.st_size):
                os.truncate(path, self._unsafe[status.st_ino])
