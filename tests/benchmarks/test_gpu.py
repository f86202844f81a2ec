"""The parts of a measurement on a GPU that need none: maps, checks, figures, and in which order all are timed."""

import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks import gpu
from onewarp.benchmarks.measuring.report import Report
from onewarp.transforms.warp import OutSpec
from onewarp.transforms.warp.packed import Packed


@pytest.fixture
def setting():
    return gpu.Setting(torch.device("cpu"), True, 48, 24, 2, 3)


def test_maps_are_about_the_middle_and_the_same_for_a_seed():
    maps = gpu.homographies(50, (40, 60), (20, 30), 7)
    assert torch.equal(maps, gpu.homographies(50, (40, 60), (20, 30), 7))
    assert not torch.equal(maps, gpu.homographies(50, (40, 60), (20, 30), 8))
    middle = maps @ torch.tensor([15.0, 10.0, 1.0])
    torch.testing.assert_close(middle[:, :2] / middle[:, 2:], torch.tensor([[30.0, 20.0]]).repeat(50, 1))


@pytest.mark.parametrize(
    ("largest", "mean", "bound", "holds"),
    [
        (1 / 255, 1e-3, 1 / 255, True),
        (1.01 / 255, 0.0, 1 / 255, False),
        (0.0, 1.1e-3, 1 / 255, False),
        (1.4 / 255, 1e-3 + 0.2 / 255, 1.5 / 255, True),  # bytes: half a level more in all, a quarter in the mean
        (1.4 / 255, 1e-3 + 0.3 / 255, 1.5 / 255, False),
        (1e-5, 1e-5, 1e-5, True),
    ],
)
def test_a_check_holds_within_its_bound_and_in_the_mean(largest, mean, bound, holds):
    assert gpu.Check("a back end", largest, mean, bound).holds is holds


def test_a_back_end_is_held_to_the_reference_where_pixels_are_in_sight(monkeypatch):
    images = torch.randint(0, 256, (1, 20, 30, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    maps, spec = gpu.homographies(1, (20, 30), (12, 9), 3), OutSpec((12, 9))
    assert gpu.compare_to_reference("it", "reference", images, maps, spec).holds
    right = gpu.warp
    monkeypatch.setattr(gpu, "warp", lambda *a, **k: right(*a, **k) + 0.01)
    check = gpu.compare_to_reference("it", "reference", images, maps, spec)
    assert not check.holds
    assert check.largest == pytest.approx(0.01, abs=1e-4)


def test_a_figure_is_images_a_second():
    assert gpu.Figure("ours", 64, None, 500.0, 490.0, 510.0).rate == pytest.approx(128_000)


def test_packed_images_go_to_a_device_as_they_are():
    packed = Packed.of([torch.zeros(3, 4, 3, dtype=torch.uint8), torch.ones(2, 2, 3, dtype=torch.uint8)])
    moved = gpu.to_device(packed, torch.device("cpu"))
    assert torch.equal(moved.data, packed.data)
    assert moved.sizes.tolist() == [[3, 4], [2, 2]]


def test_all_of_a_group_are_timed_in_every_round_in_alternating_order(monkeypatch):
    """By a clock that says 1, 2, 3 ... microseconds for one, and ten times that for the other."""
    calls, counts = [], {"a": 0, "b": 0}

    def time_on_device(call, repeats):
        name = call()
        calls.append((name, repeats))
        counts[name] += 1
        return counts[name] * (10.0 if name == "b" else 1.0)

    monkeypatch.setattr(gpu, "time_on_device", time_on_device)
    monkeypatch.setattr(gpu, "ROUNDS", 3)
    a, b = gpu.measure_group([gpu.Contender(name, 64, lambda name=name: name) for name in "ab"])
    assert [name for name, _ in calls] == ["a", "a", "b", "b", "b", "a", "a", "b", "b", "a"]
    assert [repeats for _, repeats in calls[4:6]] == [100, 1000]  # 2 ms at least: 2 and 20 us were seen
    assert (a.lower, a.median, a.upper) == (3, 4, 5)
    assert (b.lower, b.median, b.upper) == (30, 40, 50)


def test_what_is_measured_is_not_measured_again_and_a_peer_that_fails_is_skipped(setting, tmp_path, monkeypatch):
    report = Report.open(tmp_path, gpu.machine(True), dry=True)
    batch = torch.zeros(3, 48, 48, 3, dtype=torch.uint8)
    monkeypatch.setattr(gpu, "pictures", lambda setting, photos: (batch, "noise"))
    monkeypatch.setitem(gpu.PEERS, "dali", ("a peer", lambda size, device: 1 / 0))
    assert gpu.measure(setting, "dali", None, report) == 0
    assert report.read()["skipped"] == {"dali": "ZeroDivisionError: division by zero"}
    monkeypatch.setitem(gpu.PEERS, "dali", ("a peer", lambda size, device: lambda x: x))
    contenders = [gpu.Contender("a peer", 3, lambda: None)]
    monkeypatch.setattr(gpu, "against_peer", lambda *_: contenders)
    assert gpu.measure(setting, "dali", None, report) == 0
    first = report.groups()["dali"]
    assert first["figures"] == [{"name": "a peer", "images": 3}]
    assert gpu.measure(setting, "dali", None, report) == 0
    assert report.groups()["dali"] == first
