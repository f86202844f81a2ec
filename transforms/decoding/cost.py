"""What a file costs to decode, told from its header: bytes of memory, and seconds at the most.

Both are upper bounds for the decoders as they are used here, and for the resizing behind them.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from PIL import Image

from . import jpeg, png

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # not a POSIX system: large files may be decoded at the same time there
    fcntl = None

_MODES = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "La": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_SPEED = {"JPEG": 20e6, "MPO": 20e6, "AVIF": 4e6, "JPEG2000": 2e6, "WEBP": 10e6}  # pixels a second, slow machine
_OTHER_SPEED = 10e6
_ALWAYS = 32 << 20  # bytes: strips whose colours are converted, tables, what decoders hold whatever the size
_LONG = 1 / 4  # of max_seconds: what may take longer is decoded where it can be ended


class Cost(NamedTuple):
    """Upper bounds: `memory` in bytes, `seconds` of a slow processor."""

    memory: int
    seconds: float


def cost(image: Image.Image, data: bytes | bytearray | memoryview) -> Cost:
    """What it costs to decode the picture in `data`, whose header Pillow has read."""
    width, height = image.size
    pixels = width * height
    is_jpeg = image.format in ("JPEG", "MPO")
    progressive, channels = bool(image.info.get("progressive")), len(image.getbands())
    scans = jpeg.scans(data, progressive, channels) if is_jpeg else 1
    speed = _SPEED.get(image.format or "", _OTHER_SPEED)
    return Cost(_ALWAYS + len(data) + int(pixels * _bytes_a_pixel(image, data, scans)), max(1, scans) * pixels / speed)


def may_take_long(cost: Cost, max_seconds: float) -> bool:
    """Whether a file is decoded where it can be ended: such that a slow processor takes a quarter of the time."""
    return cost.seconds > _LONG * max_seconds


def _bytes_a_pixel(image: Image.Image, data: bytes | bytearray | memoryview, scans: int) -> float:
    loaded = _MODES.get(image.mode, 4)  # in Pillow, where RGB takes four bytes as well
    result = 3 + 5  # and what resizing adds to it
    if image.format in ("JPEG", "MPO"):
        channels = len(image.getbands())
        coefficients = 2 * channels if scans > 1 else 0
        return coefficients + result + (2 * channels if channels == 4 else channels)
    if image.format == "PNG":
        header = png.header_of(data)
        return loaded + result + header.stream_bytes / (header.width * header.height)
    codec = {"WEBP": 16, "AVIF": 14, "JPEG2000": 8 * len(image.getbands()), "TIFF": 8, "ICO": 8}.get(
        image.format or "", 0
    )
    return loaded + result + codec


@contextmanager
def turn(needed: int, share: int | None) -> Iterator[None]:
    """Wait for one's turn with a file that needs more than a worker's share of the memory: one at a time on a machine.

    So all workers together hold no more than their shares and one such file. Without a share nobody waits.
    """
    if share is None or needed <= share or fcntl is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"onewarp-{os.getuid()}.turn"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # another one for each open file, so threads wait as well
        yield
    finally:
        os.close(descriptor)


def worker_share(memory: int | None, workers: int | None, max_memory: int) -> int:
    """The bytes that a worker may hold without waiting for its turn.

    `memory` is what all `workers` of a machine may hold together: half of what it has, and its processors, where they
    are not given. One file of `max_memory` fits beside the shares, but where that is more than half.
    """
    together = machine_memory() // 2 if memory is None else memory
    return max(together - max_memory, together // 2) // (workers or os.cpu_count() or 1)


@cache
def machine_memory() -> int:
    """The bytes of memory that this machine has, or its container."""
    held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            held = min(held, int(Path(path).read_text()))
    return held
