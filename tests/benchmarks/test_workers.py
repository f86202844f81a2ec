from contextlib import ExitStack

from PIL import Image

from onewarp.benchmarks import workers


def test_a_pool_makes_the_parts_that_dask_makes(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.new("RGB", (60, 40), (80 * i, 0, 0)).save(tmp_path / "photos" / f"{i}.png")
    made = {}
    for way in (workers.by_dask, workers.by_pool):
        folder = tmp_path / way.__name__
        folder.mkdir()
        tasks = workers.tasks_of(tmp_path / "photos", folder, 150, 16)
        assert sum(len(task.entries) for task in tasks) == 150
        with ExitStack() as stack:
            peaks = way(stack, 1)(tasks)
        assert len(peaks) == len(tasks)
        assert min(one.memory for one in peaks) > 100e6  # torch alone
        made[way.__name__] = {path.name: path.read_bytes() for path in folder.glob("part-*")}
    assert len(made["by_dask"]) == len(tasks)
    assert made["by_dask"] == made["by_pool"]
