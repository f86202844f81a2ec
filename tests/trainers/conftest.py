"""A tiny task that a tiny model learns in a second: which colour a noisy picture has; and scripts in two processes."""

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
