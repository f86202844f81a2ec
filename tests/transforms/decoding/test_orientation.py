import numpy as np
import pytest
from PIL import Image, ImageOps

from onewarp.transforms.decoding.orientation import flips, swaps_axes, turn, turn_back, upright_to_file


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_as_pillow_does_and_back(orientation):
    pixels = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(turn(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(turn_back(turn(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_matrix_finds_every_pixel_of_the_file(orientation):
    height, width = 2, 5
    pixels = np.arange(height * width).reshape(height, width)
    upright = turn(pixels, orientation)
    matrix = upright_to_file(orientation, height, width)
    for y, x in np.ndindex(upright.shape):
        file_x, file_y, _ = matrix @ [x + 0.5, y + 0.5, 1]
        assert pixels[int(file_y), int(file_x)] == upright[y, x]


def test_what_is_swapped_and_flipped():
    assert [swaps_axes(o) for o in range(1, 9)] == [False] * 4 + [True] * 4
    assert flips(3) == (True, True)
    assert flips(6) == (True, False)
