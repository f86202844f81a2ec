"""The main job, end to end: photos, a cache, batches through one warp, a short training, and a page to look at."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError
from ..pipeline import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    HashSplitter,
    ImageBlock,
    Loader,
    RegexLabeller,
    get_image_files,
    parent_label,
    using_attr,
)
from ..pipeline.composition.show import displayable
from ..transforms import Resize, aug_transforms, explain
from .compare import difference, middle, sharpness
from .interpret import ClassificationInterpretation
from .metrics import accuracy, error_rate
from .page import Page
from .pictures import Pixels, grid, on_square, to_pictures
from .recorder import clock
from .small_network import small_resnet
from .synthetic_photos import draw_photos
from .vision import vision_learner

SIZE, PRESIZED, BATCH = 96, 160, 16
MEAN, STD = (0.45, 0.45, 0.45), (0.25, 0.25, 0.25)
SAMPLES, VARIANTS, DETAIL = 4, 5, 48
BREED = r"(.+)_\d+\.[^.]+$"


@dataclass
class Stages:
    """How long each stage took, as it goes; `say` hears of each."""

    say: Callable[[str], None]
    rows: list[tuple[str, float, int]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, images: int = 0) -> Iterator[None]:
        """Time what is done within; `images` is how many images it works on."""
        self.say(f"{name} ...")
        begun = time.perf_counter()
        yield
        self.rows.append((name, time.perf_counter() - begun, images))
        self.say(f"{name}: {self.rows[-1][1]:.1f} s")

    def table(self) -> list[list[str]]:
        """Stage, seconds, and images a second where images were counted."""
        return [[name, f"{took:.1f}", f"{n / took:.0f}" if n and took else ""] for name, took, n in self.rows]


def demo(
    data: str | Path | None = None,
    out: str | Path = "demo",
    epochs: int = 14,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Run the main job on the photos of a folder, or on drawn ones; returns the path of the report.

    Labels are the folders' names where there are several, else what stands before the number in the files' names
    (`Birman_12.jpg`); where there are neither, nothing is trained. `say` hears what is going on (stderr if not given).

    Raises `UsageError` for a folder without images.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"out must be a folder, but {out} is a file")
    stages = Stages(say or (lambda line: print(line, file=sys.stderr, flush=True)))
    if data is None:
        with stages.stage("draw photos"):
            photos = draw_photos(out / "photos", seed=seed)
    else:
        photos = Path(data)
    files = get_image_files(photos)
    if not files:
        raise UsageError(f"data must be a folder of photos, but there are none in {photos}")
    block = block_for(photos, files)
    with stages.stage(f"presize into the cache, to {PRESIZED} px", len(files)):
        dls = block.dataloaders(photos, bs=BATCH, cache=out / "photos.cache", seed=seed)
    dls = dls.normalize(MEAN, STD)
    with stages.stage("one epoch of batches, decoded and augmented by one warp", training_images(dls)):
        for _ in dls.train:
            pass
    page = Page("onewarp demo", f"{len(files)} photos of {photos}" if data else "Photos drawn for the purpose")
    labelled = dls.loss == "category"
    learn = train(dls, epochs, seed, stages) if labelled else None
    write_report(page, dls, learn, stages, len(files))
    report = page.write(out / "report.html")
    stages.say(f"the report is {report}")
    return report


def block_for(photos: Path, files: list[Path]) -> DataBlock:
    """The DataBlock of a folder: labels by folder, by file name, or none."""
    label: Any = None
    if len({parent_label(file) for file in files}) > 1:
        label = parent_label
    elif all(re.search(BREED, file.name) for file in files):
        label = using_attr(RegexLabeller(BREED), "name")
    names = sorted({label(file) for file in files}) if label else []
    return DataBlock(
        blocks=(ImageBlock, CategoryBlock(names)) if label else (ImageBlock,),
        get_items=get_image_files,
        splitter=HashSplitter(0.2),
        get_y=label,
        item_tfms=Resize(PRESIZED),
        batch_tfms=aug_transforms(size=SIZE, min_scale=0.8, flip_vert=label is parent_label, max_rotate=20),
    )


def training_images(dls: DataLoaders) -> int:
    """How many images are trained on."""
    rows = dls.rows.select("train")
    return len(dls.rows) if rows is None else len(rows)


def train(dls: DataLoaders, epochs: int, seed: int, stages: Stages) -> Any:
    """A small network from nothing, one cycle."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_resnet(dls.c)
    learn = vision_learner(dls, model, pretrained=False, metrics=[error_rate, accuracy])
    with stages.stage(f"train {epochs} epochs", epochs * training_images(dls)):
        learn.fit_one_cycle(epochs, 4e-3)
    return learn


# The report ---------------------------------------------------------------------------------------------------------


def write_report(page: Page, dls: DataLoaders, learn: Any, stages: Stages, count: int) -> None:
    """All that there is to see."""
    tiles = [("photos", str(count)), ("in training", str(training_images(dls)))]
    if learn is not None:
        last = learn.recorder.rows[-1]
        tiles += [("classes", str(dls.c)), ("error on the held-out fifth", f"{last['error_rate']:.1%}")]
    tiles += [("resamplings for each image", str(explain(dls.transforms).resamplings))]
    page.tiles([*tiles, ("in all", clock(sum(took for _, took, _ in stages.rows)))])
    add_augmented(page, dls)
    add_comparison(page, dls)
    if learn is not None:
        add_training(page, learn)
        with stages.stage("interpret"):
            ClassificationInterpretation.from_learner(learn).add_to(page)
    page.section("Timings", f"On {os.cpu_count()} CPU cores, torch {torch.__version__}.")
    page.table(["stage", "seconds", "images a second"], stages.table())


def sample_keys(dls: DataLoaders) -> list[tuple[str, Any]]:
    """Some training samples of different classes: their keys and labels."""
    found: dict[Any, str] = {}
    loader = Loader[Tensor, Tensor | None, list[str]](dls.rows, "train", BATCH, seed=dls.settings["seed"], keys=True)
    for _, y, keys in loader:
        labels = range(len(keys)) if y is None else y.tolist()
        for key, label in zip(keys, labels, strict=True):
            found.setdefault(label, key)
        if len(found) >= SAMPLES:
            break
    vocab = dls.vocab
    chosen = sorted(found.items())[:SAMPLES]
    return [(key, "no label" if vocab is None else vocab[label]) for label, key in chosen]


def source_of(dls: DataLoaders, key: str) -> Pixels:
    """The presized photo of a key, `uint8[h, w, 3]`."""
    image: Tensor = Loader(dls.rows, "train", 1).replay(key, 0)[0]
    return image.numpy()


def add_augmented(page: Page, dls: DataLoaders) -> None:
    """Some photos, and what the first epochs make of them."""
    images, titles = [], []
    for key, label in sample_keys(dls):
        images.append(on_square(source_of(dls, key)))
        titles.append(f"{label}\nsource")
        variants = torch.stack([dls.train.replay(key, epoch)[0] for epoch in range(VARIANTS)])
        images += to_pictures(dls, variants)
        titles += [f"{label}\nepoch {epoch}" for epoch in range(VARIANTS)]
    page.section(
        "Augmented batches beside their source",
        "At the left the photo as it lies in the cache, beside it what the first epochs train on: crop, rotation, "
        "zoom, flip, perspective and light, all in one filtered interpolation. Every draw follows from seed, epoch "
        "and file.",
    )
    page.figure(grid(images, titles, columns=1 + VARIANTS, cell=1.75), "photos and their augmented versions")


def add_comparison(page: Page, dls: DataLoaders) -> None:
    """One warp beside one operation at a time, on the same draws."""
    slow = dls.with_transforms(replace(dls.transforms, one_by_one=True))
    images, titles, kept = [], [], []
    for key, label in sample_keys(dls):
        pair = [loader.train.replay(key, 1)[0] for loader in (dls, slow)]
        once, often = (dls.denormalize(x[None])[0] for x in pair)
        kept.append(sharpness(often) / sharpness(once))
        once, often = middle(once, DETAIL), middle(often, DETAIL)
        images += [displayable(once), displayable(often), difference(once, often)]
        titles += [f"{label}\none warp", f"{label}\none at a time", "difference\nx 4"]
    fused, naive = explain(dls.transforms).resamplings, explain(slow.transforms).resamplings
    page.section(
        "One warp beside one operation at a time",
        f"The same draws: {fused} resampling against {naive}. Each resampling blurs a little more: of the fine detail "
        f"that one warp leaves (mean square of the Laplacian), {sum(kept) / len(kept):.0%} is left after {naive}. "
        f"Shown: the middle {DETAIL} pixels.",
    )
    page.figure(grid(images, titles, columns=6, cell=1.75), "one warp beside one operation at a time")


def add_training(page: Page, learn: Any) -> None:
    """The losses, the rates and the table."""
    names = list(learn.recorder.rows[0])
    page.section("Training", "A small residual network, from nothing, on the CPU, along one cycle.")
    page.figure(learn.recorder.plot_loss(), "training and validation loss")
    page.figure(learn.recorder.plot_lr(), "learning rate and momentum")
    rows = [[epoch, *(row[n] if n != "time" else clock(row[n]) for n in names)] for epoch, row in _epoch_rows(learn)]
    page.table(["epoch", *names], rows)


def _epoch_rows(learn: Any) -> Iterator[tuple[int, dict[str, float]]]:
    return enumerate(learn.recorder.rows)
