"""How large a cache will be, and which encoding that allows."""

from collections.abc import Sequence

from ...errors import DecodeError
from ...transforms.decoding import upright_size
from ...transforms.resizing import Sizing
from .encodings import Encoding, expected_bytes
from .sources import Item, Source


def choose_encoding(
    items: Sequence[Item], source: Source, sizing: Sizing, budget: int, samples: int = 64
) -> tuple[Encoding, int]:
    """Raw where all items are expected to fit into `budget` bytes, else JPEG; and the bytes expected.

    Expected from the headers of some items, evenly spaced, so that the same source gives the same answer.
    """
    areas = []
    for item in items[:: -(-len(items) // samples)]:
        try:
            height, width = upright_size(source.read(item.place))
        except (OSError, DecodeError):
            continue
        tall, wide = sizing.of(height, width)
        areas.append(tall * wide)
    pixels = int(sum(areas) / max(1, len(areas)) * len(items))
    encoding: Encoding = "raw" if expected_bytes(pixels, "raw") <= budget else "jpeg"
    return encoding, expected_bytes(pixels, encoding)
