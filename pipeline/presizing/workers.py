"""Who does the work: threads, processes or a cluster, all through dask.distributed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from multiprocessing import resource_tracker
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

from ...errors import CacheError, ResourceError, UsageError

_RESTART_SECONDS = 300.0  # within which a process takes the place of one that died, on a busy machine too
_CURE = "give workers=1, or scheduler='threads'; the same command goes on from here"

Job = TypeVar("Job")
Result = TypeVar("Result")


@contextmanager
def worker_pool(scheduler: str = "threads", workers: int | None = None) -> Iterator["WorkerPool"]:
    """Workers: `threads` of this process, `processes` of this machine, or those of a cluster at `tcp://…`.

    Raises `UsageError` for any other scheduler, and where no cluster answers.
    """
    if scheduler not in ("threads", "processes") and "://" not in scheduler:
        raise UsageError(
            f"scheduler must be threads, processes or an address like tcp://host:8786, but got {scheduler!r}"
        )
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be 1 or more, but got {workers}")
    with ExitStack() as stack:
        raise_interrupt = stack.enter_context(_hold_interrupts())
        client = stack.enter_context(_client(scheduler, workers or os.cpu_count() or 1))
        raise_interrupt()
        yield WorkerPool(client, raise_interrupt)


class WorkerPool:
    """Runs a function over jobs, several of them at the same time; `raise_interrupt` raises a Ctrl-C that is held."""

    def __init__(self, client: Any, raise_interrupt: Callable[[], None]) -> None:
        self._client, self._raise_interrupt = client, raise_interrupt

    def map(
        self, function: Callable[[Job], Result], jobs: Callable[[], Job | None]
    ) -> Iterator[tuple[Job, Result | Exception]]:
        """Each job with its result, or with the error that ended it, in the order in which the jobs end.

        `jobs` gives the next job, or None where there is none for now. Each worker has at most one job waiting, so
        that memory does not grow with the number of jobs.
        """
        running: dict[Any, Job] = {}
        with self._explain_loss():
            futures = _import_distributed().as_completed()
            for _ in range(2 * max(1, self._threads())):
                self._hand_out(function, jobs, running, futures)
        while running:
            with self._explain_loss():
                self._wait(futures)
                future = next(futures)
                job, error = running.pop(future.key), future.exception()
                result = future.result() if error is None else error
            yield job, result
            with self._explain_loss():
                future.release()
                self._hand_out(function, jobs, running, futures)

    @contextmanager
    def _explain_loss(self) -> Iterator[None]:
        """Turn the errors of a lost scheduler into a `CacheError` of one line."""
        losses = (
            import_module("distributed.client").FutureCancelledError,
            import_module("distributed.comm").CommClosedError,
        )
        try:
            yield
        except losses as error:
            raise CacheError(
                f"the dask scheduler at {self._client.scheduler.address} is gone: start it again; what is finished "
                "stays, and the same command goes on from there"
            ) from error

    def _hand_out(
        self, function: Callable[[Job], Any], jobs: Callable[[], Job | None], running: dict[Any, Job], futures: Any
    ) -> None:
        job = jobs()
        if job is not None:
            future = self._client.submit(function, job, pure=False)
            running[future.key] = job
            futures.add(future)

    def _wait(self, futures: Any) -> None:
        """Wait until a job has ended; `ResourceError` where the worker processes are gone and do not start again."""
        last_sign = time.monotonic()
        self._raise_interrupt()
        while not futures.has_ready():
            with futures.thread_condition:
                futures.thread_condition.wait(timeout=0.1)
            self._raise_interrupt()
            if self._has_workers():
                last_sign = time.monotonic()
            elif time.monotonic() - last_sign > _RESTART_SECONDS:
                raise ResourceError(f"all worker processes have ended, and none starts again: {_CURE}")

    def _has_workers(self) -> bool:
        """Whether a worker of ours is there to work; a cluster elsewhere has its own care."""
        cluster = self._client.cluster
        return cluster is None or bool(cluster.scheduler.workers)

    def _threads(self) -> int:
        return sum(self._client.nthreads().values())


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator[Any]:
    distributed = _import_distributed()
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # a job whose worker dies comes back at the first death
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.terminate": False,  # `worker_share` already limits the memory of large files
        "distributed.worker.memory.pause": False,  # a paused worker has nothing to wait for: rows are on the disk
        "distributed.deploy.lost-worker-timeout": "10 minutes",  # to start again; else the cluster gives it up
        # Workers that decode all the time: what dask would watch them with costs them a twentieth of it.
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.monitor-interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.limit": "60s",
    }
    with import_module("dask").config.set(settings), ExitStack() as stack:
        if "://" in scheduler:
            try:
                yield stack.enter_context(distributed.Client(scheduler, timeout="5s"))
            except (OSError, TimeoutError) as error:
                raise UsageError(f"no dask scheduler answers at {scheduler}: {error}") from error
            return
        threads = scheduler == "threads"
        if not threads:  # else it starts with the first process, and lets Ctrl-C through to that one
            resource_tracker.ensure_running()
        with _block_interrupts(), _explain_start():
            cluster = distributed.LocalCluster(
                n_workers=1 if threads else workers,
                threads_per_worker=workers if threads else 1,
                processes=not threads,
                dashboard_address=":0",
                host="127.0.0.1" if not threads else None,
                silence_logs=50,
            )
        yield stack.enter_context(distributed.Client(stack.enter_context(cluster)))


@contextmanager
def _explain_start() -> Iterator[None]:
    """Turn the errors of workers that do not start into a `ResourceError` of one line."""
    try:
        yield
    except (RuntimeError, TimeoutError) as error:  # dask's, whatever the process ended of
        raise ResourceError(
            "a worker process ended while it started, as where memory is short, or where a script starts its work "
            f"outside of `if __name__ == '__main__':`: {_CURE}"
        ) from error


@contextmanager
def _hold_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C until the function that this gives is called, which raises it; a second one is raised at once.

    Raised wherever it comes it may be lost: Python ignores what is raised within a finalizer, and within a callback of
    an import or of the garbage collector, of which dask has one. A program that handles Ctrl-C itself goes on doing so.
    """
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)
        if len(held) > 1:
            signal.default_int_handler(number, frame)

    def raise_interrupt() -> None:
        if held:
            raise KeyboardInterrupt

    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield raise_interrupt
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield raise_interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    raise_interrupt()


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from threads and processes that start within: this thread gets it, and then ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_worker_death(error: Exception) -> bool:
    """Whether a job ended because its worker died."""
    return isinstance(error, _import_distributed().KilledWorker)


def _import_distributed() -> Any:
    """dask.distributed, imported when it is needed: that takes a second."""
    return import_module("distributed")
