"""A cache that grows by photos from other machines: they are kept in a spool beside it, and a commit presizes them."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CacheError, LabelError, ResourceError, UsageError
from ..cache.atomic_files import TEMPORARY, disk_errors
from ..cache.footer import COMMIT, read_footer
from ..dataset.keys import key_fault
from .catalogue import catalogue_of
from .existing_parts import find_parts
from .growth_settings import SETTINGS, GrowthSettings, settle
from .lock import write_lock
from .presizer import Summary, presize, refuse_foreign_folder
from .progress import NoProgress, Reporter
from .spool import PHOTOS, Photo, Record, Spool, SpoolSource, record_of


class Refusal(NamedTuple):
    """A photo that was not kept: its place among those that came with it, its key, and the reason."""

    place: int
    key: str
    reason: str


@dataclass(frozen=True)
class SpoolLimits:
    """What a spool takes: bytes of one photo, bytes of all, and how many its disk must have left."""

    photo_bytes: int = 64 << 20
    spool_bytes: int = 1 << 40
    free_bytes: int = 2 << 30


class GrowingCache:
    """The cache `name` in a folder, and the spool of its photos, the folder of the same name with `.spool` behind it.

    The originals stay in the spool: a row can always be made anew, and a commit presizes all that is there, so that the
    cache is the one that `presize` makes of the same files. That takes the disk space of all originals. A photo whose
    key is there already takes the place of the one before: the last one counts that was acknowledged. `settings` are
    those of the first time where they are left out, or those of them that a mapping has not.

    Raises `UsageError` for settings that are not those of the spool, and for a folder of other things; `CacheError` for
    a cache that was made with other settings.
    """

    def __init__(
        self,
        name: str,
        folder: str | os.PathLike[str],
        settings: GrowthSettings | Mapping[str, Any] | None = None,
        limits: SpoolLimits | None = None,
    ) -> None:
        self.name, self.folder, self.limits = name, Path(os.path.abspath(folder)), limits or SpoolLimits()
        refuse_foreign_folder(self.folder)
        place = self.folder.with_name(f"{self.folder.name}.spool")
        _refuse_foreign_spool(place)
        footer = read_footer(self.folder) if (self.folder / COMMIT).exists() else None
        with disk_errors(place):
            self.spool = Spool(place)
            self.settings = settle(place, settings)
        if footer is not None:
            self.settings.refuse_other(name, footer)

    def missing(self, records: Sequence[Record]) -> list[int]:
        """The places of those photos that have yet to be sent."""
        return self.spool.missing(records)

    def add(self, photos: Sequence[Photo]) -> list[Refusal]:
        """Keep photos, and say which are refused; when this returns all others survive a crash.

        Raises `ResourceError` where there is no room, mostly before anything is written.
        """
        faults = [self._fault(photo) for photo in photos]
        fit = [photo for photo, fault in zip(photos, faults, strict=True) if fault is None]
        entries = [(record_of(photo), photo.data) for photo in fit]
        self._refuse_full([record for record, _ in entries])
        try:
            self.spool.add(entries)
        except OSError as error:
            raise ResourceError(
                f"cache {self.name} takes no photos ({os.strerror(error.errno or 0)}): {_LATER}"
            ) from error
        return [
            Refusal(place, photo.key, fault)
            for place, (photo, fault) in enumerate(zip(photos, faults, strict=True))
            if fault is not None
        ]

    def commit(self, report: Reporter | None = None, verify: bool = False) -> Summary:
        """Presize what is new or changed, and make all photos of the spool the cache: the old one is there until then.

        Stopped at any point, the next call goes on. `verify` reads the rows that stay, and makes damaged ones anew.
        While another process commits, this waits. Raises `CacheError` where the cache has rows that the spool has not,
        and `LabelError` where labels are of two kinds.
        """
        report = report or NoProgress()
        with write_lock(self.spool.folder, report.say):
            records = self.spool.records()
            if not records:
                raise UsageError(f"cache {self.name} has no photos yet: send some first")
            self._refuse_loss(records)
            _refuse_mixed_labels(sorted(records.values()))
            settings, source = self.settings, SpoolSource(self.spool.folder, tuple(records.values()))
            catalogue = catalogue_of(source, settings.labeller, settings.splitter)
            return presize(
                replace(catalogue, hashes=source.hashes(catalogue.items)),
                self.folder,
                settings.size,
                encoding=settings.encoding,
                square=settings.square,
                enlarge=settings.enlarge,
                jpeg_quality=settings.jpeg_quality,
                verify=verify,
                report=report,
            )

    def _fault(self, photo: Photo) -> str | None:
        if (fault := key_fault(photo.key)) is not None:
            return fault
        if len(photo.data) > self.limits.photo_bytes:
            return f"has {len(photo.data):,} bytes, and a photo may have {self.limits.photo_bytes:,}"
        return self.settings.fault(photo.key, photo.label, photo.split)

    def _refuse_full(self, records: Sequence[Record]) -> None:
        more = self.spool.growth(records)
        if more and self.spool.size() + more > self.limits.spool_bytes:
            raise ResourceError(
                f"cache {self.name} may keep {self.limits.spool_bytes:,} bytes of photos, and keeps "
                f"{self.spool.size():,}: {_LATER}"
            )
        if more and shutil.disk_usage(self.spool.folder).free - more < self.limits.free_bytes:
            raise ResourceError(
                f"the disk of cache {self.name} would have less than {self.limits.free_bytes:,} bytes left: {_LATER}"
            )

    def _refuse_loss(self, records: dict[str, Record]) -> None:
        """Refuse to commit where rows would go, of photos that came in another way."""
        parts = find_parts(self.folder, verify=False).parts
        lost = sorted(key for part in parts for key in part.rows.column("key").to_pylist() if key not in records)
        if lost:
            raise CacheError(
                f"cache {self.name} has {len(lost)} rows whose photos did not come to this server, as {lost[0]}: send "
                "them too (their rows are taken over as they are), or let another cache grow"
            )


_LATER = "nothing of this batch is acknowledged; make room on the server, and send it again"


def _refuse_foreign_spool(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} must be the folder of photos that come in, but is a file: move it away")
    names = os.listdir(folder) if folder.exists() else []
    strangers = sorted(name for name in names if name != PHOTOS and not name.startswith(TEMPORARY))
    if strangers and SETTINGS not in names:
        raise UsageError(
            f"{folder} must be the folder of photos that come in, but holds {strangers[0]} and no {SETTINGS}: move "
            "it away"
        )


def _refuse_mixed_labels(records: Sequence[Record]) -> None:
    """Refuse names and numbers together, of which no vocabulary can be made, and say where they stand."""
    first: dict[type, tuple[str, str | int]] = {}
    for record in records:
        for label in record.label if isinstance(record.label, list) else [record.label]:
            if label is not None:
                first.setdefault(type(label), (record.key, label))
    if len(first) > 1:
        (key, label), (other_key, other) = first.values()
        raise LabelError(
            f"labels must be all texts or all whole numbers, but {key} has {label!r} and {other_key} has {other!r}: "
            "send one of them again"
        )
