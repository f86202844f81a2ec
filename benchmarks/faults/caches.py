"""Caches as subjects of faults: labels, splits, masks, boxes and a refused file, in two parts, raw and compressed."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import distributed  # noqa: F401  (before the first fork, so that every child has it)
import numpy as np
from PIL import Image

from ...cli import main
from ...errors import CacheError
from ...pipeline import (
    BBoxBlock,
    Beside,
    Cache,
    CategoryBlock,
    DataBlock,
    HashSplitter,
    ImageBlock,
    Loader,
    MaskBlock,
    VocBoxes,
    get_image_files,
    parent_label,
)
from ...pipeline.commands import data_commands as _commands  # noqa: F401  (for the same reason)
from .subjects import Version, command, digest

COUNT = 150
"""Photos: two parts."""

SHARES = (0.2, 0.3)
"""Shares of the validation split: of the old version, of the new one."""

_XML = (
    "<annotation><object><name>head</name><bndbox><xmin>{0}</xmin><ymin>2</ymin><xmax>{1}</xmax><ymax>9</ymax></bndbox>"
    "</object></annotation>"
)


class CacheSubject:
    """A cache of small drawn photos; the new version has one more, one less, one changed, and other splits."""

    exact = True

    def __init__(self, scratch: Path, encoding: str) -> None:
        self.name, self._encoding = f"cache-{encoding}", encoding
        self.home = scratch / self.name / "home"
        self.folder = self.home / "cache"
        self._sources: dict[Version, Path] = {v: scratch / self.name / v for v in ("old", "new")}
        self._keys: list[str] = []
        for version, source in self._sources.items():
            self._draw(source, version)

    def _draw(self, source: Path, version: Version) -> None:
        new = version == "new"
        for i in range(new, COUNT + new):
            path = source / "images" / ("cat", "dog", "emu")[i % 3] / f"{i:03d}.png"
            draw_photo(path, i + 1000 * (new and i == 70), source)
        draw_photo(source / "images" / "cat" / "broken.png", 0, source)
        broken = source / "images" / "cat" / "broken.png"
        broken.write_bytes(b"\x89PNG\r\n\x1a\n" + (b"new" if new else b"old"))
        for path in source.rglob("*"):
            if path.is_file():
                os.utime(path, (1e9, 1e9))  # settled, so that a later run need not read them
        photos = (source / "images").rglob("*.png")
        self._keys += [path.relative_to(source / "images").as_posix() for path in photos]
        for share in SHARES:
            (source / f"block-{share}.json").write_text(_block(share).to_json())

    def write(self, version: Version) -> None:
        """`onewarp presize`, with the splits of the version."""
        self.presize(version, SHARES[version == "new"])

    def presize(self, version: Version, share: float = SHARES[0], scheduler: str = "threads", workers: int = 1) -> None:
        """`onewarp presize`; with one worker its calls come in one order."""
        os.environ["XDG_CACHE_HOME"] = str(self.home / "memory")
        source = self._sources[version]
        settings = [f"--encoding={self._encoding}", "--size=10", f"--block={source / f'block-{share}.json'}"]
        settings += [f"--scheduler={scheduler}", f"--workers={workers}"]
        main.main(["presize", str(source / "images"), str(self.folder), *settings], "onewarp")

    def readings(self) -> dict[str, Callable[[], str]]:
        """Opening and each row; a verification; epochs of a loader that maps and of one that reads; inspection."""
        return {
            "open": self._open,
            "verify": lambda: command("verify", str(self.folder)),
            "map": lambda: self._epochs("map"),
            "pread": lambda: self._epochs("pread"),
            "inspect": lambda: command("inspect", str(self.folder), "--json"),
        }

    def names(self) -> Sequence[str]:
        """The keys of the rows."""
        return self._keys

    def _open(self) -> str:
        while True:
            cache = Cache.open(self.folder)
            try:
                rejected = cache.rejected()
                break
            except CacheError:
                if not cache.is_replaced():  # else it is opened again, as the error says
                    raise
        about = (len(cache), cache.vocab, cache.targets, cache.splits, cache.encoding, rejected)
        rows = [tuple(cache.row(i)) for i in range(len(cache))]
        return digest([about, rows])

    def _epochs(self, reading: str) -> str:
        """Two epochs, of which the first is checked row by row, and one of a split."""
        batches, cache = [], Cache.open(self.folder)  # once: a second opening may see the next commit
        for split in (None, "valid"):
            loader = Loader(cache, split, batch_size=32, keys=True, reading=reading, threads=1)  # type: ignore[arg-type]
            batches += [(*batch, batch.matrix) for _ in range(2 if split is None else 1) for batch in loader]
        return digest([[_plain(part) for part in batch] for batch in batches])


def _plain(part: Any) -> Any:
    """Packed images by their parts."""
    return [part.data, part.offsets, part.sizes] if hasattr(part, "offsets") else part


def draw_photo(path: Path, seed: int, source: Path | None = None) -> None:
    """A small photo, with a mask and a box where `source` is the folder that these are kept in."""
    height, width = 10 + seed % 3, 12
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    if source is None:
        return
    for folder in (source / "masks", source / "boxes"):
        folder.mkdir(exist_ok=True)
    Image.fromarray(pixels[..., 0] % 3).save(source / "masks" / path.name)
    (source / "boxes" / f"{path.stem}.xml").write_text(_XML.format(1 + seed % 4, 8 + seed % 3))


def _block(share: float) -> DataBlock:
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock, MaskBlock, BBoxBlock),
        get_items=get_image_files,
        splitter=HashSplitter(share),
        get_y=[parent_label, Beside("../../masks", ".png"), VocBoxes("../../boxes")],
    )
