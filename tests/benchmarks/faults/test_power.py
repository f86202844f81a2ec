"""What a disk has when its power fails: what `fsync` has brought to it, and no more."""

import pytest

from onewarp.benchmarks.faults.calls import Call
from onewarp.benchmarks.faults.power import WAYS, Disk


class Machine:
    """Does things to files in `folder` and tells the disk of them before, as the kernel does."""

    def __init__(self, root):
        self.folder = root / "home"
        self.folder.mkdir()
        (self.folder / "old").write_bytes(b"0123456789")
        self.disk = Disk(self.folder, root / "shadow", lambda call: 0)

    def tell(self, name, path):
        assert self.disk(Call(name, path, 1)) == 0

    def write(self, name, data):
        with (self.folder / name).open("ab") as file:
            self.tell("write", self.folder / name)
            file.write(data)

    def fsync(self, name="."):
        self.tell("fsync", self.folder / name)

    def remove(self, name):
        self.tell("unlink", self.folder / name)
        (self.folder / name).unlink()

    def lose(self, way):
        self.disk.lose(way)
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_nobody_touches_stays(machine, way):
    assert machine.lose(way) == {"old": b"0123456789"}


def test_bytes_without_fsync_are_lost_and_those_before_it_are_not(machine):
    machine.write("new", b"abc")
    machine.fsync("new")
    machine.write("new", b"def")
    machine.write("another", b"xyz")
    assert machine.lose("names kept") == {"old": b"0123456789", "new": b"abc", "another": b""}


def test_a_name_without_fsync_of_its_folder_is_lost_with_its_bytes(machine):
    machine.write("new", b"abc")
    machine.fsync("new")
    assert machine.lose("names lost") == {"old": b"0123456789"}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_whose_bytes_and_name_are_on_the_disk_stays(machine, way):
    machine.write("new", b"abc")
    machine.fsync("new")
    machine.fsync()
    assert machine.lose(way) == {"old": b"0123456789", "new": b"abc"}


@pytest.mark.parametrize(("way", "there"), [("names kept", False), ("names lost", True), ("removals kept", False)])
def test_a_removal_without_fsync_is_undone_or_not(machine, way, there):
    machine.remove("old")
    assert machine.lose(way) == ({"old": b"0123456789"} if there else {})


@pytest.mark.parametrize("way", WAYS)
def test_a_removal_that_is_on_the_disk_stays_one(machine, way):
    machine.remove("old")
    machine.fsync()
    assert machine.lose(way) == {}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_written_anew_after_its_removal_stays(machine, way):
    machine.remove("old")
    machine.fsync()
    machine.write("old", b"new")
    machine.fsync("old")
    machine.fsync()
    assert machine.lose(way) == {"old": b"new"}


def test_a_call_that_is_failed_does_nothing_to_the_disk(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "new").write_bytes(b"abc")
    disk = Disk(tmp_path / "home", tmp_path / "shadow", lambda call: 28)
    assert disk(Call("write", tmp_path / "home" / "new", 1)) == 28
    disk.lose("names kept")
    assert (tmp_path / "home" / "new").read_bytes() == b"abc"
