"""Weights and state in files: tensors in safetensors, everything else in JSON; nothing is ever unpickled.

A file is written aside and renamed, so that it is whole or not there, and holds a hash of all that is in it.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import OnewarpError, TrainingError

Json = dict[str, Any]


def write(path: Path, tensors: dict[str, Tensor], facts: Json) -> None:
    """Write `tensors` and `facts` into one safetensors file; the facts are JSON in its header.

    Raises `TrainingError` where the file cannot be written; one that was there before stays.
    """
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    told = json.dumps(facts)
    data = save(plain, metadata={"onewarp": told, "digest": _digest(plain, told)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, data)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written ({error.strerror}): make room, or give another path; a file that was there "
            "is as it was"
        ) from error


def read(path: Path) -> tuple[dict[str, Tensor], Json]:
    """Tensors and facts of a file made by `write`.

    Raises `TrainingError` where there is no such file, it is not one of ours, or is not what was written.
    """
    tensors, metadata = _open(path)
    if "onewarp" not in metadata:
        raise TrainingError(
            f"{path} must be written by onewarp, but its header says nothing of it: give weights= for it"
        )
    whole = metadata.get("digest") == _digest(tensors, metadata["onewarp"])
    with parsing(path):
        facts = dict(json.loads(metadata["onewarp"])) if whole or "digest" not in metadata else {}
    if not whole and ("digest" in metadata or facts.get("format", 1) != 1):  # files of format 1 had no digest
        raise TrainingError(
            f"{path} is damaged: it is not what was written. Take another one, or begin anew without it"
        )
    return tensors, facts


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Raise `TrainingError` where what is read of a file's facts, within, is missing or of another type."""
    try:
        yield
    except OnewarpError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise TrainingError(
            f"{path} must hold what onewarp writes, but its facts are others ({type(error).__name__}: {error}): take "
            "another file, or begin anew without it"
        ) from error


def _write_whole(path: Path, data: bytes) -> None:
    mine = f".{path.name}.{socket.gethostname()}."
    aside = path.with_name(f"{mine}{os.getpid()}")
    for left in path.parent.iterdir():  # by runs that were killed while they wrote
        if left.name.startswith(mine) and not _lives(left.name.removeprefix(mine)):
            left.unlink(missing_ok=True)
    try:
        with aside.open("wb") as file:  # save_file would keep it from all but its owner
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _lives(process: str) -> bool:
    """Whether a process of this machine runs; what is no number names none."""
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, PermissionError):
        return True
    return True


def _digest(tensors: dict[str, Tensor], told: str) -> str:
    """A hash of the facts, and of each tensor's name, type, shape and bytes."""
    digest = blake2b(told.encode(), digest_size=16)
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, or of a `.pth` that holds nothing but tensors.

    Raises `TrainingError` where it cannot be read.
    """
    if path.suffix not in (".pth", ".pt", ".bin"):
        return _open(path)[0]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"weights {path} cannot be read: {str(error).splitlines()[0]}") from error
    inner: Any = state.get("model", state.get("state_dict", state)) if isinstance(state, dict) else {}
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}


def _open(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise TrainingError(f"file {path} must exist, but there is none") from None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # the last of torch, which maps the file
        raise TrainingError(f"file {path} must be safetensors, but cannot be read: {error}") from error
