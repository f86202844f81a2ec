"""Decoding in a process that can be ended."""

import subprocess
import sys

import numpy as np
from PIL import Image

from onewarp.transforms.decoding import apart
from onewarp.transforms.decoding import decode as decoding
from onewarp.transforms.decoding.decode import Decoding, decode_pixels


def test_a_picture_that_may_take_long_is_decoded_apart_and_is_the_same(monkeypatch, file_of):
    rows = np.tile(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8), (10, 20, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file_of(Image.fromarray(rows), "PNG", exif=exif)
    here = decode_pixels(data)
    started = []
    monkeypatch.setattr(decoding, "decode_apart", lambda *asked: started.append(1) or apart.decode_apart(*asked))
    picture = decode_pixels(data, decoding=Decoding(max_seconds=0.79))  # of which two megapixels may take a quarter
    assert started == [1]
    assert np.array_equal(picture.raw, here.raw)
    assert (picture.size, picture.orientation, picture.scale) == (here.size, here.orientation, here.scale)


def test_the_process_that_decodes_apart_starts_without_torch():
    code = f"import sys, {apart.__name__}; print([name for name in ('torch', 'plum', 'kornia') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
