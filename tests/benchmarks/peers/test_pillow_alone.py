"""Pillow as a program of its own: its pixels, and what it answers."""

import json
import subprocess
import sys

import numpy as np
import PIL
import pytest
from PIL import Image

from onewarp.benchmarks.peers import pillow_alone


@pytest.fixture
def photo(tmp_path):
    """Black on the left and on the right, and a square in the middle whose left half is grey, its right one white."""
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:50], pixels[:, 50:70] = 128, 255
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_the_centre_is_cropped_and_resized_in_one_call(photo):
    found = pillow_alone.presize(photo, 8)
    assert (found.shape, found.dtype) == ((8, 8, 3), np.uint8)
    assert found[4, :, 0].tolist()[1:3] == [128] * 2  # at the sides its filter reaches beyond the square
    assert found[4, :, 0].tolist()[5:7] == [255] * 2


def test_as_a_program_it_answers_each_round_and_leaves_its_pixels_where_it_is_asked_to(photo, tmp_path):
    pixels = tmp_path / "pixels.npy"
    rounds = [{"paths": [photo], "size": 8, "keep": None}, {"paths": [photo] * 2, "size": 8, "keep": str(pixels)}]
    words = "".join(json.dumps(one) + "\n" for one in rounds)
    program = [sys.executable, pillow_alone.__file__]
    run = subprocess.run(program, input=words, capture_output=True, text=True, check=True)
    first, *answers = (json.loads(line) for line in run.stdout.splitlines())
    assert first == {"version": PIL.__version__}
    assert [list(answer) for answer in answers] == [["seconds"]] * 2
    assert np.array_equal(np.load(pixels), np.stack([pillow_alone.presize(photo, 8)] * 2))
