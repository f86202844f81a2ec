"""Readers give the rows that were written, each at most once an epoch, in another order each time."""

import numpy as np
import pytest
import torch

from onewarp.benchmarks.peers import loading

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own

PACKAGES = {"LMDB": "lmdb", "Hugging Face": "datasets", "WebDataset": "webdataset", "FFCV": "ffcv"}
RAW = [name for name in loading.READERS if "JPEG" not in name and name not in ("ImageFolder", "fastai from files")]
NAMELESS = pytest.mark.xfail(raises=RecursionError, reason="fastai's Resize cannot say its name in fasttransform 0.0.3")


@pytest.mark.parametrize("name", RAW)
def test_an_epoch_has_whole_rows_each_at_most_once(photos, tmp_path, name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    reader = loading.READERS[name]
    reader.write(photos, tmp_path)
    epoch = reader.open(photos, tmp_path, 1)
    orders = []
    for _ in range(2):
        batches = [np.array(batch).reshape(64, 8, 8, 3) for batch in epoch()]
        assert len(batches) == 2  # of 130 rows two are left over
        rows = np.concatenate(batches)
        numbers = rows[:, 0, 0, 0].tolist()
        assert len(set(numbers)) == 128
        assert np.array_equal(rows, photos.rows[numbers])
        orders.append(numbers)
    assert orders[0] != orders[1] != sorted(orders[1])


FROM_FILES = (("ImageFolder", "torchvision"), pytest.param("fastai from files", "fastai", marks=NAMELESS))


@pytest.mark.parametrize(("name", "package"), FROM_FILES)
def test_files_are_decoded_and_resized(photos, tmp_path, name, package):
    pytest.importorskip(package)
    reader = loading.READERS[name]
    reader.write(photos, tmp_path)
    assert not list(tmp_path.iterdir())
    batch = next(iter(reader.open(photos, tmp_path, 1)()))
    assert tuple(batch.shape) == (64, 3, 460, 460)
    pixels = torch.as_tensor(batch).as_subclass(torch.Tensor).double()
    pixels = pixels * 255 if pixels.max() <= 1 else pixels
    numbers = pixels[:, 0].mean((1, 2)).round().int().tolist()
    assert len(set(numbers)) == 64
    assert pixels[:, 1].mean((1, 2)).round().int().tolist() == [number % 2 for number in numbers]


def test_rows_as_jpeg_are_near_them(photos):
    simplejpeg = pytest.importorskip("simplejpeg")
    for data, row in zip(photos.jpegs(), photos.rows, strict=True):
        assert np.abs(simplejpeg.decode_jpeg(data).astype(int) - row).max() <= 2
