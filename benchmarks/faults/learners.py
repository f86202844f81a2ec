"""What a Learner writes as subjects of faults: checkpoints, written while training or by hand, and exported models."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...pipeline import CategoryBlock, DataBlock, DataLoaders, ImageBlock, get_image_files, parent_label
from ...pipeline.dataset.splits import HashSplitter
from ...trainers import Checkpoint, Learner, load_learner
from ...transforms import Resize
from .caches import draw_photo
from .subjects import Version, as_command, digest

_STEPS = {"old": 1, "new": 2}


class Checkpoints:
    """A checkpoint after one epoch, and after two; `saved` by hand or by the callback of a training that goes on."""

    exact = False  # it says how long each epoch took

    def __init__(self, scratch: Path, saved: bool) -> None:
        self.name, self._saved = "save" if saved else "checkpoint", saved
        self.home = self.folder = scratch / self.name / "home"
        self._path = self.folder / "run.safetensors"
        self._photos = draw_photos(scratch / self.name / "photos")

    def write(self, version: Version) -> None:
        """Train as far as the version is, from the checkpoint that is there, and write one."""
        with as_command():
            callback = Checkpoint(self._path, every=1000)  # so after each epoch
            learn = learner(self._photos, [] if self._saved else [callback])
            if os.path.exists(self._path):
                learn.resume(self._path)
            for _ in range(_STEPS[version]):
                learn.fit(1)
            if self._saved:
                learn.save(self._path)

    def readings(self) -> dict[str, Callable[[], str]]:
        """Another learner resumes."""
        return {"resume": self._resume}

    def names(self) -> Sequence[str]:
        """Tensors are named in quotes; a file is always named too."""
        return []

    def _resume(self) -> str:
        learn = learner(self._photos).resume(self._path)
        state: dict[str, Any] = learn.recorder.state()
        rest = {name: value for name, value in state.items() if name != "rows"}
        rows = [{name: value for name, value in row.items() if name != "time"} for row in state.get("rows", [])]
        return digest([learn.model.state_dict(), learn.opt.state_dict()["state"], learn.epochs, rest, rows])


class Exports:
    """An exported model; the new version has been trained for another epoch."""

    exact = True
    name = "export"

    def __init__(self, scratch: Path) -> None:
        self.home = self.folder = scratch / self.name / "home"
        self._path = self.folder / "model.safetensors"
        self._photos = draw_photos(scratch / self.name / "photos")

    def write(self, version: Version) -> None:
        """Train as far as the version is, and export the model."""
        with as_command():
            learn = learner(self._photos)
            learn.fit(_STEPS[version])
            learn.export(self._path)

    def readings(self) -> dict[str, Callable[[], str]]:
        """It is loaded, and predicts."""
        return {"load": self._load}

    def names(self) -> Sequence[str]:
        """An exported model has no rows that a refusal could name."""
        return []

    def _load(self) -> str:
        loaded = load_learner(self._path, Small())
        name, _, scores = loaded.predict(next(self._photos.rglob("*.png")))
        return digest([loaded.model.state_dict(), loaded.dls.vocab, name, scores])


class Small(nn.Module):
    """A model of some forty numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> Any:
        """Two scores a picture."""
        return self.head(self.body(x))


def draw_photos(folder: Path) -> Path:
    """Photos of two classes."""
    for i in range(16):
        draw_photo(folder / ("cat", "dog")[i % 2] / f"{i:02d}.png", i)
    return folder


def learner(photos: Path, callbacks: Sequence[Checkpoint] = ()) -> Learner:
    """A learner that is the same each time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=HashSplitter(0.3),
        get_y=parent_label,
        item_tfms=Resize(8),
    )
    dls: DataLoaders = block.dataloaders(photos, bs=8, threads=1)
    return Learner(dls, Small(), cbs=callbacks, table=False)
