"""Each peer renders the maps that it says it has composed: by its own convention of where pixels lie."""

from dataclasses import replace

import numpy as np
import pytest

from onewarp.benchmarks import quality
from onewarp.benchmarks.measuring import homographies
from onewarp.benchmarks.peers import chains
from onewarp.benchmarks.spline_truth import Spline, psnr

pytest.importorskip("scipy", reason="the truth is scipy's spline")
pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own


@pytest.fixture(scope="module")
def chain():
    """One with all four operations and a crop; its third key draws a flip too."""
    (found,) = [one for one in quality.draw_chains(8, 96) if np.allclose(one.operations[1], np.diag([-1.0, 1, 1]))][:1]
    return replace(found, size=64)


@pytest.mark.parametrize("name", chains.PEERS)
def test_a_peer_renders_what_it_means_and_not_what_lies_a_pixel_beside(wave, chain, name):
    peer = chains.PEERS[name]
    pytest.importorskip(peer.package)
    picture, maps = peer.render(wave, chain)
    assert picture.shape == (64, 64, 3)
    kept = homographies.inside(maps, 96, 64)
    assert kept.sum() > 500
    beside = homographies.compose(maps) @ np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1.0]])
    right, wrong = (psnr(picture, Spline(wave).under(m, 64, 4), kept) for m in (homographies.compose(maps), beside))
    assert right > 34
    assert right > wrong + 8


def test_a_crop_is_the_last_map_of_a_chain():
    chain = chains.Chain((np.eye(3),), (10, 20, 40), 20)
    same, crop = chain.homographies(100)
    np.testing.assert_allclose(same, np.eye(3))
    np.testing.assert_allclose(crop @ [0, 0, 1], [10, 20, 1])
    np.testing.assert_allclose(crop @ [20, 20, 1], [50, 60, 1])


def test_pictures_and_batches_are_turned_into_each_other():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    batch = chains.to_planar(image)
    assert batch.shape == (1, 3, 2, 4)
    assert np.array_equal(chains.to_interleaved(batch), image)
    taken = chains.take_crop(batch, chains.Chain((), (1, 0, 2), 2))
    assert np.array_equal(chains.to_interleaved(taken), image[0:2, 1:3])
