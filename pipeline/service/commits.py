"""Commits of caches that grow: each goes on to its end, whether or not whoever asked for it still listens."""

from collections.abc import Callable, Iterator, Mapping
from threading import Condition, Thread
from typing import Any
from uuid import uuid4

from ...errors import (
    CacheError,
    LabelError,
    OnewarpError,
    ResourceError,
    ServiceError,
    SourceError,
    SpecError,
    UsageError,
)
from ..cache.parts import Rejection
from ..cache.reader import Cache
from ..loading.cache_rows import CacheRows
from ..presizing.growth import GrowingCache

_BEAT = 5.0  # seconds after which a listener is told again how far it is
_PAGE = 1000  # rejected photos in a message
_PART = 60.0  # seconds at most for the parts that a commit has begun when it is stopped

Message = Mapping[str, Any]


class Commit:
    """One commit in a thread of its own; iterated, by any number of threads, what it says from its begin to its end.

    A message has `progress`, a count of photos that are done since the begin and a line; or `rejected`, a list of keys
    and reasons; or, the last, `summary`. The first has `commit`, the name by which one listens again. Iteration raises
    what the commit has failed at, which names no path.
    """

    def __init__(self, cache: GrowingCache, verify: bool) -> None:
        self.cache, self.verify, self.name = cache, verify, uuid4().hex
        self._change = Condition()
        self._is_stopping = False
        self._messages: list[Message] = []
        self._done, self._ended = 0, False
        self._error: BaseException | None = None

    def stop(self) -> None:
        """End as soon as the parts that are begun are written; the next commit goes on from them."""
        self._is_stopping = True

    def make(self) -> list[Message]:
        """Commit the cache; what there is to say at the end."""
        self._refuse_to_go_on()
        summary = self.cache.commit(self, self.verify)
        counts = {name: getattr(summary, name) for name in ("rows", "decoded", "copied", "kept", "encoding", "seconds")}
        pages = [summary.rejected[begin : begin + _PAGE] for begin in range(0, len(summary.rejected), _PAGE)]
        fingerprint = CacheRows(Cache.open(self.cache.folder)).fingerprint
        end = {**counts, "rejected": len(summary.rejected), "fingerprint": fingerprint}
        return [*({"rejected": [self._reason(entry) for entry in page]} for page in pages), {"summary": end}]

    def end(self, messages: list[Message], error: BaseException | None) -> None:
        """Say the last messages, or the error, to all who listen."""
        with self._change:
            self._messages += messages
            self._error, self._ended = error and _without_paths(error, self.cache), True
            self._change.notify_all()

    def say(self, text: str) -> None:
        """Report a line of the presizer's."""
        self._add({"progress": {"done": self._done, "says": _name_cache(text, self.cache)}})

    def advance(self, count: int) -> None:
        """Report that `count` more photos are done."""
        self._done += count
        self.say("")
        self._refuse_to_go_on()

    def __iter__(self) -> Iterator[Message]:
        place = 0
        yield {"commit": self.name, "progress": {"done": self._done, "says": ""}}
        while True:
            with self._change:
                if not self._ended and len(self._messages) == place:
                    self._change.wait(_BEAT)
                messages, ended = self._messages[place:], self._ended
            if not messages and not ended:
                yield {"progress": {"done": self._done, "says": ""}}
            yield from messages
            place += len(messages)
            if ended:
                break
        if self._error is not None:
            raise self._error

    def _refuse_to_go_on(self) -> None:
        if self._is_stopping:
            raise ServiceError(f"the server stops: commit cache {self.cache.name} again, and it goes on from there")

    def _add(self, message: Message) -> None:
        with self._change:
            self._messages.append(message)
            self._change.notify_all()

    def _reason(self, entry: Rejection) -> tuple[str, str]:
        return entry.key, _name_cache(entry.reason, self.cache)


class Commits:
    """The commits of a server; `on_commit` is called with a cache's name when it has new rows to read."""

    def __init__(self, on_commit: Callable[[str], object]) -> None:
        self._on_commit, self._change = on_commit, Condition()
        self._queues: dict[str, list[Commit]] = {}  # of each cache the commit that runs, then those that wait
        self._last: dict[str, Commit] = {}  # of each cache the last that has ended

    def begin(self, cache: GrowingCache, verify: bool, name: str = "") -> Commit:
        """The commit of this name, where it is known; else one that has yet to begin, and so finds all that is there.

        Those that wait are shared by all who ask meanwhile.
        """
        with self._change:
            queue = self._queues.setdefault(cache.name, [])
            for commit in [*queue, *([self._last[cache.name]] if cache.name in self._last else [])]:
                if commit.name == name:
                    return commit
            for commit in queue[1:]:
                if commit.verify or not verify:
                    return commit
            commit = Commit(cache, verify)
            queue.append(commit)
        Thread(target=self._run, args=(commit, queue), name=f"onewarp-commit-{cache.name}", daemon=True).start()
        return commit

    def wait(self, seconds: float) -> bool:
        """Wait for all commits, as long as that; whether they have ended."""
        with self._change:
            return self._change.wait_for(lambda: not any(self._queues.values()), seconds)

    def close(self, seconds: float) -> bool:
        """Wait for all commits, as long as that; whether they have ended by themselves.

        Those that go on are stopped after the parts that they have begun: a thread that works while its process ends
        would end it by a signal.
        """
        ended = self.wait(seconds)
        if not ended:
            with self._change:
                for commit in [commit for queue in self._queues.values() for commit in queue]:
                    commit.stop()
            self.wait(_PART)
        return ended

    def _run(self, commit: Commit, queue: list[Commit]) -> None:
        with self._change:
            self._change.wait_for(lambda: queue[0] is commit)
        messages, error = list[Message](), None
        try:
            messages = commit.make()
            self._on_commit(commit.cache.name)
        except BaseException as failure:
            error = failure
        commit.end([] if error else messages, error)
        with self._change:
            queue.remove(commit)
            self._last[commit.cache.name] = commit
            self._change.notify_all()


_ERRORS = (ServiceError, UsageError, SourceError, SpecError, ResourceError, LabelError, CacheError)


def _without_paths(error: BaseException, cache: GrowingCache) -> BaseException:
    """The error as a client may read it."""
    if not isinstance(error, OnewarpError):
        return error
    kind = next((kind for kind in _ERRORS if isinstance(error, kind)), CacheError)
    return kind(_name_cache(str(error), cache))


def _name_cache(text: str, cache: GrowingCache) -> str:
    """A text with the names of the cache and of its spool in place of their folders."""
    text = text.replace(str(cache.spool.folder), f"the spool of cache {cache.name}")
    return text.replace(str(cache.folder), f"cache {cache.name}")
