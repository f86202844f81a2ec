import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.decoding.decode import Picture, decode_pixels
from onewarp.transforms.decoding.resizing import Sizing, resize


def triangle(length: int, size: int, begin: float, span: float) -> np.ndarray:
    """float64[size, length]: what each of `length` pixels gives to each of `size` over `begin .. begin + span`."""
    step = span / size
    centres = begin + (np.arange(size) + 0.5) * step
    distance = (np.arange(length) + 0.5)[None] - centres[:, None]
    weights = np.clip(1 - np.abs(distance) / max(step, 1), 0, None)
    return weights / weights.sum(1, keepdims=True)


def _picture(height: int, width: int, orientation: int = 1) -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Picture(pixels, (height, width), orientation)


@pytest.mark.parametrize(
    ("sizing", "size", "expected"),
    [
        (Sizing(460), (375, 500), (375, 500)),
        (Sizing(460, enlarge=True), (375, 500), (460, 613)),
        (Sizing(128), (375, 500), (128, 171)),
        (Sizing(128), (500, 375), (171, 128)),
        (Sizing(4), (1000, 3), (1000, 3)),
        (Sizing(2), (3, 1000), (2, 667)),
        (Sizing(224, "crop"), (100, 500), (224, 224)),
    ],
)
def test_sizes(sizing, size, expected):
    assert sizing.size_for(*size) == expected
    assert resize(_picture(*size), sizing)[0].shape == (*expected, 3)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 40),
    st.sampled_from([None, "crop", "squish", "pad"]),
    st.integers(1, 8),
    st.booleans(),
)
@settings(deadline=None)
def test_the_size_is_what_was_promised_and_the_matrix_stays_inside_the_file(h, w, size, square, orientation, enlarge):
    sizing = Sizing(size, square, enlarge)
    pixels, matrix = resize(_picture(h, w, orientation), sizing)
    upright = (h, w) if orientation < 5 else (w, h)
    assert pixels.shape == (*sizing.size_for(*upright), 3)
    assert pixels.flags.c_contiguous
    corners = np.array([[0, 0, 1], [pixels.shape[1], pixels.shape[0], 1.0]]).T
    x, y, one = matrix @ corners
    assert np.all(one == 1)
    if square != "pad":
        assert x.min() >= -1e-9
        assert y.min() >= -1e-9
        assert x.max() <= w + 1e-9
        assert y.max() <= h + 1e-9
    if square is None:
        assert sorted(x) == pytest.approx([0, w])
        assert sorted(y) == pytest.approx([0, h])


@pytest.mark.parametrize("size", [(60, 90), (31, 17), (460, 613)])
def test_resampling_is_the_triangle_filter(size):
    picture = _picture(101, 150)
    tall, wide = picture.size
    pixels, _ = resize(picture, Sizing(max(size), "squish"))
    rows, columns = triangle(tall, max(size), 0, tall), triangle(wide, max(size), 0, wide)
    expected = np.einsum("ih,hwc,jw->ijc", rows, picture.pixels.astype(float), columns, optimize=True)
    assert np.abs(pixels - expected).max() <= 1.6  # two passes, each rounded to a byte


def test_a_picture_that_ends_inside_a_decoded_pixel_is_placed_exactly():
    """1001 columns at a scale of 4 are 251 decoded pixels, of which the picture covers 250.25."""
    pixels = np.random.default_rng(1).integers(0, 256, (250, 251, 3), np.uint8)
    small, matrix = resize(Picture(pixels, (1000, 1001), 1, scale=4), Sizing(100))
    assert small.shape == (100, 100, 3)
    assert (matrix @ [100, 100, 1])[:2] == pytest.approx([1001, 1000])
    rows, columns = triangle(250, 100, 0, 250), triangle(251, 100, 0, 250.25)
    expected = np.einsum("ih,hwc,jw->ijc", rows, pixels.astype(float), columns, optimize=True)
    assert np.abs(small - expected).max() <= 1.6


@pytest.mark.parametrize("square", [None, "crop", "squish", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_last_is_the_same_as_turning_first(square, orientation):
    picture = _picture(41, 60, orientation)
    turned = Picture(np.ascontiguousarray(picture.upright), picture.upright.shape[:2], 1)
    late, matrix = resize(picture, Sizing(32, square))
    early, upright = resize(turned, Sizing(32, square))
    assert np.abs(late.astype(int) - early).max() <= 1
    assert matrix == pytest.approx(picture.matrix @ upright)


@pytest.mark.parametrize("square", [None, "crop", "squish", "pad"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_the_matrix_finds_a_spot_of_the_file(square, orientation):
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[140:160, 180:200] = 255
    small, matrix = resize(Picture(pixels, (300, 400), orientation), Sizing(100, square))
    weights = small[..., 0].astype(float)
    y, x = (np.average(axis, weights=weights) + 0.5 for axis in np.mgrid[: small.shape[0], : small.shape[1]])
    assert (matrix @ [x, y, 1])[:2] == pytest.approx([190, 150], abs=0.3)


def test_pad_borders_are_black_and_centred():
    small, _ = resize(Picture(np.full((50, 100, 3), 255, np.uint8), (50, 100), 1), Sizing(40, "pad"))
    assert small[10:30].min() == 255
    assert small[:10].max() == small[30:].max() == 0


@pytest.mark.parametrize("kind", ["Landscape", "Portrait"])
@pytest.mark.parametrize("square", [None, "crop", "pad"])
def test_photos_of_all_orientations_are_alike_at_their_size(shared, kind, square):
    """Each shows its orientation as a numeral in the middle, which is left out; number 0 is another rendering."""
    folder = shared / "odd" / "exif_orientation"
    sizing = Sizing(460, square)
    pictures = [resize(decode_pixels(folder / f"{kind}_{i}.jpg", 460), sizing)[0].astype(float) for i in range(1, 9)]
    for orientation, picture in enumerate(pictures[1:], 2):
        error = (picture - pictures[0]) ** 2
        h, w = error.shape[:2]
        error[h * 38 // 100 : h * 62 // 100, w * 38 // 100 : w * 62 // 100] = np.nan
        assert 10 * np.log10(255**2 / np.nanmean(error)) >= 40, orientation


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": -3}, {"size": 2.5}, {"square": "stretch"}])
def test_settings_that_make_no_size_are_refused(wrong):
    with pytest.raises(UsageError, match="must be"):
        Sizing(**wrong)
