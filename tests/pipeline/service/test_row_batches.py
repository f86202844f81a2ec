"""Rows as record batches: the bytes that are kept, pixels, and what a loader makes of them, to the bit."""

import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onewarp.errors import DamagedRowError, UsageError
from onewarp.pipeline import DataBlock, ImageBlock, Loader, MaskBlock, get_image_files, presize
from onewarp.pipeline.cache.checksums import checksum
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.recipes import recipe_json
from onewarp.pipeline.service.row_batches import _groups, answer
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.tickets import LEAST_BATCH, Augment, Ticket
from onewarp.transforms import Brightness, Normalize, Resize, aug_transforms, fuse

ROWS = (7, 0, 7, 11, 3)
NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
RECIPE = fuse([*aug_transforms(size=16), NORMALIZE])


def grey(path):
    return Image.open(path).convert("L")


@pytest.fixture
def served(cache):
    """served(encoding): a cache as a server has it."""
    return lambda encoding="raw": ServedCaches({"cache": cache(encoding)}).current("cache")


@pytest.fixture
def masked(pictures, tmp_path):
    """A cache with a mask for each picture: its own grey."""
    block = DataBlock((ImageBlock, MaskBlock), get_items=get_image_files, get_y=grey)
    presize(pictures, tmp_path / "masked", 24, block=block, encoding="raw")
    return ServedCaches({"masked": tmp_path / "masked"}).current("masked")


def table_of(served, limits=None, **fields):
    """The answer to a ticket, as it leaves a server."""
    ticket = Ticket(served.name, served.fingerprint, **{"rows": ROWS, **fields})
    schema, batches = answer(ticket, served, limits or Limits())
    return pa.Table.from_batches([batch.make() for batch in batches], schema)


def augmented(served, recipe=RECIPE, **fields):
    return table_of(served, send="augmented", augment=Augment(recipe_json(recipe), 3, 1), **fields)


def tensors(column):
    return torch.from_numpy(column.combine_chunks().to_numpy_ndarray().copy())


@pytest.mark.parametrize("binary", ["view", "plain"])
@pytest.mark.parametrize("encoding", ["raw", "jpeg", "png"])
def test_bytes_leave_as_they_are_kept_and_with_their_checksums(served, encoding, binary):
    one = served(encoding)
    table = table_of(one, binary=binary)
    kind = pa.binary_view() if binary == "view" else pa.binary()
    assert table.schema.names == ["key", "height", "width", "checksum", "image"]
    assert table.schema.field("image").type == kind
    for i, row in enumerate(ROWS):
        values = {name: table.column(name)[i].as_py() for name in table.column_names}
        assert values["image"] == bytes(one.cache.bytes_of(row))
        assert values["checksum"] == checksum(values["image"])
        assert (values["height"], values["width"]) == one.cache.row(row).pixels.shape[:2]
        assert values["key"] == one.cache.row(row).key


@pytest.mark.parametrize("encoding", ["raw", "jpeg", "png"])
def test_pixels_are_those_of_the_cache(served, encoding):
    one = served(encoding)
    table = table_of(one, send="pixels", columns=())
    assert table.schema.names == ["height", "width", "checksum", "pixels"]
    for i, row in enumerate(ROWS):
        pixels = one.cache.pixels(row)
        data = table.column("pixels")[i].as_py()
        assert data == pixels.tobytes()
        assert table.column("checksum")[i].as_py() == checksum(data)


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_what_is_augmented_is_what_a_loader_makes_to_the_bit(served, encoding, split):
    one = served(encoding)
    loader = Loader(one.cache, split, 5, RECIPE, seed=3)
    for epoch in range(2):
        for batch in loader:
            keys = [key for key, valid in zip(batch.keys, batch.valid, strict=True) if valid]
            rows = tuple(one.cache.index.column("key").to_pylist().index(key) for key in keys)
            augment = Augment(recipe_json(RECIPE), 3, epoch, split)
            table = table_of(one, send="augmented", augment=augment, rows=rows)
            assert torch.equal(tensors(table.column("x")), batch[0][: len(rows)])
            hashes = tuple(one.rows.key_hashes(np.array(rows)).tolist())
            assert table_of(one, send="augmented", augment=replace(augment, hashes=hashes), rows=rows) == table
            other = table_of(one, send="augmented", augment=replace(augment, hashes=hashes[::-1]), rows=rows)
            assert (other == table) == (split == "valid" or hashes == hashes[::-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_the_type_of_what_is_augmented_is_the_recipe_s(served, dtype):
    x = tensors(augmented(served(), fuse([Resize(16)], dtype=dtype)).column("x"))
    assert (x.dtype, tuple(x.shape)) == (dtype, (len(ROWS), 3, 16, 16))


def test_masks_are_sent_as_they_are_kept_and_under_the_plan_of_their_image(masked):
    table = table_of(masked, masks=("mask",), binary="plain")
    for i, row in enumerate(ROWS):
        assert table.column("mask")[i].as_py() == bytes(masked.cache.bytes_of(row, "mask"))
    recipe = fuse(aug_transforms(size=16))
    loader = Loader(masked.cache, None, 12, recipe, seed=3, shuffle=False)
    batch = next(iter(loader))
    table = table_of(
        masked, send="augmented", augment=Augment(recipe_json(recipe), 3, 0), rows=range(12), masks=("mask",)
    )
    assert torch.equal(tensors(table.column("x")), batch[0])
    assert torch.equal(tensors(table.column("mask")), batch[1].to(torch.int32))
    assert table.column("mask_wide").to_pylist() == [False] * 12


@pytest.mark.parametrize("send", ["stored", "pixels", "augmented"])
def test_batches_have_about_the_bytes_that_were_asked_for(served, send):
    one = served()
    rows = tuple(random.Random(3).choices(range(12), k=500))
    augment = Augment(recipe_json(RECIPE)) if send == "augmented" else None
    ticket = Ticket("cache", one.fingerprint, send, rows, batch_bytes=LEAST_BATCH, augment=augment)
    schema, batches = answer(ticket, one, Limits())
    made = [(batch.nbytes, batch.make()) for batch in batches]
    assert len(made) > 5
    assert max(nbytes for nbytes, _ in made) <= LEAST_BATCH
    assert all(batch.schema == schema for _, batch in made)
    table = pa.Table.from_batches([batch for _, batch in made])
    keys = one.cache.index.column("key").to_pylist()
    assert table.column("key").to_pylist() == [keys[row] for row in rows]


def test_small_outputs_of_large_rows_are_divided_by_what_the_rows_take(served):
    one = served("jpeg")
    augment = Augment(recipe_json(fuse([Resize(1)])))
    ticket = Ticket("cache", one.fingerprint, "augmented", range(12), batch_bytes=LEAST_BATCH, augment=augment)
    _, batches = answer(ticket, one, Limits())
    assert [batch.make().num_rows for batch in batches] == [12]
    _, batches = answer(replace(ticket, rows=tuple([*range(12)] * 20)), one, Limits())
    nbytes = int(one.cache.row_index.sizes(np.arange(12)).prod(1).sum()) * 3 * 20
    assert len(list(batches)) >= nbytes / LEAST_BATCH > 1


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 100))
def test_groups_are_all_rows_in_order_and_none_is_too_large(lengths, most):
    groups = list(_groups(np.array(lengths, np.int64), most))
    assert [i for begin, end in groups for i in range(begin, end)] == list(range(len(lengths)))
    for begin, end in groups:
        assert sum(lengths[begin:end]) <= most or end - begin == 1


def test_the_index_is_the_file_itself(served):
    one = served()
    table = table_of(one, send="index", rows=())
    assert b"".join(table.column("data").to_pylist()) == bytes(one.cache.small.file)


def test_no_row_is_an_answer_of_no_batch(served):
    for send in ("stored", "pixels"):
        table = table_of(served(), send=send, rows=())
        assert (table.num_rows, table.schema.names[0]) == (0, "key")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"rows": (0, 12)}, "rows must be below 12, but got 12"),
        ({"rows": range(5, 13)}, "rows must be below 12, but got 12"),
        ({"columns": ("key", "path")}, "columns must be some of .*key.*, but got 'path'"),
        ({"masks": ("mask",)}, "masks must be some of"),
        ({"send": "augmented", "augment": Augment("[]x")}, "must be JSON of transforms"),
        ({"send": "augmented", "augment": Augment(recipe_json(fuse([NORMALIZE])))}, "images of one size"),
        ({"send": "augmented", "augment": Augment(recipe_json(fuse([Brightness(0.2)])))}, "images of one size"),
    ],
)
def test_a_ticket_that_does_not_fit_the_cache_is_refused_before_a_row_is_read(served, fields, reason):
    one = served()
    ticket = Ticket("cache", one.fingerprint, **{"rows": ROWS, **fields})
    with pytest.raises(UsageError, match=reason):
        answer(ticket, one, Limits())


@pytest.mark.parametrize("send", ["stored", "pixels", "augmented"])
def test_a_row_that_no_message_can_have_is_refused_by_name(served, send):
    one = served()
    augment = Augment(recipe_json(RECIPE)) if send == "augmented" else None
    _, batches = answer(Ticket("cache", one.fingerprint, send, ROWS, augment=augment), one, Limits(row_bytes=1000))
    with pytest.raises(UsageError, match=r"row '.*' has \d+ bytes, and a message can have 1000"):
        next(batches)


def test_an_index_that_says_a_row_has_more_than_two_gigabytes_is_believed_by_nobody(served, monkeypatch):
    one = served("jpeg")
    index = one.cache.row_index
    monkeypatch.setattr(index, "lengths", lambda rows, mask=None: np.full(len(rows), 1 << 31, np.int64))
    _, batches = answer(Ticket("cache", one.fingerprint, rows=ROWS), one, Limits())
    with pytest.raises(UsageError, match=f"has {1 << 31} bytes, and a message can have"):
        next(batches)


def harm(served, row):
    """Flip a bit in the middle of a row's bytes in its part file."""
    rows = np.array([row])
    locations = served.cache.row_index.locations(rows)
    path = served.cache.parts[int(locations.part[0])]
    data = bytearray(path.read_bytes())
    data[int(locations.offset[0]) + int(locations.length[0]) // 2] ^= 16
    path.write_bytes(data)


@pytest.mark.parametrize("send", ["stored", "pixels", "augmented"])
@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_damaged_row_is_named_and_the_others_are_sent(cache, encoding, send):
    folder = cache(encoding)
    harm(ServedCaches({"cache": folder}).current("cache"), 7)
    one = ServedCaches({"cache": folder}).current("cache")
    augment = Augment(recipe_json(RECIPE)) if send == "augmented" else None
    with pytest.raises(DamagedRowError) as error:
        table_of(one, send=send, augment=augment)
    assert (error.value.row, error.value.key) == (7, one.cache.row_index.keys(np.array([7]))[0])
    assert table_of(one, send=send, augment=augment, rows=(0, 3, 11)).num_rows == 3
