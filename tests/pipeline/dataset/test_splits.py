from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import LabelError, UsageError
from onewarp.pipeline.dataset.splits import ColSplitter, FuncSplitter, GrandparentSplitter, HashSplitter, RandomSplitter


def test_the_chapters_split():
    train, valid = RandomSplitter(seed=42)(range(7390))
    assert (len(train), len(valid)) == (5912, 1478)
    assert valid[:5] == [4512, 4290, 5770, 706, 2200]
    assert sorted(train + valid) == list(range(7390))


def test_the_global_generator_is_neither_read_nor_seeded():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = RandomSplitter(seed=42)(range(100))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert RandomSplitter(seed=42)(range(100)) == first


@given(st.integers(0, 300), st.floats(0, 1), st.integers(0, 2**31))
def test_names_and_indices_agree(n, share, seed):
    splitter = RandomSplitter(share, seed)
    train, valid = splitter(range(n))
    names = splitter.names(range(n))
    assert {i for i, name in enumerate(names) if name == "valid"} == set(valid)
    assert len(valid) == int(share * n)
    assert len(train) + len(valid) == n


def test_a_hash_split_never_moves_an_item():
    keys = [f"cats/{i}.jpg" for i in range(2000)]
    sides = dict(zip(keys, HashSplitter(0.2).names(keys, keys), strict=True))
    others = keys[::-3]
    assert HashSplitter(0.2).names(others, others) == [sides[key] for key in others]
    assert 350 < sum(side == "valid" for side in sides.values()) < 450
    assert HashSplitter(0.2, seed=1).names(keys, keys) != list(sides.values())


def test_a_hash_split_is_the_same_wherever_the_source_lies():
    names = [f"{folder}/{i}.jpg" for folder in ("cat", "dog") for i in range(20)]
    here = HashSplitter(0.3)([Path("/here") / name for name in names])
    there = HashSplitter(0.3)([Path("/far/away") / name for name in names])
    assert here == there
    assert HashSplitter(0.3)(names, names) == here


def test_grandparents():
    items = [Path(f"root/{folder}/cat/1.jpg") for folder in ("train", "valid", "test", "val")]
    assert GrandparentSplitter()(items) == ([0], [1])
    assert GrandparentSplitter(valid_name=("valid", "val"))(items) == ([0], [1, 3])
    assert GrandparentSplitter().names(items) == ["train", "valid", None, None]
    with pytest.raises(UsageError, match="rename the folders"):
        GrandparentSplitter("a", "b")(items)


def test_functions_and_columns():
    assert FuncSplitter(lambda n: n > 2)([1, 2, 3, 4]) == ([0, 1], [2, 3])
    assert ColSplitter()([{"is_valid": True}, {"is_valid": 0}, {"is_valid": "True"}]) == ([1], [0, 2])
    assert ColSplitter("fold", on=(1, 2))([{"fold": 0}, {"fold": 1}, {"fold": 2}]) == ([0], [1, 2])
    assert ColSplitter("s").names([{"s": "train"}, {"s": "test"}, {"s": None}]) == ["train", "test", None]
    with pytest.raises(LabelError, match=r"true, false or a name, but got 7"):
        ColSplitter("fold")([{"fold": 7}])


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_from_0_to_1(share):
    for splitter in (RandomSplitter, HashSplitter):
        with pytest.raises(UsageError, match="share from 0 to 1"):
            splitter(share)
