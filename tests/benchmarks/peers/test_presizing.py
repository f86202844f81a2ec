"""What peers make of a photo: the centre square, near to what float64 makes of it."""

import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks import presize
from onewarp.benchmarks.peers import presizing

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


@pytest.fixture
def photo(tmp_path):
    """A photo of 300 x 200 with a grain: a crop beside the middle shows, and pixels that are left out too."""
    y, x = np.mgrid[:200, :300] / 200
    pixels = np.stack([127 + 100 * np.sin(5 * x), 127 + 100 * np.cos(4 * y), 255 * x / 1.5], -1)
    pixels = (0.8 * pixels + np.random.default_rng(0).normal(0, 12, pixels.shape)).clip(0, 255)
    Image.fromarray(pixels.round().astype(np.uint8)).save(tmp_path / "photo.jpg", quality=98)
    return str(tmp_path / "photo.jpg")


@pytest.mark.parametrize("name", ["fastai", "torchvision", "cv2"])
@pytest.mark.parametrize("size", [64, 230])  # smaller than the square, and larger
def test_the_centre_square_at_the_size(photo, name, size):
    pytest.importorskip(name)
    found = getattr(presizing, name)()(photo, size)
    assert (found.shape, found.dtype) == ((size, size, 3), np.uint8)
    expected = presize.reference(photo, size)
    assert presize.psnr(found, expected) > 42
    assert np.abs(found[size // 2] - expected[size // 2]).max() < 6  # upright, too
