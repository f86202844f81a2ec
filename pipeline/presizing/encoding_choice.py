"""How large a cache will be, and which encoding that allows."""

import itertools
from collections.abc import Iterator, Sequence

from ...errors import DecodeError
from ...transforms.decoding.decode import Decoding, upright_size
from ...transforms.decoding.resizing import Sizing
from ..cache.encodings import Encoding, estimate_bytes
from ..dataset.sources import Item, Source

_SAMPLES, _MOST = 64, 512  # files that can be used, and files that are looked at


def choose_encoding(
    items: Sequence[Item], source: Source, sizing: Sizing, decoding: Decoding, budget: int
) -> tuple[Encoding, int]:
    """Raw where all items are expected to fit into `budget` bytes, else JPEG; and the bytes expected.

    Expected from the headers of some items that can be used, evenly spaced, so that the same source gives the same
    answer. Files that would be refused count for nothing.
    """
    areas: list[int] = []
    tried = 0
    for item in _evenly_spaced(items):
        tried += 1
        try:
            height, width = upright_size(source.read(item.place), decoding)
        except (OSError, DecodeError):
            continue
        tall, wide = sizing.size_for(height, width)
        areas.append(tall * wide)
        if len(areas) == _SAMPLES:
            break
    pixels = sum(areas) * len(items) // max(1, tried)
    encoding: Encoding = "raw" if estimate_bytes(pixels, "raw") <= budget else "jpeg"
    return encoding, estimate_bytes(pixels, encoding)


def _evenly_spaced(items: Sequence[Item]) -> Iterator[Item]:
    """Items evenly spaced, and again between those, as many as are looked at."""
    step = -(-len(items) // _SAMPLES)
    rounds = (item for first in range(step) for item in items[first::step])
    return itertools.islice(rounds, _MOST)
