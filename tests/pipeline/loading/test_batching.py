"""How a batch is made: damaged rows replaced, targets moved with their image, labels stacked."""

import threading
import traceback

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import CacheError, DamagedRowError
from onewarp.pipeline.cache.selection import Selection
from onewarp.pipeline.loading.batching import BatchMaker, BatchRequest, collate, salt_hashes
from onewarp.pipeline.loading.devices import device_for
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows, Pixels, Targets


class BrokenRows(MemoryRows):
    bad = frozenset({5, 6})

    def read(self, rows, buffers, *, in_place):
        for row in rows.tolist():
            if row in self.bad:
                raise DamagedRowError(f"Row {row} is damaged", row, f"{row:03}.jpg")
        return super().read(rows, buffers, in_place=in_place)


def broken_rows(n=12):
    return BrokenRows([np.full((2, 2, 3), i, np.uint8) for i in range(n)], keys=[f"{i:03}.jpg" for i in range(n)])


def test_an_exception_reaches_the_caller_with_its_own_traceback():
    with pytest.raises(DamagedRowError, match="Row 5 is damaged") as caught:
        list(Loader(broken_rows(), batch_size=2, shuffle=False))
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "read"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("onewarp-loader")]


def test_a_damaged_row_is_replaced_by_the_next_good_one_and_listed(brighten):
    loader = Loader(broken_rows(), batch_size=4, shuffle=False, damaged="replace", batch_tfms=brighten)
    first = [(b.keys, b[0]) for b in loader]
    assert [key for keys, _ in first for key in keys][4:8] == ["004.jpg", "007.jpg", "007.jpg", "007.jpg"]
    assert loader.set_aside == {"005.jpg": "Row 5 is damaged", "006.jpg": "Row 6 is damaged"}
    values = [float(x.mean()) for x in first[1][1][1:]]
    assert len(set(values)) == 3  # three copies of one row, augmented in three ways
    loader.set_epoch(0)
    again = [(b.keys, b[0]) for b in loader]
    assert all(k == j and torch.equal(x, y) for (k, x), (j, y) in zip(first, again, strict=True))


def test_a_split_without_a_good_row_is_an_error(monkeypatch):
    monkeypatch.setattr(BrokenRows, "bad", frozenset(range(12)))
    with pytest.raises(DamagedRowError):
        list(Loader(broken_rows(), damaged="replace"))


class LabelledRows(MemoryRows):
    def targets(self, rows):
        return {
            "mask": Targets("mask", [torch.full((4, 6), int(r)) for r in rows]),
            "points": Targets("points", [torch.full((2, 2), float(r)) for r in rows]),
            "boxes": Targets("boxes", [torch.zeros(1 + int(r) % 2, 4) for r in rows]),
        }

    def read(self, rows, buffers, *, in_place):
        images, _ = super().read(rows, buffers, in_place=in_place)
        return Pixels(images, np.tile(np.diag([2.0, 2.0, 1.0]), (len(rows), 1, 1)))


def test_several_targets_come_by_name_and_move_with_the_image(brighten):
    rows = LabelledRows([np.zeros((4, 6, 3), np.uint8)] * 4)

    class Shift(type(brighten)):
        def boxes(self, boxes, plan):
            return [box - torch.tensor([1.0, 0, 1, 0]) for box in boxes]

    batch = next(iter(Loader(rows, shuffle=False, batch_tfms=Shift())))
    y = batch[1]
    assert y["mask"][:, 0, 0].tolist() == [1, 2, 3, 4]
    assert y["points"][2].tolist() == [[1, 2], [1, 2]]
    assert [box.shape for box in y["boxes"]] == [(1, 4), (2, 4), (1, 4), (2, 4)]
    assert y["boxes"][0].tolist() == [[-1, 0, -1, 0]]
    # From the output to the row: one pixel to the right; from the row to the file: twice as large.
    assert batch.original_points(torch.zeros(4, 1, 2))[0].tolist() == [[2.0, 0.0]]


def test_a_batch_has_no_target_one_or_several_by_name():
    one, two = Targets("category", torch.tensor([3, 4])), Targets("mask", [torch.zeros(2, 3), torch.ones(2, 3)])
    assert collate({}) is None
    assert collate({"label": one}) is one.values
    both = collate({"label": one, "mask": two})
    assert list(both) == ["label", "mask"]
    assert torch.equal(both["mask"], torch.stack(two.values))


def test_shapes_that_differ_stay_a_list():
    boxes = [torch.zeros(1, 4), torch.zeros(2, 4)]
    assert collate({"boxes": Targets("boxes", boxes)}) is boxes
    assert collate({"boxes": Targets("boxes", [])}) == []
    assert collate({"boxes": Targets("boxes", boxes[:1])}).shape == (1, 1, 4)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**62)), min_size=1, max_size=20))
def test_the_first_copy_keeps_its_hash_and_each_other_has_one_of_its_own(pairs):
    hashes, salts = np.array([h for h, _ in pairs], np.uint64), np.array([s for _, s in pairs], np.int64)
    salted = salt_hashes(hashes, salts)
    assert salted.dtype == np.uint64
    assert (salted[salts == 0] == hashes[salts == 0]).all()
    copies = salt_hashes(np.full(50, hashes[0]), np.arange(50))
    assert len(set(copies.tolist())) == 50


def test_salts_stay_what_they_were():
    """Every draw of a row that an epoch holds twice follows from them."""
    assert salt_hashes(np.array([1, 2], np.uint64), np.array([0, 1], np.int64)).tolist() == [1, 15755400384957978899]


def request(rows, epoch=0):
    rows = np.array(rows, np.int64)
    return BatchRequest(rows, rows.astype(np.uint64), np.ones(len(rows), bool), epoch)


def maker(rows, **settings):
    return BatchMaker(rows, lambda epoch: None, 0, "train", device_for(torch.device("cpu")), with_keys=True, **settings)


def test_a_batch_is_of_its_request_and_the_next_one_is_asked_for():
    requests = []

    class Ahead(MemoryRows):
        def expect(self, rows):
            requests.append(rows.tolist())

    rows = Ahead([np.full((2, 2, 3), i, np.uint8) for i in range(9)], labels=range(9))
    batch = maker(rows).make(request([4, 2]), [request([8])]).batch
    assert (batch[1].tolist(), batch[2]) == ([4, 2], ["4", "2"])
    assert batch[0].float().mean((1, 2, 3)).tolist() == [4, 2]
    assert batch.valid.tolist() == [True, True]
    assert requests == [[8]]


def test_a_damaged_row_is_replaced_within_its_split():
    """The last row of a split is followed by its first."""
    rows = broken_rows()
    for selection in (np.array([2, 5, 9]), Selection([np.isin(np.arange(12), [2, 5, 9])])):
        making = maker(rows, on_damage="replace", selection=selection)
        assert making.make(request([5, 9])).batch.keys == ["009.jpg", "009.jpg"]
        assert list(making.quarantine) == [5]
    making = maker(rows, on_damage="replace", selection=np.array([2, 5]))
    assert making.make(request([5])).batch.keys == ["002.jpg"]


def test_an_error_of_bytes_that_are_gone_comes_before_what_it_led_to():
    class Gone(MemoryRows):
        def read(self, rows, buffers, *, in_place):
            raise ValueError("no picture")

        def confirm(self):
            raise CacheError("a file was cut")

    with pytest.raises(CacheError, match="a file was cut"):
        maker(Gone([np.zeros((2, 2, 3), np.uint8)] * 3)).make(request([1]))
