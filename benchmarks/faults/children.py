"""One case in one child: forked from a parent that has everything imported, with a limit, its calls decided or not."""

import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from .calls import Decide, Listener, ask_first

LIMIT = 120.0
"""Seconds after which a child hangs: generous, since others may use the machine."""

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class End:
    """How a child ended: its exit status, negative for a signal, None where it hung; what it printed."""

    status: int | None
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        """Whether it was killed, as `Child` does when `decide` says so."""
        return self.status == KILLED


class Child:
    """A child that does `work`; `decide` answers its calls under `folders`, of these names if any."""

    def __init__(
        self,
        work: Callable[[], None],
        decide: Decide | None = None,
        folders: Sequence[Path] = (),
        names: Iterable[str] | None = None,
    ) -> None:
        self._outputs = [os.memfd_create(name) for name in ("out", "err")]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = os.fork()
            if self._process == 0:
                _work(work if decide is None else partial(_watch, work, theirs, names), self._outputs)
            theirs.close()
            self._listener = None if decide is None else Listener(ours, folders, decide)

    def end(self, limit: float = LIMIT) -> End:
        """Wait until it ends, answering its calls; it is ended at the limit."""
        status = _wait(self._process, limit, self._listener)
        texts = [os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace") for output in self._outputs]
        for output in self._outputs:
            os.close(output)
        return End(status, *texts)


def run(
    work: Callable[[], None],
    limit: float = LIMIT,
    decide: Decide | None = None,
    folders: Sequence[Path] = (),
    names: Iterable[str] | None = None,
) -> End:
    """Do `work` in a child, and wait until it ends."""
    return Child(work, decide, folders, names).end(limit)


def preload(work: Callable[[], None], limit: float = LIMIT) -> None:
    """Import here what `work` imports in a child, so that no later child has to; `RuntimeError` where it fails."""

    def imports() -> None:
        try:
            work()
        finally:
            print(json.dumps([*sys.modules]))

    end = run(imports, limit)
    if end.status != 0:
        raise RuntimeError(f"a run that nothing is done to must end well, but ended with {end.status}: {end.err}")
    for name in json.loads(end.out.splitlines()[-1]):
        with suppress(ImportError):  # a module that is made at run time
            import_module(name)


def _watch(work: Callable[[], None], channel: socket.socket, names: Iterable[str] | None) -> None:
    ask_first(channel, names)
    work()


def _work(work: Callable[[], None], outputs: Sequence[int]) -> NoReturn:
    status = 70
    try:
        os.setsid()
        for number, output in enumerate(outputs):
            os.dup2(output, number + 1)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        work()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, limit: float, listener: Listener | None) -> int | None:
    """The exit status of a child, None where it had to be ended at the limit."""
    deadline = time.monotonic() + limit
    process = os.pidfd_open(child)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if listener is not None:
        poll.register(listener.descriptor, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left * 1000))
            if process in ready:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if listener is None or listener.descriptor not in ready:
                continue
            if not ready[listener.descriptor] & select.POLLIN:  # nobody is left who could ask
                poll.unregister(listener.descriptor)
            elif not listener.answer():
                os.killpg(child, signal.SIGKILL)
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        os.close(process)
        if listener is not None:
            listener.close()
