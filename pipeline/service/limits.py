"""What a server allows, so that no request can take all that its machine has."""

from dataclasses import dataclass, field, fields

from ...errors import UsageError


def _limit(default: int, says: str) -> int:
    """A limit, and what it bounds."""
    value: int = field(default=default, metadata={"says": says})
    return value


@dataclass(frozen=True)
class Limits:
    """The limits of a server. Raises `UsageError` where one is not positive."""

    request_bytes: int = _limit(4 << 20, "bytes of the JSON of a request")
    rows: int = _limit(1 << 17, "row numbers in a ticket")
    image_bytes: int = _limit(64 << 20, "bytes of an image that a client sends")
    spool_bytes: int = _limit(1 << 40, "bytes of photos that are kept for a cache that grows")
    image_pixels: int = _limit(100_000_000, "pixels of an image that a client sends")
    output_pixels: int = _limit(4096 * 4096, "pixels of an image that a recipe makes")
    row_bytes: int = _limit((1 << 31) - (1 << 20), "bytes of one row, which is never divided")
    requests: int = _limit(256, "calls at a time")
    client_requests: int = _limit(64, "requests in flight of one client")
    client_bytes: int = _limit(1 << 30, "bytes held for one client")
    seconds: int = _limit(600, "seconds that the rows of a ticket, or a stream of photos, may take")
    stall_seconds: int = _limit(60, "seconds that a client may let a stream wait")

    def __post_init__(self) -> None:
        for limit in fields(self):
            if getattr(self, limit.name) <= 0:
                raise UsageError(f"{limit.name} must be positive, but got {getattr(self, limit.name)}")
