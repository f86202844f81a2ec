"""A cache behind an address: `connect` gives what a `Cache` gives to a `Loader`."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from numpy.typing import NDArray

from ...errors import CacheError, ResourceError, ServiceError, UsageError
from ...transforms.augment import Fused
from ...transforms.decoding.resizing import Sizing
from ...transforms.transform_lists import Transforms
from ..cache.footer import check_format
from ..cache.index import Index, open_index
from ..cache.open_cache import OpenCache
from ..cache.reader import Cache
from ..cache.row_index import RowIndex
from ..cache.schema import index_schema, small_fields, target_fields
from ..cache.validation import refuse_footer, tests_of
from ..loading.indexed_rows import Checking
from ..loading.rows import Rows
from .addresses import is_address, parse_address
from .answers import Answer, Prepared
from .asking import File, Replies, predict, prepare
from .byte_arrays import bytes_of
from .certificates import read_authority, read_pair
from .remote_rows import RemoteRows, TicketFetcher
from .replicas import Credentials, Replicas, parsing_answer
from .tickets import REUSE, VERSION, Ticket
from .upload import Upload

_LEAST_RATE = 10e6  # bytes a second at which an index comes, at least

AugmentAt = Literal["client", "server"]


@dataclass(frozen=True)
class Connection:
    """How a cache was connected to: what `connect` was told."""

    address: str
    credentials: Credentials
    replicas: tuple[str, ...]
    timeout: float
    augment: AugmentAt
    prefetch_bytes: int


def connect(
    address: str,
    token: str | None = None,
    replicas: Sequence[str] = (),
    timeout: float = 30.0,
    *,
    augment: AugmentAt = "client",
    roots: bytes | str | os.PathLike[str] | None = None,
    certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    prefetch_bytes: int = 256 << 20,
) -> "RemoteCache":
    """The cache at an address like `grpc://host:8815/pets`, for a `Loader`, `DataLoaders.of_cache` and trainers.

    Without a name it is the one cache that the server has. `grpc+tls` encrypts: `roots` is a PEM file of the
    authorities to trust (those of the system without it), `certificate` the files of this client's certificate and key.
    `replicas` are further servers of the same cache, in the place of those that the server names itself; requests are
    shared out among all of them, and one that does not answer is left out for a while. A request fails after `timeout`
    seconds without an answer from any. `augment="server"` lets the servers warp. At most `prefetch_bytes` are fetched
    ahead.

    A connection does not survive a fork. Raises `UsageError` for what is no such address, and `ServiceError` where no
    server answers, or where it refuses.
    """
    if augment not in ("client", "server"):
        raise UsageError(f"augment must be 'client' or 'server', but got {augment!r}")
    if not timeout > 0:
        raise UsageError(f"timeout must be positive seconds, but got {timeout}")
    if not prefetch_bytes > 0:
        raise UsageError(f"prefetch_bytes must be positive, but got {prefetch_bytes}")
    credentials = _credentials(token, roots, certificate)
    return _connect(Connection(address, credentials, tuple(replicas), timeout, augment, prefetch_bytes))


def upload_to(
    address: str,
    token: str | None = None,
    timeout: float = 30.0,
    *,
    roots: bytes | str | os.PathLike[str] | None = None,
    certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
) -> Upload:
    """What sends photos to the cache at an address like `grpc://host:8815/pets`, which may have no rows yet.

    The server must let this cache grow (`onewarp serve --writable`). A request fails after `timeout` seconds without
    an answer; the other settings are those of `connect`. Raises `UsageError` for what is no such address.
    """
    location, name = _split(address)
    if name is None:
        raise UsageError(f"the address must end in the name of a cache, as in {location}/pets, but got {address!r}")
    return Upload(name, servers_at(address, token, timeout, roots=roots, certificate=certificate).call)


def servers_at(
    address: str,
    token: str | None = None,
    timeout: float = 30.0,
    *,
    roots: bytes | str | os.PathLike[str] | None = None,
    certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
) -> Replicas:
    """The server at an address, whatever it has; the settings are those of `connect`.

    Raises `UsageError` for what is no such address.
    """
    return Replicas([_location(address)], _credentials(token, roots, certificate), timeout)


def open_cache(source: str | os.PathLike[str] | OpenCache, **settings: Any) -> OpenCache:
    """The cache in a folder, or at the address of a service; `settings` are those of `connect`."""
    if isinstance(source, OpenCache):
        return source
    return connect(str(source), **settings) if is_address(source) else Cache.open(source)


class RemoteCache(OpenCache):
    """A cache that a service has: its index is here, and its rows come when they are needed; see `connect`."""

    def __init__(
        self, connection: Connection, name: str, content: str, replicas: Replicas, facts: dict[str, Any]
    ) -> None:
        footer = facts["footer"]
        super().__init__(_fetch_index(name, content, replicas, footer), footer)
        self.connection, self.name, self.content = connection, name, content
        self.replicas, self.prefetch_bytes = replicas, connection.prefetch_bytes
        self.augments = connection.augment == "server"
        self._index = RowIndex(self.small, self.encoding, self.splits, footer["parts"])

    @property
    def place(self) -> str:
        """The address."""
        return self.connection.address

    @property
    def row_index(self) -> RowIndex:
        """What the index says of the rows."""
        return self._index

    def bytes_of(self, number: int, mask: str | None = None) -> bytes:
        """The bytes of a row's pixels, or of one of its masks; `CacheError` where they are damaged."""
        rows = np.array([number], np.int64)
        columns = self.fetcher.fetch(rows, [] if mask is None else [mask])
        data: bytes = columns[mask][0].tobytes()
        self._index.verify(number, data, self._index.checksums(rows, mask)[0], mask)
        return data

    @property
    def fetcher(self) -> TicketFetcher:
        """What fetches the bytes of rows."""
        return TicketFetcher(Ticket(self.name, self.content, columns=()), self.replicas, self._index)

    def to_rows(self, checking: Checking = "first", targets: Sequence[str] | None = None) -> Rows:
        """The rows for a loader."""
        return RemoteRows(self, checking=checking, targets=targets)

    def with_connection(self, **changes: Any) -> "RemoteCache":
        """The same cache, connected to in another way: `augment`, `timeout`, `prefetch_bytes` or `replicas`."""
        return _connect(replace(self.connection, **changes))

    def act(self, name: str, body: dict[str, Any] | None = None) -> list[bytes]:
        """The results of an action of the service: `health`, `stats`, `explain`."""
        action = flight.Action(name, json.dumps({"version": VERSION, **(body or {})}).encode())
        return self.replicas.call(
            lambda client, options: [result.body.to_pybytes() for result in client.do_action(action, options)]
        )

    def stats(self) -> dict[str, Any]:
        """What one of the servers has done and is doing."""
        with parsing_answer():
            facts: dict[str, Any] = json.loads(self.act("stats")[0])
        return facts

    def predict(self, files: Iterable[File], *, tensors: bool = False) -> Replies[Answer]:
        """What the servers' model says of image files (paths or bytes), in order; see `asking.predict`."""
        return predict(self.replicas, files, tensors=tensors)

    def prepare(
        self, files: Iterable[File], transforms: Fused | Transforms | None = None, sizing: Sizing | None = None
    ) -> Replies[Prepared]:
        """What a validation pipeline makes of image files, in order; see `asking.prepare`.

        Without `sizing` they are presized as the photos of this cache, where there are `transforms`.
        """
        pixels = self.footer["pixels"]
        own = Sizing(pixels["size"], pixels["square"], pixels["enlarge"])
        return prepare(self.replicas, files, transforms, own if transforms is not None and sizing is None else sizing)

    @property
    def upload(self) -> Upload:
        """What sends photos to this cache, where its server lets it grow; connect again to see them after a commit."""
        return Upload(self.name, self.replicas.call)

    def close(self) -> None:
        """End the connections."""
        self.replicas.close()

    def __repr__(self) -> str:
        return f"RemoteCache({self.connection.address!r}, {len(self)} rows, {self.encoding})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconnect, (self.connection, self.name, self.content)


def _connect(connection: Connection) -> RemoteCache:
    location, name = _split(connection.address)
    others = [_location(address) for address in connection.replicas]
    if location.startswith("grpc+tls") and not all(other.startswith("grpc+tls") for other in others):
        raise UsageError(f"replicas must be encrypted as the address is (grpc+tls://), but got {connection.replicas}")
    replicas = Replicas([location, *others], connection.credentials, connection.timeout)
    info = replicas.call(partial(_info, name=name))
    facts = _facts(info, location)
    if not connection.replicas:
        replicas = Replicas([location, *_named(info, location)], connection.credentials, connection.timeout)
    return RemoteCache(connection, facts["name"], facts["fingerprint"], replicas, facts)


def _named(info: Any, location: str) -> list[str]:
    """The locations that a server names for its caches; they may not weaken what the client asked for."""
    with parsing_answer():
        named = [place.uri.decode() for endpoint in info.endpoints for place in endpoint.locations]
    found = [place for place in dict.fromkeys(named) if place != REUSE]
    encrypted = location.startswith("grpc+tls")
    for place in found:
        if parse_address(place) is None or (encrypted and not place.startswith("grpc+tls")):
            kind = "an encrypted service" if encrypted else "a service"
            raise ServiceError(
                f"{location} names {place[:100]!r} as a replica, which is no address of {kind}: its --advertise is "
                "wrong; name the replicas here, as connect(..., replicas=)"
            )
    return found


def _reconnect(connection: Connection, name: str, content: str) -> RemoteCache:
    """A cache that was pickled; `CacheError` where another one has taken its place."""
    cache = _connect(connection)
    if (cache.name, cache.content) != (name, content):
        raise CacheError(
            f"{connection.address} is another cache by now than the one that was connected to: connect again"
        )
    return cache


def _info(client: Any, options: Any, name: str | None) -> Any:
    """The flight info of a cache, of the only one where no name is given."""
    if name is not None:
        return client.get_flight_info(flight.FlightDescriptor.for_path(name), options)
    infos = list(client.list_flights(b"", options))
    if len(infos) == 1:
        return infos[0]
    with parsing_answer():
        names = ", ".join(info.descriptor.path[0].decode() for info in infos) or "none"
    raise ServiceError(
        f"the server has {len(infos)} caches ({names}): put the name of one behind the address, as in /pets"
    )


def _facts(info: Any, location: str) -> dict[str, Any]:
    """What a server says of a cache; `ServiceError` where it speaks another version, or is no service of onewarp."""
    try:
        facts = json.loads(info.app_metadata)
        version = facts["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ServiceError(f"{location} is no service of onewarp: it says nothing of its caches") from None
    if type(version) is not int or version != VERSION:
        older = "client" if type(version) is int and version > VERSION else "server"
        raise ServiceError(
            f"{location} speaks version {str(version)[:20]} of the service, and this client version {VERSION}: install "
            f"a newer onewarp on the {older}'s side"
        )
    try:
        texts = facts["name"], facts["fingerprint"]
        check_format(Path("its footer"), facts["footer"])
        refuse_footer(facts["footer"], Path("its footer"))
    except (KeyError, TypeError, AttributeError, CacheError) as error:
        raise ServiceError(f"{location} says what no cache can be: {error}") from None
    if not all(isinstance(text, str) for text in texts):
        raise ServiceError(f"{location} says what no cache can be: its name and fingerprint must be texts")
    result: dict[str, Any] = facts
    return result


def _fetch_index(name: str, content: str, replicas: Replicas, footer: dict[str, Any]) -> Index:
    """The index of a cache: fetched into a file that has no name, mapped, and held against its checksums."""
    schema = index_schema(small_fields(target_fields(footer["targets"], footer["splits"] is not None)))
    ticket = flight.Ticket(Ticket(name, content, send="index").to_json())
    with tempfile.TemporaryDirectory(prefix="onewarp-") as folder:
        path = Path(folder) / footer["index"]["name"]
        nbytes = footer["index"]["bytes"]
        seconds = replicas.timeout + nbytes / _LEAST_RATE
        replicas.call(partial(_download, ticket=ticket, path=path, nbytes=nbytes), seconds)
        try:
            return open_index(path, footer["index"], footer["rows"], schema, tests_of(footer))
        except CacheError as error:
            raise CacheError(str(error).replace(str(path), f"the index of {name}")) from None


def _download(client: Any, options: Any, ticket: Any, path: Path, nbytes: int) -> None:
    """The index's file, of which no more is written than it should have."""
    blocks = _blocks(client.do_get(ticket, options), nbytes)
    try:
        with path.open("wb") as file:
            for block in blocks:
                file.write(block.data)
    except OSError as error:
        if isinstance(error, pa.ArrowException) or error.errno is None:
            raise
        raise ResourceError(
            f"the index of the cache, {nbytes} bytes, cannot be kept in {path.parent} ({error.strerror}): set TMPDIR "
            "to a folder with more room"
        ) from None


def _blocks(reader: Any, nbytes: int) -> Iterator[NDArray[np.uint8]]:
    count = 0
    for chunk in reader:
        with parsing_answer():
            blocks = [] if chunk.data is None else bytes_of(chunk.data.column(0))
        count += sum(map(len, blocks))
        if count > nbytes:
            reader.cancel()
            raise ServiceError(f"a server has sent more than the {nbytes} bytes of the index")
        yield from blocks
    if count < nbytes:
        raise ServiceError(f"a server has sent {count} bytes of the {nbytes} of the index")


def _split(address: str) -> tuple[str, str | None]:
    """The location of a server, and the name of the cache behind it."""
    found = parse_address(address)
    if found is None or not found.port:
        raise UsageError(
            f"address must be like grpc://host:8815/pets, or grpc+tls:// for an encrypted one, but got {address!r}"
        )
    return found.location, found.name


def _credentials(
    token: str | None,
    roots: bytes | str | os.PathLike[str] | None,
    certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None,
) -> Credentials:
    if token is not None and not (token and token.isascii() and token.isprintable()):
        raise UsageError("token must be letters of ASCII on one line")
    chain, key = (None, None) if certificate is None else read_pair(*map(Path, certificate))
    return Credentials(token, None if roots is None else read_authority(roots), chain, key)


def _location(address: str) -> str:
    return _split(address)[0]
