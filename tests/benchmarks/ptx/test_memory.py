"""Allocations by themselves: what is read, where nothing lies, and who was there before."""

import numpy as np
import pytest

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Fault
from onewarp.benchmarks.ptx.memory import Memory, Visitors, address_of


def visitors(*threads, blocks=None, barriers=None):
    count = len(threads)
    return Visitors(np.array(threads), np.array(blocks or [0] * count), np.array(barriers or [0] * count))


def at(number, *offsets):
    return np.array([address_of(number) + offset for offset in offsets]).astype(np.uint64)


@pytest.fixture
def memory():
    return Memory(np.array([8, 600]), fresh=False)


def test_what_is_stored_is_loaded_from_its_own_allocation(memory):
    memory.contents(0)[:] = range(8)
    memory.store(at(1, 0, 4), np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8), visitors(0, 1))
    assert memory.load(at(0, 4, 0), 4, visitors(0, 1)).tolist() == [[4, 5, 6, 7], [0, 1, 2, 3]]
    assert memory.contents(1)[:9].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 0xA5]
    assert memory.dirty.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("number", "offset", "size", "what"),
    [
        (0, 8, 4, "byte 8 of an allocation of 8"),
        (0, -4, 4, "byte -4 of an allocation of 8"),
        (1, 1 << 34, 4, f"byte {1 << 34} of an allocation of 600"),
        (2, 0, 4, "at nowhere"),
        (1, 2, 4, "4 bytes at an address that is no multiple of it"),
    ],
)
def test_what_lies_outside_or_across_is_a_fault(memory, number, offset, size, what):
    with pytest.raises(Fault, match=what):
        memory.load(at(number, offset), size, visitors(0))
    with pytest.raises(Fault, match=what):
        memory.store(at(number, offset), np.zeros((1, size), np.uint8), visitors(0))


def test_fresh_memory_is_written_before_it_is_read():
    memory = Memory(np.array([8]), fresh=True)
    with pytest.raises(Fault, match="memory is read before it is written"):
        memory.load(at(0, 0), 4, visitors(0))
    memory.store(at(0, 0), np.zeros((1, 4), np.uint8), visitors(0))
    assert memory.load(at(0, 0), 4, visitors(0)).tolist() == [[0] * 4]


WORD = np.array([[1, 2, 3, 4]], np.uint8)


@pytest.mark.parametrize(
    ("reader", "allowed"),
    [
        (visitors(0), True),  # the writer itself
        (visitors(1), False),  # another thread
        (visitors(1, barriers=[1]), True),  # behind a barrier of its block
        (visitors(1, blocks=[1], barriers=[1]), False),  # a barrier of another block orders nothing
    ],
)
def test_what_another_thread_wrote_is_read_behind_a_barrier_of_the_block(memory, reader, allowed):
    memory.store(at(0, 0), WORD, visitors(0))
    if allowed:
        assert memory.load(at(0, 0), 4, reader).tolist() == WORD.tolist()
        return
    with pytest.raises(Fault, match="without a barrier between"):
        memory.load(at(0, 0), 4, reader)


def test_two_threads_may_write_the_same_and_not_different_values(memory):
    memory.store(at(0, 0), WORD, visitors(0))
    memory.store(at(0, 0), WORD, visitors(1))
    with pytest.raises(Fault, match="two threads write different values to one place"):
        memory.store(at(0, 0), WORD + 1, visitors(2))
    with pytest.raises(Fault, match="two threads write different values to one place"):
        memory.store(at(1, 0, 0), np.concatenate([WORD, WORD + 1]), visitors(0, 1))
