from onewarp.benchmarks.growth import measure_opening, write_tiny
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.loading.loader import Loader


def test_a_tiny_cache_is_a_cache(tmp_path):
    write_tiny(tmp_path / "tiny", 1000, parts=3)
    cache = Cache.open(tmp_path / "tiny")
    row = cache.row(777)
    assert (row.key, row.label, row.pixels.shape) == ("000000777", "odd", (2, 2, 3))
    labels = [int(label) for _, y in Loader(cache, batch_size=64) for label in y]
    assert sorted(labels) == [0] * 500 + [1] * 500


def test_opening_costs_the_same_for_a_hundred_times_the_rows(tmp_path):
    for rows in (5_000, 500_000):
        write_tiny(tmp_path / str(rows), rows)
    few, many = measure_opening(tmp_path / "5000"), measure_opening(tmp_path / "500000")
    assert many["rows"] == 500_000
    for step in ("open", "loader"):
        assert many[step]["seconds"] < 0.5
        assert many[step]["megabytes"] - few[step]["megabytes"] < 4  # the index alone has 120 MB
