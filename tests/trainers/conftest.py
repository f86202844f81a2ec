"""A tiny task that a tiny model learns in a second, drawn photos in a cache and a run over them; and two processes.

The task: which colour a noisy picture has.
"""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Data:
    """What a Learner asks of DataLoaders."""

    train: object
    valid: object
    vocab: list[str] = field(default_factory=lambda: ["blue", "green", "red"])
    loss: str = "category"

    @property
    def c(self) -> int:
        return len(self.vocab)


def pictures(n: int, seed: int, size: int = 8) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    x = torch.randn(n, 3, size, size, generator=generator) * 0.5
    x[torch.arange(n), 2 - y] += 0.5
    return TensorDataset(x, y)


def small_model(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)),
    )


@pytest.fixture
def data() -> Data:
    return Data(DataLoader(pictures(48, 1), batch_size=8), DataLoader(pictures(30, 2), batch_size=8))


@pytest.fixture
def model() -> nn.Module:
    return small_model()


@pytest.fixture
def saved(data, model, tmp_path):
    """A learner after some steps, and its checkpoint."""
    from onewarp.trainers import Learner

    learn = Learner(data, model, table=False)
    learn.fit(1, 1e-2)
    return learn, learn.save(tmp_path / "c")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Four drawn photos of each of six classes, in a folder for each."""
    from onewarp.trainers.synthetic_photos import draw_photos

    return draw_photos(tmp_path_factory.mktemp("photos"), per_class=4)


@pytest.fixture(scope="session")
def cache(photos, tmp_path_factory):
    from onewarp.pipeline import RandomSplitter, parent_label, presize

    path = tmp_path_factory.mktemp("cache") / "c"
    presize(photos, path, size=64, label=parent_label, split=RandomSplitter(seed=0))
    return path


@pytest.fixture(scope="session")
def address(cache):
    """The address of a service, in this process, that has the cache."""
    from onewarp.pipeline.service.served_caches import ServedCaches
    from onewarp.pipeline.service.server import Server, Service

    server = Server(Service(ServedCaches({"photos": cache})), "grpc://127.0.0.1:0")
    yield f"grpc://127.0.0.1:{server.port}/photos"
    server.stop(grace=5)


@pytest.fixture(scope="session")
def transforms():
    return "Resize(64) | aug_transforms(size=48, min_scale=0.8)"


@pytest.fixture(scope="session")
def quick_run(transforms):
    """`quick_run(cache, out, **settings)`: an epoch of a small network over a cache."""
    from onewarp.trainers.run import Settings, train

    def run(cache, out, **settings):
        chosen = {"model": "small_resnet", "epochs": 1, "lr": 1e-3, "pretrained": False, "bs": 8}
        return train(cache, transforms, Settings(**chosen | settings), out, command="onewarp train --some words")

    return run


@pytest.fixture(scope="session")
def trained(quick_run, cache, tmp_path_factory):
    return quick_run(cache, tmp_path_factory.mktemp("run"))


LEAVE = """
import os, sys, torch
torch.distributed.destroy_process_group()
sys.stdout.flush(), sys.stderr.flush()
os._exit(0)  # threads of torch that outlive the group may abort an interpreter that ends
"""


@pytest.fixture
def two_processes(tmp_path, request):
    """Runs a script as both processes of a group on this machine, as torchrun does: `run(script, *arguments)` gives
    the exit status and the output of each. It may import what lies beside the test."""

    def run(script: str, *arguments: str, limit: float = 300) -> list[tuple[int, str]]:
        file = tmp_path / "script.py"
        file.write_text(script + LEAVE)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        beside = os.pathsep.join(filter(None, [str(request.path.parent), os.environ.get("PYTHONPATH")]))
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PYTHONPATH": beside}
        calm = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
        outputs = [(tmp_path / f"output-{rank}").open("w+") for rank in range(2)]
        processes = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", str(file), *arguments],
                env=os.environ | group | calm | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            for rank, output in enumerate(outputs)
        ]
        for process in processes:  # where one fails, what it leaves unanswered ends the other
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
        statuses = [process.wait() for process in processes]
        texts = []
        for output in outputs:
            output.seek(0)
            texts.append(output.read()[-3000:])
            output.close()
        return list(zip(statuses, texts, strict=True))

    return run
