import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from onewarp.errors import DecodeError
from onewarp.transforms.decoding import apart
from onewarp.transforms.decoding import decode as decoding
from onewarp.transforms.decoding.cost import turn, worker_share
from onewarp.transforms.decoding.decode import Decoding, decode_pixels, upright_size


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_memory_is_bounded_from_the_header_also_while_only_a_size_is_asked_for(kind):
    data = _file(Image.new("L", (640, 480)), kind)
    tight = Decoding(max_memory=100_000)
    for ask in (lambda: decode_pixels(data, decoding=tight), lambda: upright_size(data, tight)):
        with pytest.raises(DecodeError, match=r"bytes of memory to decode, and max_memory is 100,000"):
            ask()
    assert upright_size(data, Decoding(max_memory=64 << 20)) == (480, 640)


def test_only_a_size_is_asked_for_and_no_pixel_is_decoded():
    """A PNG whose stream is damaged has a size, as long as its chunks are whole; its pixels are refused."""
    data = _file(Image.new("RGB", (40_000, 4)), "PNG")
    assert upright_size(data) == (4, 40_000)
    with pytest.raises(DecodeError, match="max_pixels is 1,000"):
        upright_size(data, Decoding(max_pixels=1000))


def test_files_beyond_a_workers_share_are_taken_one_at_a_time():
    at_once, most = 0, 0
    lock = threading.Lock()

    def work(needed: int) -> None:
        nonlocal at_once, most
        for _ in range(20):
            with turn(needed, share=10):
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                with lock:
                    at_once -= 1

    threads = [threading.Thread(target=work, args=(11,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    with turn(11, share=10), turn(10, share=10), turn(11, share=None):  # who needs less, or has no share, never waits
        pass


@pytest.mark.parametrize("workers", [1, 2, 48])
def test_all_shares_and_one_large_file_fit_into_the_memory(workers):
    assert workers * worker_share(8 << 30, workers, 2 << 30) + (2 << 30) <= 8 << 30


def test_a_picture_that_may_take_long_is_decoded_apart_and_is_the_same(monkeypatch):
    rows = np.tile(np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8), (10, 20, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _file(Image.fromarray(rows), "PNG", exif=exif)
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
