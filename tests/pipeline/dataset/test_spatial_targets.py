"""Masks, points and boxes in a cache: real trimaps and head boxes, their columns, and what does not fit."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from onewarp.cli import main
from onewarp.errors import CacheError, DamagedRowError, LabelError, UsageError
from onewarp.pipeline import (
    BBoxBlock,
    Beside,
    Cache,
    CategoryBlock,
    ColReader,
    DataBlock,
    DataLoaders,
    HashSplitter,
    ImageBlock,
    Loader,
    MaskBlock,
    PointBlock,
    RegexLabeller,
    VocBoxes,
    get_image_files,
    presize,
    using_attr,
)
from onewarp.pipeline.dataset.spatial_targets import size_of_file, to_row_pixels
from onewarp.transforms import Resize, aug_transforms
from onewarp.transforms.decoding.decode import decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize
from onewarp.transforms.warp import OutSpec, warp_mask

TRIMAP, HEAD = Beside("../annotations/trimaps", ".png"), VocBoxes("../annotations/xmls")
TFMS = aug_transforms(size=64)
PETS = DataBlock(
    blocks=(ImageBlock, CategoryBlock, MaskBlock(codes=("none", "pet", "background", "border")), BBoxBlock),
    get_items=get_image_files,
    splitter=HashSplitter(0.3),
    get_y=[using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"), TRIMAP, HEAD],
    item_tfms=Resize(96),
    batch_tfms=TFMS,
)


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def annotated(pets, shared, tmp_path_factory):
    """Nine pets with their trimaps and head boxes, laid out as the data set is, and one turned on its side."""
    root = tmp_path_factory.mktemp("pets")
    folders = {".jpg": root / "images", ".png": root / "annotations/trimaps", ".xml": root / "annotations/xmls"}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for xml in sorted((shared / "pets/annotations/xmls").glob("*.xml"))[1::3][:9]:
        shutil.copy(xml, folders[".xml"])
        shutil.copy(shared / f"pets/annotations/trimaps/{xml.stem}.png", folders[".png"])
        shutil.copy(pets / f"{xml.stem}.jpg", folders[".jpg"])
    with Image.open(min(folders[".jpg"].iterdir())) as photo:
        exif = Image.Exif()
        exif[274] = 6
        photo.convert("RGB").save(folders[".jpg"] / "turned_1.jpg", exif=exif)
        (folders[".xml"] / "turned_1.xml").write_bytes(min(folders[".xml"].iterdir()).read_bytes())
        shutil.copy(min(folders[".png"].iterdir()), folders[".png"] / "turned_1.png")
    return root


@pytest.fixture
def own(annotated, tmp_path):
    """A copy to be spoilt."""
    shutil.copytree(annotated, tmp_path / "pets")
    return tmp_path / "pets"


@pytest.fixture(scope="session", params=["raw", "jpeg"])
def cache(request, annotated, tmp_path_factory):
    path = tmp_path_factory.mktemp("cache") / request.param
    presize(annotated / "images", path, block=PETS, encoding=request.param)
    return Cache.open(path)


def test_a_row_has_what_was_drawn_on_its_photo_in_its_own_pixels(cache, annotated):
    """The trimap through the photo's own matrix; the box around the corners of the one in the file, EXIF and all."""
    assert [*cache.targets] == ["label", "mask", "boxes"]
    assert cache.targets["mask"]["vocab"] == ["none", "pet", "background", "border"]
    for key in cache.index.column("key").to_pylist():
        row, photo = cache[key], annotated / "images" / key
        trimap = torch.from_numpy(np.array(Image.open(TRIMAP(photo))))
        matrix = torch.from_numpy(row.matrix.astype(np.float32))[None]
        expected = warp_mask(trimap[None], matrix, OutSpec(row.pixels.shape[:2], padding="border"))[0]
        assert row.places["mask"].shape == row.pixels.shape[:2]
        assert np.array_equal(row.places["mask"], expected)
        assert set(np.unique(row.places["mask"])) <= {1, 2, 3}
        (box,), ((left, top, right, bottom),) = HEAD(photo), row.places["boxes"]
        x, y = (row.matrix @ [[left, right], [top, bottom], [1, 1]])[:2]
        assert np.allclose([x.min(), y.min(), x.max(), y.max()], box, atol=1e-3)


def test_places_of_masks_and_pixels_are_the_bytes_in_the_parts(cache):
    """A reader needs the index alone; Parquet sees the same bytes as a file of an image."""
    for number in range(len(cache)):
        columns = cache.columns(number)
        part = cache.parts[columns["part"]].read_bytes()
        table = pq.read_table(cache.parts[columns["part"]])
        row = table.column("key").to_pylist().index(columns["key"])
        mask = part[columns["mask_offset"] :][: columns["mask_length"]]
        assert table.column("mask")[row].as_py() == {"bytes": mask, "path": columns["key"]}
        pixels = table.column("pixels" if cache.encoding == "raw" else "image")[row].as_py()
        pixels = pixels if cache.encoding == "raw" else pixels["bytes"]
        assert part[columns["offset"] :][: columns["length"]] == pixels
        assert table.column("boxes")[row].as_py() == columns["boxes"]
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["mask"] == {"_type": "Image"}
    assert "mask" not in cache.index.column_names


@pytest.mark.parametrize("reading", ["map", "pread"])
def test_a_loader_on_the_cache_alone_warps_them_with_the_image(cache, annotated, reading):
    """Against the trimap warped once, by the whole matrix: of the two nearest labels a few at the seams differ."""
    seen = Counter()
    for batch in Loader(cache, batch_size=4, batch_tfms=TFMS, reading=reading):
        x, y = batch
        assert [*y] == ["label", "mask", "boxes"]
        assert (x.shape[-2:], y["mask"].shape[-2:]) == ((64, 64), (64, 64))
        for i, key in enumerate(batch.keys):
            trimap = torch.from_numpy(np.array(Image.open(TRIMAP(annotated / "images" / key))))
            once = warp_mask(trimap[None], batch.matrix[i][None].float(), OutSpec((64, 64)))[0]
            seen[key] = float((once == y["mask"][i]).float().mean())
            assert cache.vocab[y["label"][i]] == cache[key].label
    assert min(seen.values()) > 0.85
    assert len(seen) == len(cache)


def test_a_data_block_gives_the_same_with_its_cache_and_without(annotated, tmp_path):
    cached = PETS.dataloaders(annotated / "images", bs=3, cache=tmp_path / "C")
    plain = PETS.dataloaders(annotated / "images", bs=3)
    alone = DataLoaders.of_cache(tmp_path / "C", PETS.transforms(), bs=3)
    for one, two, three in zip(cached.train, plain.train, alone.train, strict=True):
        assert one.keys == two.keys == three.keys
        assert [*one[1]] == [*two[1]] == [*three[1]] == ["label", "mask", "boxes"]
        for name in one[1]:
            assert torch.equal(torch.as_tensor(one[1][name]), torch.as_tensor(two[1][name]))
            assert torch.equal(torch.as_tensor(one[1][name]), torch.as_tensor(three[1][name]))
    assert [block.kind for block in alone.blocks] == ["image", "category", "mask", "boxes"]
    assert (alone.loss, alone.c, list(alone.vocab)) == (cached.loss, cached.c, list(cached.vocab))
    assert len(alone.show_batch(nrows=1, ncols=2).axes) == 2
    masks = DataLoaders.of_cache(tmp_path / "C", TFMS, targets=["mask"], bs=3)
    assert (masks.loss, masks.c, masks.one_batch()[1].shape) == ("mask", 4, (3, 64, 64))
    with pytest.raises(UsageError, match=r"some of the cache's \(label, mask, boxes\), but got 'points'"):
        DataLoaders.of_cache(tmp_path / "C", TFMS, targets=["points"])


def test_rows_of_a_data_block_stand_in_the_order_of_its_items(annotated, tmp_path):
    block = replace(PETS, get_items=lambda source: get_image_files(source)[::-1])
    cached = block.dataloaders(annotated / "images", bs=4, cache=tmp_path / "C", shuffle=False)
    plain = block.dataloaders(annotated / "images", bs=4, shuffle=False)
    for one, two in zip(cached.train, plain.train, strict=True):
        assert one.keys == two.keys
        assert torch.equal(one[1]["mask"], two[1]["mask"])
    assert cached.rows.fingerprint != PETS.dataloaders(annotated / "images", cache=tmp_path / "C").rows.fingerprint


def test_only_what_was_drawn_anew_is_made_anew_and_nothing_is_decoded(own, tmp_path):
    """Byte for byte the cache of an uninterrupted run, after a trimap and a box have changed and one is gone."""
    images, cache = own / "images", tmp_path / "C"
    presize(images, cache, block=PETS)
    before = files(cache)
    again = presize(images, cache, block=PETS)
    assert (again.decoded, again.copied, again.kept, files(cache)) == (0, 0, 10, before)

    first, second, third, *_ = get_image_files(images)
    with Image.open(TRIMAP(first)) as trimap:
        Image.fromarray(4 - np.array(trimap)).save(TRIMAP(first))
    xml = own / "annotations/xmls" / f"{second.stem}.xml"
    xml.write_text(xml.read_text().replace("<xmin>", "<xmin>0."))
    TRIMAP(third).unlink()
    done = presize(images, cache, block=PETS)
    assert (done.decoded, done.copied) == (0, 9)
    assert [entry.key for entry in done.rejected] == [third.name]
    presize(images, tmp_path / "fresh", block=PETS)
    assert files(cache) == files(tmp_path / "fresh")
    assert presize(images, cache, block=PETS).kept == 9  # the one that was set aside is not tried again
    assert presize(images, cache, block=replace(PETS, blocks=PETS.blocks[:2], get_y=PETS.get_y[:1])).copied == 9
    assert [*Cache.open(cache).targets] == ["label"]


def test_workers_of_their_own_make_the_same_cache(annotated, tmp_path):
    block = replace(PETS, get_y=[lambda path: path.stem.rsplit("_", 1)[0], TRIMAP, HEAD])
    presize(annotated / "images", tmp_path / "P", block=block, scheduler="processes", workers=2)
    presize(annotated / "images", tmp_path / "T", block=block)
    assert files(tmp_path / "P") == files(tmp_path / "T")
    text = b"".join(files(tmp_path / "T").values())
    assert str(annotated).encode() not in text


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root, stem: (root / f"trimaps/{stem}.png").unlink(), "mask: {stem}.png cannot be read: No such file"),
        (lambda root, stem: (root / f"trimaps/{stem}.png").write_bytes(b"?"), "mask: is of no known image format"),
        (
            lambda root, stem: Image.new("L", (30, 20)).save(root / f"trimaps/{stem}.png"),
            "mask: must have the size of its photo's file, {size}, but has 30 x 20",
        ),
        (lambda root, stem: (root / f"xmls/{stem}.xml").unlink(), "boxes: annotation {stem}.xml cannot be read: No su"),
        (lambda root, stem: (root / f"xmls/{stem}.xml").write_text("<a"), "boxes: annotation {stem}.xml must hold obj"),
        (
            lambda root, stem: (root / f"xmls/{stem}.xml").write_text(voc(9, 5, 3, 8)),
            "boxes: box 0 must be (left, top, right, bottom), but is (8, 4, 3, 8)",
        ),
        (
            lambda root, stem: (root / f"xmls/{stem}.xml").write_text(voc(9000, 5, 9100, 8)),
            "boxes: box 0 must touch its photo, 0..{width} x 0..{height}, but is (8999, 4, 9100, 8)",
        ),
    ],
)
def test_what_does_not_fit_sets_its_file_aside_with_the_reason(own, tmp_path, spoil, reason):
    photo = get_image_files(own / "images")[4]
    with Image.open(photo) as image:
        width, height = image.size
    spoil(own / "annotations", photo.stem)
    (tmp_path / "block.json").write_text(PETS.to_json())
    told = run("presize", own / "images", tmp_path / "C", "--block", tmp_path / "block.json", "--json")
    assert told.exit_code == 0, told.stderr
    (rejected,) = json.loads(told.stdout)["rejected"]
    said = reason.format(stem=photo.stem, width=width, height=height, size=f"{width} x {height}")
    assert rejected["key"] == photo.name
    assert rejected["reason"].startswith(said)
    assert f"rejected {photo.name}: {said}" in told.stderr
    assert len(Cache.open(tmp_path / "C")) == 9
    rows = PETS.rows(PETS.datasets(own / "images"))  # without a cache it is named when it is read
    with pytest.raises(DamagedRowError, match=photo.name):
        rows.targets(np.array([rows.find(photo.name)]))


def voc(left, top, right, bottom):
    corners = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<annotation><object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"


def test_a_file_is_tried_again_when_what_was_drawn_on_it_is_mended(own, tmp_path):
    photo = get_image_files(own / "images")[0]
    trimap = TRIMAP(photo).read_bytes()
    TRIMAP(photo).write_bytes(b"?")
    assert len(presize(own / "images", tmp_path / "C", block=PETS).rejected) == 1
    TRIMAP(photo).write_bytes(trimap)
    done = presize(own / "images", tmp_path / "C", block=PETS)
    assert (done.rejected, done.decoded, done.copied) == ([], 1, 9)


def test_a_table_with_columns_of_points_boxes_and_masks(annotated, tmp_path):
    """Paths are relative to the table, masks may be bytes as with Hugging Face, lists ragged or empty."""
    photos = get_image_files(annotated / "images")[:4]
    masks = [{"bytes": TRIMAP(photo).read_bytes(), "path": None} for photo in photos]
    lists = pa.list_(pa.list_(pa.float64()))
    table = pa.table(
        {
            "image": [f"images/{photo.name}" for photo in photos],
            "mask": masks,
            "trimap": [f"annotations/trimaps/{photo.stem}.png" for photo in photos],
            "boxes": pa.array([[], [[1, 2, 30, 40], [5, 5, 5, 5]], [[0, 0, 9, 9]], []], lists),
            "points": pa.array([[[1.5, 2.5]], [], [[0, 0]], [[1, 1], [90000, 2]]], lists),
        }
    )
    pq.write_table(table, annotated / "t.parquet")
    block = DataBlock(
        blocks=(ImageBlock, PointBlock, BBoxBlock, MaskBlock, MaskBlock),
        splitter=HashSplitter(0.5),
        get_y=[ColReader("points"), ColReader("boxes"), ColReader("mask"), ColReader("trimap")],
    )
    done = presize(annotated / "t.parquet", tmp_path / "C", 64, block=block)
    assert [entry.key for entry in done.rejected] == [f"images/{photos[3].name}"]
    assert "points: point 1 must lie in 0.." in done.rejected[0].reason
    cache = Cache.open(tmp_path / "C")
    assert [*cache.targets] == ["points", "boxes", "mask", "mask2"]
    batch = next(iter(Loader(cache, batch_size=3, batch_tfms=TFMS, shuffle=False)))
    assert [tuple(points.shape) for points in batch[1]["points"]] == [(1, 2), (0, 2), (1, 2)]
    assert [tuple(boxes.shape) for boxes in batch[1]["boxes"]] == [(0, 4), (2, 4), (1, 4)]
    assert torch.equal(batch[1]["mask"], batch[1]["mask2"])
    assert np.allclose(batch.original_points(batch[1]["points"][0][None])[0, 0], [1.5, 2.5], atol=1e-3)
    with pytest.raises(LabelError, match="column must be one of mask, trimap, boxes, points, image, but got 'heads'"):
        presize(annotated / "t.parquet", tmp_path / "D", 64, block=replace(block, get_y=[ColReader("heads")] * 4))
    (annotated / "t.parquet").unlink()


def test_labels_beyond_a_byte_stay_exact_and_what_is_no_label_is_refused(pictures, tmp_path):
    def block(mask):
        return DataBlock(blocks=(ImageBlock, MaskBlock), get_items=get_image_files, get_y=mask)

    numbers = np.arange(36 * 32).reshape(36, 32) * 50

    def of(path):
        with Image.open(path) as image:
            return numbers[: image.height]

    presize(pictures, tmp_path / "C", 64, block=block(of))
    cache = Cache.open(tmp_path / "C")
    assert np.array_equal(cache["dog/11.png"].places["mask"], numbers[:32])
    assert next(iter(Loader(cache, batch_size=12)))[1][0].dtype == torch.int32
    for wrong, said in (
        (lambda path: of(path) - 1, "0 to 65535, but has int64 from -1"),
        (lambda path: of(path) / 2, "bool"),
    ):
        with pytest.raises(CacheError, match=rf"none of 12 files became a row; the first: cat/0\.png mask: .*{said}"):
            presize(pictures, tmp_path / "D", 64, block=block(wrong))


def test_squares_too_show_their_masks_where_their_pixels_are(annotated, tmp_path):
    for square in ("crop", "squish", "pad"):
        presize(annotated / "images", tmp_path / square, 48, block=PETS, square=square)
        row = Cache.open(tmp_path / square)["turned_1.jpg"]
        assert row.places["mask"].shape == (48, 48)
        black = (row.pixels == 0).all(-1)
        assert bool((row.places["mask"] == 0).any()) == (square == "pad")
        assert black[row.places["mask"] == 0].all()


def test_a_damaged_mask_is_named(annotated, tmp_path):
    presize(annotated / "images", tmp_path / "C", block=PETS)
    cache = Cache.open(tmp_path / "C")
    columns = cache.columns(2)
    with open(cache.parts[0], "r+b") as file:
        file.seek(columns["mask_offset"] + 40)
        file.write(b"damaged")
    told = run("verify", tmp_path / "C")
    assert told.exit_code == 1
    assert f"row '{columns['key']}' (number 2 in " in told.stdout
    assert "the checksum of its mask" in told.stdout
    loader = Loader(tmp_path / "C", batch_size=5, batch_tfms=TFMS, damaged="replace")
    assert sum(len(x) for x, _ in loader) == 10
    assert [*loader.set_aside] == [columns["key"]]
    with pytest.raises(DamagedRowError, match=r"the checksum of its mask is \w+, but \w+ was written"):
        list(Loader(tmp_path / "C", batch_tfms=TFMS))


def test_what_the_commands_say_and_draw(cache, annotated, tmp_path):
    said = json.loads(run("inspect", cache.path, "--json").stdout)
    assert said["targets"] == {"label": "category", "mask": "mask", "boxes": "boxes"}
    assert run("verify", cache.path).exit_code == 0
    drawn = run("preview", cache.path, "-o", tmp_path / "p.png", "--photos", 2, "--draws", 1, "-t", "Resize(32)")
    assert drawn.exit_code == 0, drawn.output
    assert run("replay", cache.path, "turned_1.jpg", "-o", tmp_path / "r.png", "-t", "Resize(32)").exit_code == 0
    assert run("export", cache.path, tmp_path / "out").exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    for line in lines:
        root = tmp_path / "out"
        with Image.open(root / line["mask_file_name"]) as mask, Image.open(root / line["file_name"]) as image:
            assert (mask.mode, mask.size) == ("L", image.size)
        assert len(line["boxes"][0]) == 4


def test_the_size_of_a_file_follows_from_its_row(annotated):
    for photo in get_image_files(annotated / "images"):
        picture = decode_pixels(photo, 96)
        pixels, matrix = resize(picture, Sizing(96))
        assert size_of_file(pixels.shape[:2], matrix) == picture.size


def test_points_at_the_edge_lie_in_the_photo_and_numbers_that_are_none_do_not():
    edge = torch.tensor([[0.0, 0.0], [20.0, 10.0]])
    assert torch.equal(to_row_pixels("points", edge, (10, 20), np.eye(3), (10, 20)), edge)
    for wrong in (torch.tensor([[20.1, 3.0]]), torch.tensor([[float("nan"), 1.0]]), torch.tensor([[-0.1, 3.0]])):
        with pytest.raises(LabelError, match=r"point 0 must lie in 0\.\.20 x 0\.\.10, but is \("):
            to_row_pixels("points", wrong, (10, 20), np.eye(3), (10, 20))
    with pytest.raises(LabelError, match="box 1 must be"):
        to_row_pixels("boxes", torch.tensor([[0.0, 0, 1, 1], [float("inf"), 0, 1, 1]]), (10, 20), np.eye(3), (10, 20))
