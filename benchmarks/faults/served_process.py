"""`onewarp serve` as a process, and what it holds: memory, threads, files, requests in flight."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.flight as flight

SPARE = 8
"""Threads and files that gRPC may keep for the next calls."""


class Holdings(NamedTuple):
    """What a process holds: bytes of memory that are resident, threads, open files; and its requests in flight."""

    memory: int
    threads: int
    files: int
    in_flight: int

    def is_back(self, start: "Holdings", memory: int) -> bool:
        """Whether all is as at the start, but for so many bytes of memory, and threads and files that gRPC keeps."""
        return (
            self.memory <= start.memory + memory
            and self.threads <= start.threads + SPARE
            and self.files <= start.files + SPARE
            and self.in_flight == 0
        )


class ServedProcess:
    """A server with a token, which serves these caches; `arguments` go to `onewarp serve`. To be used by `with`.

    What it writes to its log is in the file `log`.
    """

    def __init__(self, scratch: Path, arguments: Sequence[str], token: str = "a-token-of-a-test") -> None:
        self.token, self.log = token, scratch / "log"
        tokens = scratch / "tokens"
        tokens.write_text(token)
        command = [sys.executable, "-m", "onewarp", "serve", "--listen=grpc://127.0.0.1:0", f"--token-file={tokens}"]
        self._error = self.log.open("a")
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=self._error, text=True, cwd=scratch
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError(f"the server did not start: {self.log.read_text()[-700:]}")
        self.address = line.split()[0]
        self.port = int(self.address.rpartition(":")[2])

    @property
    def options(self) -> flight.FlightCallOptions:
        """Options of a call: the token, and a time within which an answer must come."""
        return flight.FlightCallOptions(timeout=60, headers=[(b"authorization", f"Bearer {self.token}".encode())])

    def holdings(self) -> Holdings:
        """What the process holds now."""
        with flight.connect(self.address) as client:
            (result,) = client.do_action("stats", self.options)
        return self._look(json.loads(result.body.to_pybytes())["in_flight"] - 1)

    def settle(self, start: Holdings, memory: int, seconds: float = 30.0) -> Holdings:
        """What the process holds, once it is as at the `start` but for `memory`, or after some seconds.

        Meanwhile nothing is asked of it, so that it has nothing to do.
        """
        end = time.monotonic() + seconds
        while not self._look(0).is_back(start, memory) and time.monotonic() < end:
            time.sleep(0.2)
        return self.holdings()

    def _look(self, in_flight: int) -> Holdings:
        folder = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        files = len(os.listdir(folder / "fd"))
        return Holdings(int(status["VmRSS"].split()[0]) << 10, int(status["Threads"]), files, in_flight)

    def __enter__(self) -> "ServedProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._error.close()
