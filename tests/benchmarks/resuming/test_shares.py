"""Each sample once an epoch over ranks: what is lost, or comes again, is found out."""

import pytest

from onewarp.benchmarks.resuming import data, shares, traces


def test_samples_come_once_an_epoch_over_two_ranks_of_a_loop_with_ddp():
    found = shares.train_ranks("plain", 2)
    for case, samples in zip(shares.CASES, found, strict=True):
        assert shares.repeats(samples, *case, 2) == 2 * (-case[0] % (2 * case[1]))


def test_samples_that_are_lost_or_come_again_or_are_of_no_epoch_are_found_out():
    loader = data.loaders(97, 16, rank=0, world_size=1).train
    whole = [traces.digest([image]) for _ in range(traces.EPOCHS) for x, _ in loader for image in x]
    assert shares.repeats(whole, 97, 16, 1) == 0
    assert shares.repeats([*whole, *whole[:62]], 97, 16, 2) == 62
    for found in (whole[1:], [*whole, whole[0]], [*whole, "another"]):
        with pytest.raises(AssertionError, match="must come once"):
            shares.repeats(found, 97, 16, 1)
