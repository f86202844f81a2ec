"""Where another process has ended, what torch says becomes a line that says what to do."""

import pytest
import torch

from onewarp.errors import TrainingError
from onewarp.trainers.answering import answering

GLOO = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4242. "
    "This is probably a bug\nsecond line"
)


def test_what_gloo_says_of_a_peer_is_said_with_the_process_and_the_way_on(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = r"process 1 of 2 stops.*\(Connection closed by peer \[127.0.0.1\]:4242\).*Checkpoint and resume"
    with pytest.raises(TrainingError, match=said) as caught, answering():
        raise RuntimeError(GLOO)
    assert str(caught.value).count("\n") == 0
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_so_does_what_torchs_own_group_raises():
    class DistributedError(RuntimeError):
        pass

    DistributedError.__module__ = "torch.distributed"
    with pytest.raises(TrainingError, match=r"does not answer \(timed out\)"), answering():
        raise DistributedError("timed out")


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("gloo")])
def test_other_errors_are_their_own(error):
    with pytest.raises(type(error)) as caught, answering():
        raise error
    assert caught.value is error


def test_as_a_decorator_it_gives_what_the_function_gives():
    @answering()
    def double(x):
        return 2 * x

    assert torch.equal(double(torch.ones(2)), torch.full((2,), 2.0))
