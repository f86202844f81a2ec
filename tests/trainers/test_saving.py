"""Files of weights and facts: whole or absent, and refused where they are not what was written."""

import json
import os
import resource
import socket
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from onewarp.errors import TrainingError
from onewarp.trainers import Learner
from onewarp.trainers.saving import read


def test_files_are_whole_or_absent(data, model, tmp_path):
    path = Learner(data, model, table=False).save(tmp_path / "deep" / "c")
    assert [p.name for p in path.parent.iterdir()] == ["c"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode  # for whoever may read other files
    assert np.frombuffer(path.read_bytes()[:8], np.uint64)[0] < path.stat().st_size  # a safetensors header


busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@busy
@given(draws=st.data())
def test_every_flipped_bit_and_every_cut_is_found(saved, draws):
    _, path = saved
    whole = path.read_bytes()
    damaged = bytearray(whole)
    if draws.draw(st.booleans()):
        bit = draws.draw(st.integers(0, 8 * len(whole) - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        damaged = damaged[: draws.draw(st.integers(0, len(whole) - 1))]
    path.write_bytes(damaged)
    try:
        with pytest.raises(TrainingError):
            read(path)
    finally:
        path.write_bytes(whole)


def test_files_of_format_1_which_have_no_hash_are_read(saved):
    learn, path = saved
    tensors, facts = read(path)
    save_file(tensors, path, metadata={"onewarp": json.dumps({**facts, "format": 1})})
    learn.resume(path)
    save_file(tensors, path, metadata={"onewarp": json.dumps(facts)})
    with pytest.raises(TrainingError, match="is damaged"):
        learn.resume(path)


def test_a_disk_that_is_full_is_one_line_and_leaves_the_file_before(saved):
    learn, path = saved
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(TrainingError, match=r"c cannot be written \(File too large\): make room"):
            learn.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["c"]


def test_what_runs_that_were_killed_have_left_beside_a_file_is_removed(saved):
    learn, path = saved
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = path.with_name(f".c.{socket.gethostname()}.{ended.pid}")
    living = path.with_name(f".c.{socket.gethostname()}.{os.getppid()}")
    left.touch(), living.touch()
    learn.save(path)
    assert sorted(file.name for file in path.parent.iterdir()) == [living.name, "c"]
