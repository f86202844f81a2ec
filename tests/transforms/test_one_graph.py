"""A model and the augmentation before it are compiled as one graph, which serves every plan made outside of it."""

import pytest
import torch

from onewarp.transforms import aug_transforms, fuse
from onewarp.transforms.colour import Gamma, Hue, Normalize, RandomErasing, Saturation, Solarize
from onewarp.transforms.geometry import Resize
from onewarp.transforms.gpu_planner import GpuPlanner
from onewarp.transforms.types import sizes_of
from onewarp.transforms.warp.packed import Packed

NORMALIZE = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
USUAL = [*aug_transforms(size=12, min_scale=0.75), NORMALIZE]
EVERY_STAGE_AND_TWO_SEGMENTS = [
    Resize(12),
    Saturation(0.5),
    Hue(0.3),
    Gamma(2.0),
    RandomErasing(p=1.0),
    Solarize(p=1.0),
    NORMALIZE,
]


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def held(step, model, backend, calls):
    """Compiled without a break, and once for all calls, it gives what it gives as it is, and the model's gradients."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(step, backend=backend, fullgraph=True)
    for arguments in calls:
        loss = compiled(*arguments)
        assert torch.allclose(loss, step(*arguments), atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    loss.backward()
    assert model.weight.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("recipe", "backend"),
    [(USUAL, "aot_eager"), (EVERY_STAGE_AND_TWO_SEGMENTS, "inductor")],
    ids=["usual-aot_eager", "every stage-inductor"],
)
def test_plans_of_the_host(recipe, backend):
    fused, model, images = fuse(recipe), torch.nn.Conv2d(3, 2, 3), noise(2, 20, 20, 3)

    def step(images, plan):
        return model(fused.images(images, plan)).mean()

    plans = [fused.plan(sizes_of(images), ["a", "b"], 0, epoch, "train") for epoch in range(3)]
    held(step, model, backend, [(images, plan) for plan in plans])


def test_plans_of_the_host_for_packed_images():
    fused, model = fuse(USUAL), torch.nn.Conv2d(3, 2, 3)

    def step(data, offsets, sizes, plan):
        return model(fused.images(Packed(data, offsets, sizes), plan)).mean()

    images = Packed.of([noise(20, 25, 3).numpy(), noise(24, 16, 3).numpy()])
    plan = fused.plan(sizes_of(images), ["a", "b"], 0, 0, "train")
    held(step, model, "aot_eager", [(images.data, images.offsets, images.sizes, plan)])


@pytest.mark.parametrize(
    ("recipe", "backend"),
    [(USUAL, "inductor"), (EVERY_STAGE_AND_TWO_SEGMENTS, "aot_eager")],
    ids=["usual-inductor", "every stage-aot_eager"],
)
def test_plans_of_the_device(recipe, backend):
    """The device is interpreted: what is compiled calls launches that it takes for a GPU's."""
    pytest.importorskip("triton")
    from onewarp.benchmarks.ptx import Interpreter

    with Interpreter("sm_90"):
        there = GpuPlanner.of(fuse(recipe), "cpu", "train")
        model, images = torch.nn.Conv2d(3, 2, 3), noise(2, 20, 20, 3)

        def step(images, plan):
            return model(there.images(images, plan)).mean()

        plans = [there.plan(images, there.hashes(["a", "b"], 2), there.stream(0, epoch)) for epoch in range(2)]
        held(step, model, backend, [(images, plan) for plan in plans])
