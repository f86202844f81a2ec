"""The codes of baseline JPEGs, walked: every file of libjpeg's passes, and whatever libjpeg would warn of does not."""

import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onewarp.errors import DecodeError
from onewarp.transforms.decoding.jpeg_entropy import check


def jpeg(seed=0, size=(40, 24), mode="RGB", **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", **{"quality": 60, **options})
    return stream.getvalue()


def ticked(data):
    """How often the walk has called for the time."""
    ticks = []
    check(data, lambda: ticks.append(1))
    return len(ticks)


@given(
    st.integers(0, 99),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.sampled_from([0, 1, 2, "4:1:1"]),
    st.integers(5, 100),
    st.booleans(),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_a_whole_file_passes_whatever_its_subsampling_tables_and_restarts(
    seed, size, mode, subsampling, quality, optimize, restarts
):
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    data = jpeg(seed, size, mode, quality=quality, optimize=optimize, restart_marker_blocks=restarts, **options)
    assert ticked(data) >= 1


def test_the_time_is_asked_for_at_each_row_of_units():
    assert ticked(jpeg(size=(40, 64), subsampling=0)) == 8
    assert ticked(jpeg(size=(40, 64), subsampling=2)) == 4
    assert ticked(jpeg(size=(40, 64), mode="L")) == 8

    def late():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        check(jpeg(), late)


BASE = jpeg(subsampling=2, restart_marker_blocks=2)


def warned_of(data):
    """Whether libjpeg warns of a file, or fails."""
    try:
        simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError:
        return True
    return False


@given(st.integers(BASE.index(b"\xff\xda") + 14, len(BASE) - 3), st.integers(0, 255))
@settings(deadline=None, max_examples=250)
def test_damaged_codes_are_refused_wherever_libjpeg_warns(place, value):
    damaged = BASE[:place] + bytes([value]) + BASE[place + 1 :]
    if warned_of(damaged):
        with pytest.raises(DecodeError):
            check(damaged, lambda: None)


def test_every_cut_is_found():
    for end in range(2, len(BASE) - 1):
        with pytest.raises(DecodeError):
            check(BASE[:end], lambda: None)


def changed(place, new):
    return BASE[:place] + new + BASE[place + len(new) :]


HEADER, TABLES, SCAN = (BASE.index(mark) for mark in (b"\xff\xc0", b"\xff\xc4", b"\xff\xda"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg(progressive=True), "not baseline: its codes are not checked"),
        (changed(HEADER + 4, b"\x0c"), "its header is broken"),  # 12 bits
        (changed(HEADER + 5, b"\0\0"), "its header is broken"),  # no rows
        (changed(HEADER + 11, b"\x50"), "its header is broken"),  # 5 by 0
        (changed(BASE.index(b"JFIF") + 5, b"\x09"), "its version of JFIF is not known"),
        (changed(SCAN + 5, b"\x09"), "a scan asks for what there is not"),
        (BASE[:HEADER] + BASE[HEADER + 19 :], "it has a scan before its header"),
        (changed(TABLES + 5, b"\x05"), "a table has more codes than there are"),
        (BASE.replace(b"\xff\xd0", b"\xff\xd3", 1), "a restart is missing"),
        (BASE[:-2] + b"ab" + BASE[-2:], "bytes follow its codes"),
        (BASE[:2] + b"\0" + BASE[2:], "bytes stand between its segments"),
        (BASE[:SCAN] + b"\xff\xd9", "components are missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(data, reason):
    with pytest.raises(DecodeError, match=reason):
        check(data, lambda: None)
