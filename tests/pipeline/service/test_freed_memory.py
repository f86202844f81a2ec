"""Freed memory stays with the process, so that the next block of its size costs no page faults."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from onewarp.pipeline.service.freed_memory import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def use(nbytes):
    block = libc.malloc(nbytes)
    ctypes.memset(block, 1, nbytes)
    libc.free(block)

use(24 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use(24 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    """Page faults of using 24 MB ten times."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_blocks_of_a_message_are_used_again():
    assert faults("keep") < 6_000  # of the ten times 6,144 pages at most one


RETURN = """
import ctypes
from onewarp.pipeline.service.freed_memory import IdleMemory, keep_freed_memory
from onewarp.pipeline.service.monitoring import Monitoring

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) << 12

monitoring, released = Monitoring(), []
memory = IdleMemory(monitoring, lambda: released.append(1))
with monitoring.request("get"):
    blocks = [libc.malloc(20 << 20) for _ in range(10)]
    for block in blocks:
        ctypes.memset(block, 1, 20 << 20)
    for block in blocks:
        libc.free(block)
    assert [memory.look(), memory.look()] == [False, False]
before = resident()
looks = [memory.look() for _ in range(3)]
assert (looks, released) == ([False, True, False], [1]), looks
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back on Linux alone")
def test_a_server_with_nothing_to_do_gives_its_memory_back():
    done = subprocess.run([sys.executable, "-c", RETURN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150 << 20
