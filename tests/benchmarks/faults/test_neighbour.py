"""A neighbour in a control group of its own: the kernel kills one of the group, and says so."""

import time
from functools import partial

import pytest

from onewarp.benchmarks.faults import neighbour
from onewarp.benchmarks.faults.children import KILLED, Child

pytestmark = [
    pytest.mark.usefixtures("linux"),
    pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning"),
]
LIMIT = 96 << 20


@pytest.fixture
def make_group():
    """Makes a group of 96 MiB; without the right to make one the test is skipped."""
    try:
        with neighbour.group(LIMIT):
            pass
    except (OSError, KeyError) as error:
        pytest.skip(f"no memory control group can be made here, which takes root as a rule: {error}")
    return partial(neighbour.group, LIMIT)


def take(group, size):
    """Enter the group and fill so many bytes."""
    group.enter()
    bytes([1]) * size


def wait_in(group):
    """Enter the group and stay."""
    group.enter()
    time.sleep(3600)


def test_who_takes_more_than_the_group_has_is_killed_and_counted(make_group):
    with make_group() as group:
        assert Child(partial(take, group, LIMIT // 8)).end().status == 0
        assert group.kills == 0
        assert Child(partial(take, group, 2 * LIMIT)).end().status == KILLED
        assert group.kills == 1


def test_a_group_is_removed_with_whoever_is_left_in_it(make_group):
    with make_group() as group:
        child = Child(partial(wait_in, group))
        while not group.members():
            time.sleep(0.01)
    assert child.end().was_killed
    with pytest.raises(FileNotFoundError):
        group.enter()
