"""Trials find faults that are planted, and find none in a small store that is written with care."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.usefixtures("linux")

STORE = r'''
import json, os, signal, sys, tempfile, time, zlib
from collections import Counter
from pathlib import Path
from onewarp.benchmarks.faults.cases import cases, sample
from onewarp.benchmarks.faults.subjects import as_command, build, digest
from onewarp.benchmarks.faults.trials import Trials
from onewarp.errors import CacheError

TEXTS = {"old": "the old text " * 20, "new": "the new text " * 30}

class Notes:
    """A text in a file that is named after its checksum, and beside it a file that says which one is current."""
    name, exact = "notes", True

    def __init__(self, scratch, plant):
        self.home = self.folder = scratch / "home"
        self.plant = plant

    def write(self, version):
        with as_command():
            try:
                self.save(TEXTS[version].encode())
            except OSError as error:
                if self.plant == "an error that is swallowed":
                    return
                if self.plant == "a traceback of the run":
                    raise
                raise CacheError(f"{self.folder} cannot be written to: {error.strerror}") from error

    def save(self, text):
        name = f"note-{zlib.crc32(text):08x}"
        self.put(name, text)
        self.put("current", name.encode())
        for other in os.listdir(self.folder):
            if other not in (name, "current") and self.plant != "no sweeping":
                os.unlink(self.folder / other)

    def put(self, name, data):
        data += zlib.crc32(data).to_bytes(4, "little")
        if self.plant == "no renaming":
            (self.folder / name).write_bytes(data)
            return
        aside = self.folder / f".aside-{os.getpid()}"
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            if self.plant != "no fsync of files":
                os.fsync(file.fileno())
        os.replace(aside, self.folder / name)
        if self.plant != "no fsync of names":
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def readings(self):
        return {"read": self.text}

    def text(self):
        name = self.get("current").decode(errors="replace")
        text = self.get(name)
        if f"note-{zlib.crc32(text):08x}" != name and self.plant != "no checking":
            raise CacheError(f"{self.folder / name} is another file")
        return digest(text)

    def get(self, name):
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CacheError(f"{path} cannot be read: {error.strerror}") from error
        if self.plant != "no checking" and zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
            if self.plant == "a hang":
                time.sleep(1000)
            if self.plant == "a signal":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.plant == "a traceback of the reader":
                raise ValueError("damaged")
            raise CacheError("it is damaged" if self.plant == "no name" else f"{path} is damaged")
        return data[:-4]

    def names(self):
        return []

plant, kind, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
with tempfile.TemporaryDirectory() as folder:
    notes = Notes(Path(folder), plant)
    trials = Trials(notes, build(notes, Path(folder), 60), 2 if plant == "a hang" else 60)
    found = sample([case for case in cases(trials, 1, 0) if kind in case.kind], most, 0)
    said = [(case, case.attempt()) for case in found]
forbidden = [(c.kind, o.state) for c, o in said if o.state in ("wrong", "hang", "signal", "traceback")]
print(json.dumps({"kinds": Counter(case.kind for case, _ in said), "forbidden": sorted(set(forbidden))}))
'''


def study(plant: str = "", kind: str = "", most: int = 30) -> dict:
    program = [sys.executable, "-c", STORE, plant, kind, str(most)]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def test_nothing_is_found_in_a_store_that_is_written_with_care():
    found = study()
    assert found["forbidden"] == []
    kinds = ["bytes flipped", "bytes filled", "files cut", "files changed"]
    kinds += ["calls of a run failed", "calls of a reader failed", "killed", "power cut"]
    assert sorted(found["kinds"]) == sorted(kinds)


@pytest.mark.parametrize(
    ("plant", "kind", "state"),
    [
        ("no checking", "bytes flipped", "wrong"),
        ("a hang", "bytes flipped", "hang"),
        ("a signal", "bytes flipped", "signal"),
        ("a traceback of the reader", "files cut", "traceback"),
        ("a traceback of the run", "calls of a run failed", "traceback"),
        ("an error that is swallowed", "calls of a run failed", "wrong"),
        ("no name", "bytes filled", "wrong"),
        ("no renaming", "killed", "wrong"),
        ("no sweeping", "killed", "wrong"),
        ("no fsync of files", "power cut", "wrong"),
        ("no fsync of names", "power cut", "wrong"),
    ],
)
def test_what_is_planted_is_found(plant, kind, state):
    assert [kind, state] in study(plant, kind, 70 if kind == "power cut" else 12)["forbidden"]
