"""What is drawn on a GPU, as far as the host decides it: what is refused, what stays, and what is worked out late."""

import numpy as np
import pytest
import torch

pytest.importorskip("triton")

from onewarp.errors import UsageError
from onewarp.transforms import Flip, MixUp, Packed, Resize, Rotate, TensorImage, Zoom, fuse
from onewarp.transforms.draw import hash_keys, stream_key
from onewarp.transforms.gpu_planner import GpuAugment, GpuPlanner, LazyPlan, place_on

SIZES = np.array([[30, 40], [50, 20]])
KEYS = ["a", "b"]


def blur(x: TensorImage):
    return x


def test_what_the_host_has_to_decide_is_refused_with_the_reason_or_stays_there():
    own = fuse([Rotate(draw=lambda draw: draw.uniform(1)), Resize(8)])
    with pytest.raises(UsageError, match=r"cannot be drawn on cuda:0: Rotate is decided on the host: its `draw` is a"):
        GpuPlanner.of(own, "cuda:0", "train")
    assert place_on(own, "cpu", "train") is own
    barrier = fuse([Resize(8), blur, Rotate()])
    with pytest.raises(UsageError, match="it is more than one resampling, or has a barrier: warp, barrier, warp"):
        GpuPlanner.of(barrier, "cpu", "train")
    assert isinstance(place_on(own, "cpu", "valid"), GpuAugment)  # where the function does not draw


def test_keys_and_streams_are_the_hosts_bits():
    planner = GpuPlanner.of(fuse([Resize(8), Rotate()]), "cpu", "train")
    hashes = planner.hashes([*KEYS, -1], 3)
    assert hashes.dtype == torch.int64
    assert hashes.numpy().view(np.uint64).tolist() == hash_keys([*KEYS, -1]).tolist()
    assert planner.stream(7, 3).tolist() == list(stream_key(7, 3))


def test_what_does_not_fit_the_batch_is_refused_before_a_launch():
    planner = GpuPlanner.of(fuse([Resize(8)]), "cpu", "train")
    images = torch.zeros(2, 9, 9, 3, dtype=torch.uint8)
    good = planner.hashes(KEYS, 2), planner.stream(0, 0)
    for hashes, stream in ((good[0][:1], good[1]), (good[0].int(), good[1]), (good[0], good[1][:1])):
        with pytest.raises(UsageError, match=r"hashes must be int64 \[2\] and stream int64 \[2\], but got"):
            planner.plan(images, hashes, stream)
    packed = Packed.of([np.zeros((4, 5, 3), np.uint8), np.zeros((6, 5, 3), np.uint8)])
    without_size = GpuPlanner.of(fuse([Flip()]), "cpu", "train")
    with pytest.raises(UsageError, match=r"add Resize\(n\)"):
        without_size.plan(packed, *good)


def test_a_plan_is_worked_out_on_the_host_when_targets_ask_for_it_and_is_the_hosts():
    fused = fuse([Resize((24, 32)), Rotate(30, p=1), Zoom(1.5, 2.0, p=1)])
    placed = place_on(fused, "cpu", "train")
    plan, expected = placed.plan(SIZES, KEYS, 1, 2, "train"), fused.plan(SIZES, KEYS, 1, 2, "train")
    assert isinstance(plan, LazyPlan)
    assert "host" not in vars(plan)  # nothing is decided yet
    points = [torch.tensor([[3.0, 4.0]]), torch.tensor([[5.0, 6.0]])]
    boxes = [torch.tensor([[3.0, 4.0, 9.0, 9.0]])] * 2
    masks = [torch.arange(h * w).reshape(h, w) for h, w in SIZES]
    assert np.array_equal(plan.matrix, expected.matrix)
    for moved, there in (
        (placed.points(points, plan), fused.points(points, expected)),
        (placed.boxes(boxes, plan), fused.boxes(boxes, expected)),
    ):
        assert all(torch.equal(a, b) for a, b in zip(moved, there, strict=True))
    assert torch.equal(placed.masks(masks, plan), fused.masks(masks, expected))


def test_a_batch_is_mixed_as_on_the_host():
    fused = fuse([Resize(8), MixUp(classes=2)])
    placed = place_on(fused, "cpu", "train")
    assert placed.mixes == fused.mixes
    x, y = torch.rand(2, 3, 8, 8), torch.tensor([0, 1])
    found, expected = placed.mix(x, y, KEYS, 1, 2), fused.mix(x, y, KEYS, 1, 2)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
