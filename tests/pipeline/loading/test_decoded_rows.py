import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import DamagedRowError, UsageError
from onewarp.pipeline.loading.decoded_rows import DecodedRows, rows_of_files
from onewarp.pipeline.loading.loader import Loader
from onewarp.transforms.decoding.resizing import Sizing
from onewarp.transforms.warp.buffers import Buffers


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for i in range(6):
        image = Image.fromarray(random.integers(0, 256, (40 + i, 60, 3), np.uint8))
        (tmp_path / f"class{i % 2}").mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if i == 5 else 1
        image.save(tmp_path / f"class{i % 2}" / f"{i}.png", exif=exif)
    return tmp_path


def test_files_are_rows_with_relative_keys_and_targets(folder):
    paths = sorted(folder.rglob("*.png"))
    label = ("category", lambda path: torch.tensor(int(path.parent.name[-1])))
    rows = rows_of_files(paths, folder, targets={"label": label}, splits=["train"] * 4 + ["valid", None])
    loader = Loader(rows, batch_size=3, shuffle=False)
    batches = list(loader)
    assert batches[0].keys == ["class0/0.png", "class0/2.png", "class0/4.png"]
    assert [y.tolist() for _, y in batches] == [[0, 0, 0], [1, 1, 1]]
    with Image.open(paths[1]) as image:
        assert np.array_equal(batches[0][0][1].numpy(), np.asarray(image))
    assert rows.select("valid").tolist() == [4]
    assert rows.find("class1/3.png") == 4
    with pytest.raises(UsageError, match=r"no\.png"):
        rows.find("no.png")
    with pytest.raises(UsageError, match=r"\['train', 'valid'\]"):
        rows.select("test")


def test_a_turned_file_comes_upright_and_its_matrix_goes_back(folder):
    rows = rows_of_files([folder / "class1" / "5.png"], folder, Sizing(30))
    images, matrix = rows.read(np.array([0]), Buffers(), in_place=False)
    assert images.shape == (1, 40, 30, 3)  # 45 x 60 in the file, stood upright, at 30 on the short side
    corner = matrix[0] @ [0, 0, 1]
    assert corner[:2] / corner[2] == pytest.approx([0, 45])  # orientation 6: the file's lower left is the upper left


def test_a_file_that_is_no_picture_is_named_or_replaced(folder):
    bad = folder / "class0" / "2.png"
    bad.write_bytes(b"not a picture")
    rows = rows_of_files(sorted(folder.rglob("*.png")), folder, Sizing(20, "squish"))
    with pytest.raises(DamagedRowError, match=r"class0/2\.png"):
        list(Loader(rows))
    loader = Loader(rows, damaged="replace", shuffle=False)
    (batch,) = loader
    assert batch.keys[1] == "class0/4.png"
    assert list(loader.set_aside) == ["class0/2.png"]
    assert batch[0].shape == (6, 20, 20, 3)


def test_a_state_fits_the_same_files_only(folder):
    paths = sorted(folder.rglob("*.png"))
    state = Loader(rows_of_files(paths, folder)).state_dict()
    Loader(rows_of_files(paths, folder)).load_state_dict(state)
    with pytest.raises(UsageError, match="its rows are not those of this loader"):
        Loader(rows_of_files(paths[1:] + paths[:1], folder)).load_state_dict(state)


def test_columns_must_fit():
    with pytest.raises(UsageError, match="keys must have one entry per item"):
        DecodedRows([1, 2], ["a"], lambda item: item)
