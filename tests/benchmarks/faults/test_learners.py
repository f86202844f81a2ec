"""A Learner's files as subjects: what their versions differ in, and that a reading sees all of it."""

import pytest
import torch

from onewarp.benchmarks.faults import learners
from onewarp.benchmarks.faults.subjects import clear


@pytest.fixture(autouse=True)
def _threads():
    """Learners of faults run on one thread; afterwards there are as many as before."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


SUBJECTS = {
    "checkpoint": lambda folder: learners.Checkpoints(folder, saved=False),
    "save": lambda folder: learners.Checkpoints(folder, saved=True),
    "export": learners.Exports,
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_version_reads_the_same_each_time_and_unlike_the_other(tmp_path, name):
    subject = SUBJECTS[name](tmp_path)
    assert subject.name == name
    ((_, read),) = subject.readings().items()
    digests = []
    for version in ("old", "old", "new"):
        clear(subject.home)
        subject.write(version)
        digests.append(read())
    assert digests[0] == digests[1] != digests[2]
    if name == "checkpoint":  # a run with changes goes on from what is there
        clear(subject.home)
        subject.write("old")
        subject.write("new")
        assert read() not in digests[:2]


def test_a_command_says_in_one_line_that_a_checkpoint_is_damaged(tmp_path, capsys):
    subject = learners.Checkpoints(tmp_path, saved=True)
    clear(subject.home)
    subject.write("old")
    path = subject.folder / "run.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SystemExit) as end:
        subject.write("new")
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("onewarp: ")
