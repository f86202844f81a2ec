"""The chapter's program, masks and points, on real photos: small and short, but whole."""

import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onewarp.pipeline import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    MaskBlock,
    PointBlock,
    RandomSplitter,
    RegexLabeller,
    get_image_files,
    using_attr,
)
from onewarp.trainers import ClassificationInterpretation, error_rate, point_distance, vision_learner
from onewarp.trainers.originals import masks_on_originals, points_on_originals
from onewarp.trainers.small_network import small_resnet
from onewarp.trainers.unet import unet_learner
from onewarp.transforms import Resize, aug_transforms

BREEDS = ("Abyssinian", "beagle", "pug", "Birman")


@pytest.fixture(scope="module")
def images(pets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pets") / "images"
    folder.mkdir()
    for breed in BREEDS:
        for photo in sorted(pets.glob(f"{breed}_*.jpg"))[:8]:
            shutil.copy(photo, folder)
    return folder


def test_the_chapters_program(images, capsys):
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(460),
        batch_tfms=aug_transforms(size=224, min_scale=0.75),
    )
    dls = pets.dataloaders(images, bs=8)
    dls.show_batch(nrows=1, ncols=3)
    torch.manual_seed(0)
    learn = vision_learner(dls, small_resnet(4, (8, 16)), metrics=error_rate)
    learn.fine_tune(1)
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["epoch", "train_loss", "valid_loss", "error_rate", "time"]
    assert len(rows) == 3  # the frozen epoch, its table's successor's header, and the epoch after it
    assert learn.recorder.rows[-1]["error_rate"] * 6 == pytest.approx(round(learn.recorder.rows[-1]["error_rate"] * 6))
    figure = learn.show_results(max_n=4)
    assert len(figure.axes) == 4
    assert figure.axes[0].get_title().split("\n")[0] in BREEDS
    assert ClassificationInterpretation.from_learner(learn).confusion_matrix().sum() == 6
    label, number, probabilities = learn.predict(get_image_files(images)[0])
    assert label == dls.vocab[int(number)]
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_predicting_a_file_of_the_validation_set_gives_what_validating_gave(images):
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(96),
        batch_tfms=aug_transforms(size=64, min_scale=0.75),
    )
    dls = pets.dataloaders(images, bs=8)
    learn = vision_learner(dls, small_resnet(4, (8, 16)), table=False)
    validated = learn.get_preds()[0]
    files = [images / key for batch in dls.valid for key in batch.keys]
    predicted = torch.stack([learn.predict(file)[2] for file in files])
    torch.testing.assert_close(predicted, validated)


def test_trimaps(shared):
    folder = shared / "pets" / "annotations" / "trimaps"
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=["nothing", "pet", "ground", "border"])),
        splitter=RandomSplitter(seed=0),
        get_y=lambda photo: folder / f"{photo.stem}.png",
        item_tfms=Resize(64),
        batch_tfms=aug_transforms(size=48, max_warp=0.1),
    )
    photos = [shared / "pets" / "images" / f"{m.stem}.jpg" for m in sorted(folder.glob("*.png"))[:30]]
    dls = block.dataloaders(photos, bs=8)
    torch.manual_seed(0)
    learn = unet_learner(dls, "small", table=False)
    before = learn.validate()["dice"]
    learn.fit_one_cycle(3, 1e-2)
    assert learn.recorder.rows[-1]["dice"] > before
    assert len(learn.show_results(max_n=2).axes) == 4
    # The targets themselves, taken back to the file, are the file's own mask wherever the batch saw it.
    batch = next(iter(dls.valid))
    files = [np.asarray(Image.open(folder / f"{key.rsplit('/', 1)[-1][:-4]}.png")) for key in batch.keys]
    back = masks_on_originals(batch[1], batch.matrix, [m.shape for m in files])
    agree = [float((m.numpy() == f)[m.numpy() > 0].mean()) for m, f in zip(back, files, strict=True)]
    assert min(agree) > 0.85  # 48 pixels' worth of it: the border is a few pixels wide
    assert np.mean(agree) > 0.9


def centre(path):
    box = ElementTree.parse(path).find("object/bndbox")
    left, top, right, bottom = (float(box.find(side).text) for side in ("xmin", "ymin", "xmax", "ymax"))
    return (left + right) / 2, (top + bottom) / 2


def test_the_heads_centres_as_points(shared):
    folder = shared / "pets" / "annotations" / "xmls"
    block = DataBlock(
        blocks=(ImageBlock, PointBlock),
        splitter=RandomSplitter(seed=0),
        get_y=lambda photo: [centre(folder / f"{photo.stem}.xml")],
        item_tfms=Resize(48, method="squish"),
    )
    photos = [shared / "pets" / "images" / f"{x.stem}.jpg" for x in sorted(folder.glob("*.xml"))]
    dls = block.dataloaders(photos, bs=8)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 11 * 11, 2))
    learn = vision_learner(dls, model, metrics=point_distance, table=False)
    learn.fit_one_cycle(12, 3e-3)
    epoch = len(dls.train)
    assert sum(learn.recorder.losses[-epoch:]) < 0.7 * sum(learn.recorder.losses[:epoch])
    assert 0 < learn.recorder.rows[-1]["point_distance"] < 24
    assert len(learn.show_results(max_n=2).axes) == 2
    # Targets taken back are the file's own; a prediction's error there is its error here, scaled.
    for batch in dls.valid:
        back = points_on_originals(batch[1], batch)
        for point, key in zip(back, batch.keys, strict=True):
            expected = centre(folder / f"{key.rsplit('/', 1)[-1][:-4]}.xml")
            assert point[0].tolist() == pytest.approx(expected, abs=1e-2)
