"""Weights and state in files: tensors in safetensors, everything else in JSON; nothing is ever unpickled.

A file is written aside and renamed, so that it is whole or not there.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import TrainingError

Json = dict[str, Any]


def write(path: Path, tensors: dict[str, Tensor], facts: Json) -> None:
    """Write `tensors` and `facts` into one safetensors file; the facts are JSON in its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    try:
        with aside.open("wb") as file:  # save_file would keep it from all but its owner
            file.write(save(plain, metadata={"onewarp": json.dumps(facts)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], Json]:
    """Tensors and facts of a file made by `write`.

    Raises `TrainingError` where there is no such file, or it is not one of ours.
    """
    tensors, metadata = _open(path)
    if "onewarp" not in metadata:
        raise TrainingError(
            f"{path} must be written by onewarp, but its header says nothing of it: give weights= for it"
        )
    facts: Json = json.loads(metadata["onewarp"])
    return tensors, facts


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
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"file {path} must be safetensors, but cannot be read: {error}") from error
