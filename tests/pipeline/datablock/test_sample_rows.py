"""Typed samples as rows that a loader reads: targets in pixels of their row, labels looked up beforehand."""

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import DamagedRowError, LabelError, MissingLabelError
from onewarp.pipeline.datablock.datablock import DataBlock
from onewarp.pipeline.datablock.sample_rows import column_name, encode_labels, labels_or_missing, sample_rows
from onewarp.pipeline.dataset.blocks import (
    BBoxBlock,
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
)
from onewarp.pipeline.dataset.items import get_image_files
from onewarp.pipeline.dataset.samples import Samples
from onewarp.pipeline.dataset.splits import FuncSplitter
from onewarp.pipeline.loading.loader import Loader
from onewarp.transforms.augment import aug_transforms
from onewarp.transforms.decoding.resizing import Sizing
from onewarp.transforms.geometry import Resize
from onewarp.transforms.types import TensorImage, TensorPoint
from onewarp.transforms.warp.buffers import Buffers


def test_points_masks_and_boxes_go_with_the_picture_and_come_back(pets, shared):
    trimaps = shared / "pets" / "annotations" / "trimaps"
    names = [p for p in get_image_files(pets) if (trimaps / f"{p.stem}.png").exists()][:8]
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=["?", "pet", "background", "border"]), PointBlock, BBoxBlock),
        splitter=FuncSplitter(lambda p: False),
        get_y=[lambda p: trimaps / f"{p.stem}.png", lambda p: (100.0, 80.0), lambda p: (60.0, 40.0, 140.0, 120.0)],
        item_tfms=Resize(200),
        batch_tfms=aug_transforms(size=128, max_lighting=0),
    )
    datasets = block.datasets(names)
    loader = Loader(block.rows(datasets), "train", 4, block.transforms(), shuffle=False)
    batch = next(iter(loader))
    y = batch[1]
    assert set(y) == {"mask", "points", "boxes"}
    assert (y["mask"].shape, y["points"].shape, y["boxes"].shape) == ((4, 128, 128), (4, 1, 2), (4, 1, 4))
    assert set(y["mask"].unique().tolist()) <= {0, 1, 2, 3}
    assert torch.allclose(batch.original_points(y["points"]), torch.tensor([100.0, 80.0]).double(), atol=1e-3)
    assert type(datasets[0][2]) is TensorPoint


def test_points_come_out_alike_with_and_without_a_cache(few, tmp_path):
    block = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=lambda p: (50.0, 40.0),
        item_tfms=Resize(200),
        batch_tfms=aug_transforms(size=64),
    )
    cached = block.dataloaders(few, bs=4, cache=tmp_path / "cache").one_batch()
    assert torch.allclose(cached[1], block.dataloaders(few, bs=4).one_batch()[1], atol=1e-3)
    assert torch.allclose(cached.original_points(cached[1]), torch.tensor([50.0, 40.0]).double(), atol=1e-3)


def numbered(count, **blocks):
    """Samples of as many black pictures, with blocks of targets and what their getters give."""
    picture = TensorImage(torch.zeros(3, 4, 8, dtype=torch.uint8))
    all_blocks = [ImageBlock(), *(block for block, _ in blocks.values())]
    getters = [lambda item: picture, *(getter for _, getter in blocks.values())]
    return Samples(range(count), tuple(all_blocks), tuple(getters))


def test_targets_of_one_name_are_numbered_from_the_second_on():
    blocks = [ImageBlock(), CategoryBlock(), MaskBlock(), MultiCategoryBlock(), MaskBlock(), PointBlock()]
    samples = Samples([], tuple(blocks), (None,) * 6)
    names = [column_name(samples, n) for n in range(1, 6)]
    assert names == ["label", "mask", "label2", "mask2", "points"]


def test_labels_are_one_tensor_and_one_that_is_missing_or_unknown_names_its_item():
    keys = ["a", "b", "c"]
    samples = numbered(3, label=(CategoryBlock(("x", "y")), lambda item: "xyx"[item]))
    assert encode_labels(samples, 1, keys).tolist() == [0, 1, 0]
    missing = numbered(3, label=(CategoryBlock(("x", "y")), lambda item: ["x", None, ""][item]))
    assert [label if label is None else int(label) for label in labels_or_missing(missing, 1, keys)] == [0, None, None]
    with pytest.raises(MissingLabelError, match="2 of 3 labels are missing, the first that of b: leave"):
        encode_labels(missing, 1, keys)
    unknown = numbered(3, label=(CategoryBlock(("x",)), lambda item: "xzx"[item]))
    with pytest.raises(LabelError, match="b: label 'z' is not among the 1"):
        encode_labels(unknown, 1, keys)
    assert encode_labels(numbered(0, label=(CategoryBlock(("x",)), None)), 1, []).tolist() == []


def test_rows_have_keys_splits_and_targets_of_their_items():
    samples = numbered(
        3, label=(CategoryBlock(("x", "y")), lambda item: "xyx"[item]), points=(PointBlock(), lambda i: (i, 2))
    )
    rows = sample_rows(samples, ["a", "b", "c"], ["train", None, "valid"], None)
    assert rows.select("valid").tolist() == [2]
    assert rows.keys(np.array([1])) == ["b"]
    targets = rows.targets(np.array([2, 0]))
    assert targets["label"].values.tolist() == [0, 0]
    assert [points.tolist() for points in targets["points"].values] == [[[2.0, 2.0]], [[0.0, 2.0]]]
    images, matrix = rows.read(np.array([0]), Buffers(), in_place=False)
    assert images.shape == (1, 4, 8, 3)
    assert np.array_equal(matrix[0], np.eye(3))


def test_targets_are_in_pixels_of_the_presized_row(tmp_path):
    """A photo of 8 x 4 pixels that is all_blocks half as large."""
    Image.new("RGB", (8, 4)).save(tmp_path / "a.png")
    for place in (str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes()):
        samples = Samples([place], (ImageBlock(), PointBlock()), (None, lambda item: (6.0, 2.0)))
        rows = sample_rows(samples, ["a"], [None], Sizing(2))
        assert rows.targets(np.array([0]))["points"].values[0].tolist() == [[3.0, 1.0]]
        assert rows.read(np.array([0]), Buffers(), in_place=False)[0].shape == (1, 2, 4, 3)


@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_a_picture_or_target_that_does_not_fit_is_a_damaged_row(nothing):
    rows = sample_rows(Samples([nothing], (ImageBlock(),), (None,)), ["a"], [None], None)
    with pytest.raises(DamagedRowError, match="'a' cannot be read: the item names no picture"):
        rows.read(np.array([0]), Buffers(), in_place=False)
    outside = sample_rows(numbered(1, points=(PointBlock(), lambda item: (9.0, 9.0))), ["a"], [None], None)
    with pytest.raises(DamagedRowError, match=r"'a' points: point 0 must lie in 0\.\.8 x 0\.\.4, but is \(9, 9\)"):
        outside.targets(np.array([0]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sizing", [None, Sizing(5)], ids=str)
def test_a_files_bytes_are_the_row_that_the_file_is(tmp_path, orientation, sizing):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    items = [tmp_path / "a.png", (tmp_path / "a.png").read_bytes()]
    rows = sample_rows(Samples(items, (ImageBlock(),), (None,)), ["a", "b"], [None, None], sizing)
    (of_file, of_bytes), matrix = rows.read(np.array([0, 1]), Buffers(), in_place=False)
    assert torch.equal(of_file, of_bytes)
    assert np.array_equal(matrix[0], matrix[1])
    assert np.array_equal(matrix[1], np.eye(3)) == (orientation == 1 and sizing is None)
