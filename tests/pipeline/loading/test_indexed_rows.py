"""What is the same for all rows that an index finds."""

import numpy as np
import pytest

from onewarp.errors import UsageError
from onewarp.pipeline import Cache, presize
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.loading.indexed_rows import content_fingerprint


@pytest.fixture
def stored(pictures, tmp_path):
    presize(pictures, tmp_path / "cache", 24, label="parent", split="random:0.25:1", encoding="raw")
    return Cache.open(tmp_path / "cache")


def test_rows_are_found_by_split_number_and_key(stored):
    rows = CacheRows(stored)
    assert len(rows) == 12
    keys = rows.keys(np.arange(12))
    assert [rows.find(key) for key in keys] == list(range(12))
    parts = [rows.select(split).rows().tolist() for split in ("train", "valid")]
    assert sorted(parts[0] + parts[1]) == list(range(12))
    assert rows.select(None) is None
    assert len(set(rows.key_hashes(np.arange(12)).tolist())) == 12


def test_a_setting_that_is_none_is_refused(stored):
    with pytest.raises(UsageError, match="checking must be 'first', 'always' or 'never', but got 'often'"):
        CacheRows(stored, checking="often")
    with pytest.raises(UsageError, match=r"targets must be some of the cache's \(label\), but got 'size'"):
        CacheRows(stored, targets=["size"])


def test_targets_are_those_that_are_asked_for(stored):
    assert list(CacheRows(stored).targets(np.arange(2))) == ["label"]
    assert CacheRows(stored, targets=[]).targets(np.arange(2)) == {}


@pytest.mark.parametrize(("checking", "expected"), [("first", [3, 1]), ("always", [3, 3]), ("never", [0, 0])])
def test_checksums_are_compared_as_often_as_is_said(stored, checking, expected):
    rows = CacheRows(stored, checking=checking)

    def compare(first):
        compared = []
        rows._verify(np.arange(first, first + 3), lambda i: compared.append(i) or stored.bytes_of(first + i))
        return len(compared)

    counts = [compare(0), compare(1)]
    assert counts == expected


def test_a_fingerprint_of_content_changes_with_the_settings_the_parts_and_their_order():
    names = [("a", ["b", "c"]), ("a", ["c", "b"]), ("a", ["b"]), ("x", ["b", "c"])]
    assert len({content_fingerprint(*name) for name in names}) == 4
