import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from onewarp.errors import DecodeError, UsageError
from onewarp.transforms.decoding.decode import Decoding, decode, decode_pixels
from onewarp.transforms.types import TensorImage

WEBP = ["WEBP"] if features.check("webp") else []  # pillow-simd is built with what headers there are


def test_decode_gives_a_typed_image_from_a_path_and_from_bytes(tmp_path, file_of, photo):
    (tmp_path / "a.png").write_bytes(file_of(photo()))
    image = decode(tmp_path / "a.png")
    assert isinstance(image, TensorImage)
    assert image.dtype.itemsize == 1
    assert tuple(image.shape) == (3, 96, 128)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(photo()))
    assert image.equal(decode((tmp_path / "a.png").read_bytes()))


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
def test_photos_come_upright_as_pillow_turns_them(shared, kind, psnr):
    files = sorted((shared / "odd" / "exif_orientation").glob(f"{kind}_*.jpg"))
    assert len(files) == 9
    for file in files:
        with Image.open(file) as image:
            turned = np.asarray(ImageOps.exif_transpose(image))
        assert psnr(turned, decode_pixels(file).upright) >= 45, file.name


def test_content_decides_and_not_the_name(pets):
    for name in ("Abyssinian_34.jpg", "Abyssinian_5.jpg"):  # a GIF, a PNG with transparency
        assert min(decode(pets / name).size_hw) > 100


def _first_rows(whole: bytes, share: float) -> tuple[int, str]:
    """How many rows of a cut file are those of the whole one, and what it is said to lack."""
    part = whole[: int(share * len(whole))]
    with pytest.raises(DecodeError, match=r"cut off|damaged"):
        decode_pixels(part)
    picture = decode_pixels(part, decoding=Decoding(truncated="accept"))
    differs = np.abs(picture.pixels.astype(int) - decode_pixels(whole).pixels).max((1, 2)) > 2
    return int(np.argmax(differs)) if differs.any() else 400, picture.lacks


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "PPM"])
def test_a_truncated_file_is_refused_or_accepted_with_what_there_is(kind, file_of, photo):
    rows, lacks = _first_rows(file_of(photo(400, 400), kind), 0.5)
    share = int(re.search(r"(\d+)% of its (rows|stream)", lacks).group(1)) / 100
    if kind != "BMP":  # whose rows begin at the bottom
        assert rows > 50
        assert share == pytest.approx(1 - rows / 400, abs=0.05)
    assert lacks.startswith("cut off: ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "is empty"), (b"<svg xmlns=''/>", "no known image format"), (b"\xff\xd8\xff\xe0broken", "header|decoded")],
)
def test_what_is_no_picture_is_refused_with_its_reason(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_pixels(data)


def test_wrong_use_is_told_from_a_bad_file(tmp_path, file_of, photo):
    with pytest.raises(UsageError, match=r"none\.jpg cannot be read: No such file"):
        decode(tmp_path / "none.jpg")
    with pytest.raises(UsageError, match="target must be"):
        decode(file_of(photo()), 0)
    for wrong in ({"truncated": "maybe"}, {"quality": 0.5}, {"max_pixels": 0}):
        with pytest.raises(UsageError):
            Decoding(**wrong)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_odd_file_that_pillow_decodes_is_decoded_and_the_others_have_a_reason(shared):
    def pillow(path: Path) -> bool:
        try:
            with Image.open(path) as image:
                image.load()
        except Exception:
            return False
        return True

    def ours(path: Path) -> str | None:
        try:
            decode_pixels(path, 460)
        except DecodeError as error:
            return str(error)
        return None

    files = sorted(file for file in (shared / "odd").rglob("*") if file.is_file())
    damaged = {  # of which djpeg warns, or bmptopnm
        *("fuzz-corpus__jpeg__re.jpg", "fuzz-corpus__jpeg__small-img.jpg", "test-images__bmp__pal8os2sp.bmp")
    }
    unchecked = {"test-images__jpeg__weird_sampling_2.jpeg"}  # progressive, and of no usual chroma subsampling
    cut = {"test-images__bmp__pal4rlecut.bmp", "test-images__bmp__pal8rlecut.bmp"}  # which old Pillows fill with black
    refused = {path: reason for path in files if (reason := ours(path)) is not None}
    assert {path.name for path in refused if pillow(path)} - cut == damaged | unchecked
    assert cut <= {path.name for path in refused}
    assert len(refused) > 10
    assert all(len(reason) > 8 for reason in refused.values())
