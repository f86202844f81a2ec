"""A cache as a folder of image files, for tools that want one."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .atomic_files import disk_errors
from .encodings import Encoding, encode
from .export_paths import paths_for
from .reader import Cache

_SHAPES = ("points", "boxes")
_EXTENSIONS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


def export(
    cache: Cache,
    folder: str | os.PathLike[str],
    encoding: Encoding | None = None,
    quality: int = 95,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write every row as a file under `folder`, row by row; the number of files.

    A file lies at `split/label/key`, as far as the cache has splits and single labels, without the folders of the key
    that say the same again, and with the extension of its encoding behind that of the key where they differ. Images
    keep the cache's encoding (raw ones become PNG), or get that of `encoding`. A mask lies beside its image, as
    `name.mask.png`. Where a file cannot have that name (`paths_for`) or has masks, points or boxes, the lines of
    `metadata.jsonl` say of each image what its key is and what belongs to it. Raises `UsageError` where `folder` holds
    something already, or a key would lead out of it.
    """
    root = Path(folder)
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise UsageError(f"{root} must be an empty folder to export to, but holds files: give another")
        kind: Encoding = encoding or ("png" if cache.encoding == "raw" else cache.encoding)
        if kind not in _EXTENSIONS:
            raise UsageError(f"encoding must be one of {', '.join(_EXTENSIONS)} for files, but got {encoding!r}")
        paths, renamed = paths_for(cache, _EXTENSIONS[kind])
        for number, path_in_folder in enumerate(paths):
            line = _write(cache, number, root, path_in_folder, kind, quality)
            if len(line) > 2 or renamed:
                with open(root / "metadata.jsonl", "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            advance(1)
    return len(cache)


def _write(cache: Cache, number: int, root: Path, path_in_folder: str, kind: Encoding, quality: int) -> dict[str, Any]:
    """Write an image and its masks; returns the line of `metadata.jsonl` about them."""
    columns = cache.columns(number)
    data = cache.bytes_of(number) if kind == cache.encoding else encode(cache.pixels(number), kind, quality)
    file_path = root / path_in_folder
    file_path.parent.mkdir(parents=True, exist_ok=True)
    with open(file_path, "xb") as file:  # nothing is written over
        file.write(data)
    line: dict[str, Any] = {"file_name": path_in_folder, "key": columns["key"]}
    for name in cache.masks:
        mask = file_path.with_name(f"{file_path.stem}.{name}.png")
        with open(mask, "xb") as file:
            file.write(cache.bytes_of(number, name))
        line[f"{name}_file_name"] = mask.relative_to(root).as_posix()
    return line | {name: columns[name] for name, target in cache.targets.items() if target["kind"] in _SHAPES}
