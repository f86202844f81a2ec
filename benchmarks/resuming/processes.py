"""Processes that train together: their environments, their start, and how they end."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path


def group(processes: int) -> list[dict[str, str]]:
    """The environment of each process of a group that a user starts by hand; of one process, that of no group."""
    own = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    own |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    if processes == 1:
        return [own]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [own | place | {"RANK": str(n), "LOCAL_RANK": str(n)} for n in range(processes)]


def launch_environments(processes: int) -> list[dict[str, str]]:
    """The environment of each process of a group, as `torchrun` and accelerate's launcher give it, on CPUs."""
    told = {"ACCELERATE_USE_CPU": "true"}
    if processes > 1:
        told |= {"TORCHELASTIC_RUN_ID": "resuming", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": str(processes)}
    return [one | told for one in group(processes)]


Process = subprocess.Popen[bytes]


def start(command: Sequence[str], environments: Iterable[dict[str, str]], folder: Path, name: str) -> list[Process]:
    """A process of the command in each environment; what the n-th says goes into `folder`, to `NAME-n.out`."""
    started = []
    for number, environment in enumerate(environments):
        with (folder / f"{name}-{number}.out").open("w") as output:
            started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
    return started


def wait(started: Sequence[Process], limit: float) -> list[int]:
    """How processes ended; raises `AssertionError` where they hang for so many seconds, and leaves none of them."""
    end = time.monotonic() + limit
    try:
        return [process.wait(max(0.0, end - time.monotonic())) for process in started]
    except subprocess.TimeoutExpired:
        raise AssertionError(f"all ranks must end, but hang after {limit:.0f} s") from None
    finally:
        for process in started:
            process.kill()
            process.wait()
