import numpy as np
import pytest
from PIL import Image

from onewarp.benchmarks.measuring import plot

ORANGE, BLUE = (255, 127, 14), (31, 119, 180)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def rows_of(picture, colour):
    """In each row of a picture, how many pixels have a colour."""
    return (picture == colour).all(-1).sum(1)


def test_the_longest_bar_is_at_the_top_and_ours_are_of_another_colour(tmp_path):
    named = [("a peer", 10.0), ("onewarp: fused", 100.0), ("another", 40.0)]
    path = plot.bars(named, "images/s", "a title", tmp_path / "bars.png")
    picture = read(path)
    assert picture.shape[1] == 9 * 120
    ours, theirs = rows_of(picture, ORANGE), rows_of(picture, BLUE)
    assert np.flatnonzero(ours).max() < np.flatnonzero(theirs).min()
    assert theirs.max() / ours.max() == pytest.approx(0.4, abs=0.01)
    assert theirs[np.flatnonzero(theirs)[-1]] / ours.max() == pytest.approx(0.1, abs=0.01)


def test_a_picture_is_as_high_as_it_has_bars_and_a_logarithm_brings_them_nearer(tmp_path):
    few, many = ([(str(i), 10.0**i) for i in range(count)] for count in (2, 6))
    sizes = [len(read(plot.bars(named, "s", "t", tmp_path / "b.png"))) for named in (few, many)]
    assert sizes[1] - sizes[0] == round(4 * 0.32 * 120)
    shares = []
    for logarithmic in (False, True):
        path = plot.bars([("one", 10.0), ("two", 1000.0)], "s", "t", tmp_path / "b.png", logarithmic)
        lengths = rows_of(read(path), BLUE)
        lower = lengths[np.flatnonzero(lengths)[-1]]
        shares.append(lower / lengths.max())
    assert shares[0] < 0.05 < shares[1]
