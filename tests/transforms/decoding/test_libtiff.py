"""What libtiff says of a file is a refusal."""

import contextlib
import io
import threading

import pytest
from PIL import Image, features

from onewarp.errors import DecodeError
from onewarp.transforms.decoding import libtiff
from onewarp.transforms.decoding.decode import decode_pixels


def test_libtiff_says_by_a_refusal_what_it_would_print(capfd, file_of, photo):
    if not features.check("libtiff"):
        pytest.skip("this Pillow was built without libtiff")
    whole = file_of(photo().convert("1"), "TIFF", compression="group4")
    damaged = whole[:20] + bytes(40) + whole[60:]
    with pytest.raises(DecodeError, match=r"is a damaged TIFF: \w+|cannot be decoded whole: Fax4Decode"):
        decode_pixels(damaged)
    assert capfd.readouterr() == ("", "")


def tiff(photo, **options):
    stream = io.BytesIO()
    photo(40, 60).save(stream, "TIFF", **options)
    return stream.getvalue()


needs_libtiff = pytest.mark.skipif(libtiff._library() is None, reason="this Pillow has no libtiff of 4.5 or later")


@needs_libtiff
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_of_a_whole_file_it_says_nothing(photo, compression):
    assert libtiff.check(tiff(photo, compression=compression), True, 1 << 20) is None


@needs_libtiff
def test_what_it_says_first_of_a_damaged_one_is_the_reason(photo):
    data = tiff(photo, compression="packbits")
    assert libtiff.check(b"II*\0" + bytes(20), True, 1 << 20)
    assert libtiff.check(b"no TIFF at all", True, 1 << 20)
    place = data.index(b"\x11\x01\x04\0")  # where the strips begin: beyond the file
    beyond = data[: place + 8] + b"\xff\xff\xff\x00" + data[place + 12 :]
    assert libtiff.check(beyond, False, 1 << 20) is None  # of whose directories nothing is wrong
    assert libtiff.check(beyond, True, 1 << 20)


@needs_libtiff
def test_no_more_bytes_are_held_than_are_allowed(photo):
    said = libtiff.check(tiff(photo, compression="raw"), True, 1000)
    assert said.startswith("a strip of ")


@needs_libtiff
def test_a_thread_hears_its_own_errors_and_what_others_say_goes_where_it_went(photo, capfd):
    damaged = bytearray(tiff(photo, compression="tiff_lzw"))
    damaged[8:40] = bytes(32)
    heard = []

    def decode():
        with libtiff.listening() as said, contextlib.suppress(OSError):
            Image.open(io.BytesIO(damaged)).load()
        heard.append(list(said))

    with libtiff.listening() as mine:
        thread = threading.Thread(target=decode)
        thread.start()
        thread.join()
    assert mine == []
    assert len(heard[0]) >= 1
    assert capfd.readouterr() == ("", "")
    with contextlib.suppress(OSError):
        Image.open(io.BytesIO(damaged)).load()  # where nobody listens
    assert heard[0][0] in capfd.readouterr().err
