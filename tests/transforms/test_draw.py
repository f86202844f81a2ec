"""The draws: known answers, independence, and the contract that batches do not matter."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.transforms.draw import draw, draws, hash_key, hash_keys, philox


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # known answers of Random123 1.14, philox4x32 with 10 rounds
        ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF,) * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers(counter, key, expected):
    assert philox(np.array([counter], np.uint32), key)[0].tolist() == expected


@given(st.lists(st.text(), min_size=1, max_size=8), st.integers(0, 2**70), st.integers(0, 10**6))
def test_a_sample_draws_the_same_alone_and_in_any_batch(keys, seed, epoch):
    together = draw(seed, epoch, keys, "Rotate", 5).values
    alone = np.concatenate([draw(seed, epoch, [key], "Rotate", 5).values for key in keys])
    assert np.array_equal(together, alone)


def test_operations_drawn_together_equal_each_drawn_alone():
    keys = hash_keys(range(7))
    together = draws(3, 1, keys, {"Flip": 1, "Zoom": 6, "Warp": 4})
    assert all(
        np.array_equal(d.values, draw(3, 1, keys, name, d.values.shape[1]).values) for name, d in together.items()
    )


def test_seed_epoch_key_operation_and_number_all_matter():
    base = draw(0, 0, ["a"], "Flip", 1).values[0, 0]
    others = [
        draw(1, 0, ["a"], "Flip", 1),
        draw(0, 1, ["a"], "Flip", 1),
        draw(0, 0, ["b"], "Flip", 1),
        draw(0, 0, ["a"], "Zoom", 1),
    ]
    assert base not in [d.values[0, 0] for d in others]
    assert len(set(draw(0, 0, ["a"], "Flip", 64).values[0])) == 64


def test_uniform_numbers_are_exact_in_float32_and_spread_evenly():
    values = draw(0, 0, range(4096), "Flip", 4).values
    assert np.array_equal(values, values.astype(np.float32).astype(np.float64))
    counts = np.histogram(values, bins=64, range=(0, 1))[0]
    assert ((counts - 256) ** 2 / 256).sum() < 114  # chi-square, 63 degrees of freedom, p = 1e-4


def test_uniform_scales_and_chance_compares():
    d = draw(0, 0, range(1000), "Zoom", 2)
    assert (d.uniform(0, 2, 3) >= 2).all()
    assert (d.uniform(0, 2, 3) < 3).all()
    assert np.array_equal(d.chance(1, 0.25), d.uniform(1) < 0.25)


def test_no_global_generator_is_read_or_seeded():
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = draw(0, 0, ["a"], "Flip", 4).values
    torch.manual_seed(99)
    assert np.array_equal(first, draw(0, 0, ["a"], "Flip", 4).values)
    torch.set_rng_state(before)
    assert np.array_equal(state, np.random.get_state()[1])


def test_keys_hash_by_their_text():
    assert hash_key(12) == hash_key("12") == hash_key(b"12") != hash_key("13")
    hashes = hash_keys(["x", "y"])
    assert hash_keys(hashes) is hashes


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1.0), (1.5, 0), ("0", 0), (0, None)])
def test_a_seed_or_epoch_that_is_no_whole_number_is_refused(seed, epoch):
    draw(0, 1, ["a"], "Flip", 1)  # whose stream is kept, and must not be taken for that of 1.0
    with pytest.raises(UsageError, match="seed and epoch must be whole numbers"):
        draw(seed, epoch, ["a"], "Flip", 1)
    assert draw(np.int64(0), np.int32(1), ["a"], "Flip", 1).values == draw(0, 1, ["a"], "Flip", 1).values
