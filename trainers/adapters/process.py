"""Images transformed in a process of its own, where global generators may be set: nobody else draws from them.

One process serves all threads, image after image. It starts with the first batch, and ends with this process.
"""

import os
import pickle
import random
import subprocess
import sys
import traceback
import weakref
from collections.abc import Sequence
from threading import Lock
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...transforms.child_process import environment


class Process:
    """A Python that calls `transform.one` on images, each under global generators that are set to its seed."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._end = weakref.finalize(self, _end, self._child)
        self._turn = Lock()

    def run(self, transform: Any, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """What `transform.one` makes of images `float[N, 3, h, w]`, on their device.

        Raises `UsageError` with what the transform raised, or where the process dies of it.
        """
        request = (_pickle(transform), images.cpu().numpy(), list(seeds))
        with self._turn:
            try:
                pickle.dump(request, self._child.stdin)  # type: ignore[arg-type]
                self._child.stdin.flush()  # type: ignore[union-attr]
                done, error = pickle.load(self._child.stdout)  # type: ignore[arg-type]
            except (EOFError, BrokenPipeError):
                code = self._child.wait()
                raise UsageError(f"{transform!r} ended the process that it runs in (code {code})") from None
        if error:
            raise UsageError(f"{transform!r} failed in the process that it runs in: {error}")
        return torch.from_numpy(done).to(images.device)

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._child.poll() is None


def _pickle(transform: Any) -> bytes:
    try:
        return bytes(cloudpickle.dumps(transform))
    except Exception as error:
        raise UsageError(f"{transform!r} cannot be sent to the process that it runs in: {error}") from error


def _end(child: "subprocess.Popen[bytes]") -> None:
    for pipe in (child.stdin, child.stdout):
        pipe.close()  # type: ignore[union-attr]
    child.wait()


_PROCESSES: dict[int, Process] = {}  # by the id of the process that started it: one that is forked starts its own
_START = Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_START=Lock()))


def process() -> Process:
    """The process of its own that serves this one."""
    with _START:
        here = _PROCESSES.get(os.getpid())
        if here is None or not here.alive:
            here = _PROCESSES[os.getpid()] = Process()
        return here


def serve() -> None:
    """What the process does: requests from its standard input, answers to its standard output, until there are none."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the standard error
    requests = sys.stdin.buffer
    while True:
        try:
            transform, images, seeds = pickle.load(requests)
        except (EOFError, KeyboardInterrupt):
            return
        pickle.dump(_answer(transform, images, seeds), answers)
        answers.flush()


def _answer(transform: bytes, images: "NDArray[Any]", seeds: Sequence[int]) -> tuple[Any, str]:
    try:
        done = []
        for image, seed in zip(torch.from_numpy(images), seeds, strict=True):
            fresh = pickle.loads(transform)
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % (1 << 32))
            done.append(fresh.one(image).numpy())
        return np.stack(done), ""
    except Exception:
        return None, traceback.format_exc()
