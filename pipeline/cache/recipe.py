"""What decides a row's pixels, and the fingerprint that says whether two caches were made alike."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

import PIL
import simplejpeg
import torch
from PIL import features

from ...errors import UsageError
from ...transforms.decoding.decode import LIMITS, Decoding
from ...transforms.decoding.resizing import Sizing
from ...transforms.warp import native
from ..composition.spec import register
from .encodings import ENCODINGS, Encoding

FORMAT = 3
"""The version of the cache's format: raised when an older reader would misread it."""


@dataclass(frozen=True)
class Recipe:
    """How a file becomes a row: decode, presize, encode.

    `memory` is what all `workers` of a machine may hold together, in bytes: half of what it has where it is not given.
    No row depends on these two, and no cache names them.
    """

    sizing: Sizing = field(default_factory=Sizing)
    decoding: Decoding = field(default_factory=Decoding)
    encoding: Encoding = "raw"
    jpeg_quality: int = 95
    memory: int | None = field(default=None, metadata={"added": "0.2.0"})
    workers: int | None = field(default=None, metadata={"added": "0.2.0"})

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UsageError(f"encoding must be one of {', '.join(ENCODINGS)}, but got {self.encoding!r}")
        if not 1 <= self.jpeg_quality <= 100:
            raise UsageError(f"jpeg_quality must be from 1 to 100, but got {self.jpeg_quality}")
        if self.memory is not None and self.memory <= 0:
            raise UsageError(f"memory must be positive, but got {self.memory}")

    @property
    def column(self) -> str:
        """The name of the column with the pixels."""
        return "pixels" if self.encoding == "raw" else "image"

    def pixels(self) -> dict[str, Any]:
        """Everything that a row's pixels depend on, but the file itself, for JSON."""
        decoding = asdict(self.decoding)
        settings = {name: value for name, value in decoding.items() if name not in LIMITS}
        settings["background"] = list(self.decoding.background)
        settings |= asdict(self.sizing) | {"encoding": self.encoding}
        if self.encoding == "jpeg":
            settings["jpeg_quality"] = self.jpeg_quality
        return settings | {"decoder": decoder_build()}

    def limits(self) -> dict[str, Any]:
        """What decides whether a file is refused: a file refused under other limits is tried again."""
        return {name: value for name, value in asdict(self.decoding).items() if name in LIMITS}


for _settings in (Sizing, Decoding, Recipe):
    register(_settings)


def decoder_build() -> dict[str, str]:
    """The versions of the libraries that decode and resize."""
    name = "pillow-simd" if is_simd() else "pillow"
    jpeg = features.version("libjpeg_turbo") or features.version("jpg") or "unknown"
    return {
        name: PIL.__version__,
        "pillow's jpeg": jpeg,
        "littlecms": features.version("littlecms2") or "none, colour profiles are left out of account",
        "simplejpeg": simplejpeg.__version__,
        "torch": torch.__version__.split("+")[0],
        "enlarging": "onewarp" if native.extension else "torch",
    }


def is_simd() -> bool:
    """Whether pillow-simd stands in Pillow's place; its versions are `.post` releases of Pillow's."""
    return ".post" in PIL.__version__


def fingerprint(value: object) -> str:
    """A name for settings: 16 hexadecimal digits of the BLAKE2b hash of their JSON."""
    return blake2b(canonical(value).encode(), digest_size=8).hexdigest()


def canonical(value: object) -> str:
    """JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def differences(before: Mapping[str, object], now: Mapping[str, object], within: str = "") -> list[str]:
    """Each setting in which two recipes differ, as `name was x, now y`.

    >>> differences({"size": 460, "decoder": {"pillow": "12.0"}}, {"size": 300, "decoder": {"pillow": "13.0"}})
    ['decoder pillow was 12.0, now 13.0', 'size was 460, now 300']
    """
    changes = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            changes += differences(old, new, f"{name} ")
        elif old != new:
            changes.append(f"{within}{name} was {old}, now {new}")
    return changes
