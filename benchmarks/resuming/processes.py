"""The environments of processes that train together."""

import os
import socket


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
