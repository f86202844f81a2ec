"""Several servers of the same caches on one machine, each a process: started together, renewed, ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from threading import Thread
from types import FrameType
from typing import IO

from ...errors import ServiceError
from .process import PARENT

_PAUSE = 1.0  # seconds between an end and the next start


class Supervisor:
    """Runs one process for each of `commands` (words of `onewarp`); the first line that each prints is told to `say`.

    A process that ends by itself is started again, and `warn` is told; one that ends before it has answered ends all.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], say: Callable[[str], object], warn: Callable[[str], object]
    ) -> None:
        self._commands, self._say, self._warn = commands, say, warn
        self._is_stopping = False

    def run(self) -> int:
        """Run until SIGTERM or Ctrl-C; returns the exit status."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        self._processes = [self._start(words) for words in self._commands]
        try:
            for process in self._processes:
                line = _first_line(process.stdout)
                if not line:
                    if self._is_stopping:
                        break
                    raise ServiceError("a replica ended before it answered: what it said stands above")
                self._say(line)
            self._watch()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
        return max((process.returncode for process in self._processes), default=0)

    def _start(self, words: Sequence[str]) -> "subprocess.Popen[str]":
        environment = {**os.environ, PARENT: str(os.getpid())}
        return subprocess.Popen(
            [sys.executable, "-m", "onewarp", *words], stdout=subprocess.PIPE, text=True, env=environment
        )

    def _watch(self) -> None:
        """Start again what has ended, until all shall end."""
        while not self._is_stopping:
            for number, process in enumerate(self._processes):
                if process.poll() is not None and not self._is_stopping:
                    self._warn(f"replica {number} ended with status {process.returncode}: it is started again")
                    time.sleep(_PAUSE)
                    self._processes[number] = again = self._start(self._commands[number])
                    Thread(target=_first_line, args=(again.stdout,), daemon=True).start()
            time.sleep(0.1)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True

    def _end(self) -> None:
        """Let every process end as it does by itself."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            process.wait()


def _first_line(stream: IO[str] | None) -> str:
    return "" if stream is None else stream.readline().rstrip("\n")
