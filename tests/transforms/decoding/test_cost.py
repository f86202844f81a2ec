import threading

import pytest
from PIL import Image

from onewarp.errors import DecodeError
from onewarp.transforms.decoding.cost import turn, worker_share
from onewarp.transforms.decoding.decode import Decoding, decode_pixels, upright_size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_memory_is_bounded_from_the_header_also_while_only_a_size_is_asked_for(kind, file_of):
    data = file_of(Image.new("L", (640, 480)), kind)
    tight = Decoding(max_memory=100_000)
    for ask in (lambda: decode_pixels(data, decoding=tight), lambda: upright_size(data, tight)):
        with pytest.raises(DecodeError, match=r"bytes of memory to decode, and max_memory is 100,000"):
            ask()
    assert upright_size(data, Decoding(max_memory=64 << 20)) == (480, 640)


def test_only_a_size_is_asked_for_and_no_pixel_is_decoded(file_of):
    """A PNG whose stream is damaged has a size, as long as its chunks are whole; its pixels are refused."""
    data = file_of(Image.new("RGB", (40_000, 4)), "PNG")
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
