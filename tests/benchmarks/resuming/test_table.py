from onewarp.benchmarks.resuming.table import table
from onewarp.benchmarks.resuming.traces import COLUMNS


def test_each_kind_of_row_has_a_table_of_its_own():
    equal = dict(zip(COLUMNS, (13, 14, 14, 12), strict=True))
    rows = [
        {"name": "a", "setting": "fit, alone", "status": "measured", "resumptions": 14, "equal": equal},
        {"name": "a", "setting": "2 ranks", "status": "measured", "cases": 4, "repeats": 62},
        {"name": "a", "setting": "by hand", "status": "measured", "seconds": 1.5, "resumed": {"1": True, "3": False}},
        {"name": "b", "setting": "alone", "status": "failed", "reason": "one | two\n three"},
    ]
    assert table(rows).splitlines() == [
        "| trainer | run | resumed | batches | steps | rates | weights |",
        "|---|---|--:|--:|--:|--:|--:|",
        "| a | fit, alone | 14 | 13 | 14 | 14 | 12 |",
        "| b | alone | **failed**: one / two three | | | | |",
        "",
        "| trainer | each sample once, over | cases | repeats |",
        "|---|---|--:|--:|",
        "| a | 2 ranks | 4 | 62 |",
        "",
        "| trainer | a rank killed | others end after | resumed on |",
        "|---|---|--:|---|",
        "| a | by hand | 1.5 s | 1: equal, 3: not |",
    ]
