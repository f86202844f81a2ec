from onewarp.benchmarks.resuming import processes

RANKED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")


def test_one_process_is_of_no_group(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    (one,) = processes.group(1)
    assert not set(RANKED) & one.keys()
    assert one["OMP_NUM_THREADS"] == "1"


def test_processes_of_a_group_differ_by_their_ranks_alone():
    first, second, third = processes.group(3)
    assert [one["RANK"] for one in (first, second, third)] == [one["LOCAL_RANK"] for one in (first, second, third)]
    assert [one["RANK"] for one in (first, second, third)] == ["0", "1", "2"]
    assert first["WORLD_SIZE"] == "3"
    ranks = {"RANK": "1", "LOCAL_RANK": "1"}
    assert first | ranks == second
    assert 0 < int(first["MASTER_PORT"]) < 65536


def test_a_launcher_says_more_where_there_are_several():
    (one,) = processes.launch_environments(1)
    assert one["ACCELERATE_USE_CPU"] == "true"
    assert "TORCHELASTIC_RUN_ID" not in one
    assert [two["LOCAL_WORLD_SIZE"] for two in processes.launch_environments(2)] == ["2", "2"]
