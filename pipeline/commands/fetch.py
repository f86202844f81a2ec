"""Data sets from the network: downloaded once, checked, resumable, and unpacked into one folder and nowhere else."""

import os
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ...errors import FetchError, UsageError
from ..presizing.progress import can_move_cursor

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Archive:
    """A tar file: where it is, and the checksum that it must have (`md5:…` or `sha256:…`)."""

    url: str
    checksum: str

    @property
    def name(self) -> str:
        """The name of the archive's file."""
        return self.url.rsplit("/", 1)[-1]


_PETS = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
DATASETS: dict[str, tuple[Archive, ...]] = {
    "pets": (
        Archive(f"{_PETS}/images.tar.gz", "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        Archive(f"{_PETS}/annotations.tar.gz", "md5:95a8c909bbe2e81eed6a22bccdf3f68f"),
    )
}


def fetch(name: str, folder: str | Path, datasets: dict[str, tuple[Archive, ...]] = DATASETS) -> Path:
    """Download a data set and unpack it into `folder`; returns the folder.

    What has been downloaded stays in `folder/.archives`: a download that was cut short goes on from there, and an
    archive that has been unpacked is not touched again.

    Raises `UsageError` for a name that is not known, and `FetchError` for an archive that cannot be had, has another
    checksum, or has members that lie outside of the folder.
    """
    if name not in datasets:
        raise UsageError(f"data set must be one of {', '.join(datasets)}, but got {name!r}")
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"folder must be a directory, but {folder} is a file")
    store = folder / ".archives"
    store.mkdir(parents=True, exist_ok=True)
    for archive in datasets[name]:
        mark = store / f"{archive.name}.unpacked"
        if not mark.exists():
            unpack(download(archive, store), folder)
            mark.touch()
    return folder


def download(archive: Archive, store: Path) -> Path:
    """The archive's file in `store`, downloaded if it is not there, its checksum verified."""
    try:
        path = pooch.retrieve(
            archive.url, archive.checksum, fname=archive.name, path=store, downloader=Resuming(store / archive.name)
        )
    except requests.RequestException as error:
        raise FetchError(
            f"{archive.url} cannot be downloaded ({type(error).__name__}): look at the connection and run it again, "
            "it goes on where it stopped"
        ) from error
    except ValueError as error:
        raise FetchError(
            f"{archive.url} must have the checksum {archive.checksum}, but what came has another: run it again, and "
            "if it is so again the archive has changed"
        ) from error
    return Path(path)


@dataclass(frozen=True)
class Resuming:
    """A downloader for pooch that keeps what it has in `<target>.part` and asks for the rest."""

    target: Path

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch_instance: object) -> None:
        """Download `url` and leave it in `output_file`."""
        part = self.target.with_name(self.target.name + ".part")
        size = part.stat().st_size if part.exists() else 0
        headers = (
            {"Range": f"bytes={size}-", "Accept-Encoding": "identity"} if size else {"Accept-Encoding": "identity"}
        )
        with requests.get(url, stream=True, headers=headers, timeout=TIMEOUT) as response:
            if response.status_code != requests.codes.range_not_satisfiable:  # else all of it is there
                response.raise_for_status()
                resumed = response.status_code == requests.codes.partial_content
                self._receive(response, part, size if resumed else 0)
        shutil.move(part, output_file)

    def _receive(self, response: requests.Response, part: Path, size: int) -> None:
        length = response.headers.get("Content-Length")
        total = size + int(length) if length else None
        with _progress() as bar, open(part, "ab" if size else "wb") as file:
            task = bar.add_task(self.target.name, total=total, completed=size)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(task, advance=len(chunk))
        if total is not None and part.stat().st_size < total:
            raise requests.ConnectionError(f"only {part.stat().st_size} of {total} bytes came")


def unpack(path: Path, folder: Path) -> None:
    """Unpack a tar file into `folder`, beside it first, so that no half of it is ever there.

    Raises `FetchError` for a member that would land outside of the folder, or is a device or a link out of it.
    """
    aside = Path(tempfile.mkdtemp(prefix=".unpack.", dir=folder))
    try:
        with tarfile.open(path) as archive:
            archive.extractall(aside, filter="data")
        for entry in sorted(aside.iterdir()):
            _replace(entry, folder / entry.name)
    except tarfile.FilterError as error:
        raise FetchError(f"{path.name} must stay in its folder, but {error}: it was not unpacked") from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FetchError(f"{path.name} must be a tar file, but cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(source: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    os.replace(source, target)


def _progress() -> Progress:
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=not can_move_cursor(sys.stderr))
