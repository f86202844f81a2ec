import pytest

from onewarp.benchmarks import quality
from onewarp.benchmarks.augment import ALONE, FUSED, PLAIN

pytest.importorskip("scipy", reason="the truth is scipy's spline")


def test_rows_for_every_contender(wave, monkeypatch):
    monkeypatch.setattr(quality, "SIZE", 48)
    rows = quality.chains(wave[None])
    level = {row["name"]: row["psnr"]["mean"] for row in rows if row["status"] == "measured"}
    assert {FUSED, PLAIN, ALONE} <= level.keys()
    assert {row["name"] for row in rows} >= set(quality.PEERS)  # who is absent is a row too
    assert level[FUSED] > level[ALONE]


def test_reductions_are_filtered(wave):
    rows = quality.reductions(wave[None])
    for setting in ("shrink 4", "anisotropy 6:1"):
        assert quality.level(rows, FUSED, setting) > quality.level(rows, quality.BILINEAR, setting) - 1
