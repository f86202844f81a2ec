"""Decoding in a process that can be ended."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onewarp.errors import DecodeError, ResourceError
from onewarp.transforms.decoding import apart
from onewarp.transforms.decoding import decode as decoding
from onewarp.transforms.decoding.decode import Decoding, Picture, decode_pixels


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


@pytest.mark.parametrize(
    ("code", "answer", "error", "reason"),
    [
        (-signal.SIGPROF, "", DecodeError, "takes longer to decode than max_seconds, 2"),
        (-signal.SIGKILL, "", ResourceError, r"ended from outside \(signal 9\)"),
        (1, "", ResourceError, r"ended from outside \(code 1\)"),
        (-signal.SIGSEGV, "", DecodeError, r"kills the process that decodes it \(signal 11\)"),
        (0, "mem.", DecodeError, "needs more memory to decode than max_memory, 1,048,576 bytes"),
        (0, "no..is damaged: é", DecodeError, "is damaged: é"),
    ],
)
def test_how_a_process_ended_says_whether_the_file_or_the_machine_is_the_reason(code, answer, error, reason):
    with pytest.raises(error, match=reason):
        apart._read_answer(answer.encode(), code, Decoding(max_seconds=2, max_memory=1 << 20))


def test_a_file_that_is_refused_apart_has_the_reason_that_it_has_here(file_of, photo):
    data = file_of(photo())[:-40]
    with pytest.raises(DecodeError) as here:
        decode_pixels(data)
    with pytest.raises(DecodeError) as there:
        apart.decode_apart(data, None, Decoding())
    assert str(there.value) == str(here.value)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux alone")
def test_a_process_has_no_more_memory_than_the_file_may_take(file_of, photo):
    data = file_of(photo(1500, 1500))
    with pytest.raises(DecodeError, match="memory"):
        apart.decode_apart(data, None, Decoding(max_memory=1 << 20))


def test_what_is_known_of_a_picture_comes_back_whole():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    picture = Picture(pixels, (4, 5), 6, 2, b"a profile\0", "cut off: 3%")
    found = apart._unpack(memoryview(b"".join(map(bytes, apart._pack(picture)))))
    assert np.array_equal(found.raw, pixels)
    assert [getattr(found, name) for name in ("size", "orientation", "scale", "profile", "lacks")] == [
        (4, 5), 6, 2, b"a profile\0", "cut off: 3%"
    ]  # fmt: skip
