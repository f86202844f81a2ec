"""Parameters drawn by Triton held to the host's: numbers to the bit, matrices to rounding."""

import os

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from onewarp.errors import UsageError
from onewarp.pipeline.loading.devices import HostDevice
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows, Targets
from onewarp.transforms import aug_transforms, colour_operations, fuse, geometric_operations
from onewarp.transforms.colour import Brightness, Normalize
from onewarp.transforms.draw import hash_keys, philox, stream_key
from onewarp.transforms.geometry import Affine, Dihedral, Homography, RandomResizedCrop, Resize, Rotate, Warp, Zoom
from onewarp.transforms.gpu_planner import GpuPlanner, LazyPlan, place_on
from onewarp.transforms.operations import GeometricOperation, Operation, between
from onewarp.transforms.plan import Stage
from onewarp.transforms.policies import pick_one
from onewarp.transforms.types import sizes_of
from onewarp.transforms.warp.gpu_draws import four_words, unit
from onewarp.transforms.warp.packed import Packed

# A thread finds all that an operation may do, and takes what its own does: the rest may be anything.
pytestmark = pytest.mark.filterwarnings("ignore:(divide by zero|overflow|invalid value) encountered:RuntimeWarning")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NORMALIZE = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@triton.jit
def numbers_kernel(stream, keys, word, flags, target):
    i, block = tl.program_id(0), tl.arange(0, 2)
    words = four_words(stream, tl.load(keys + i), word, flags, block)
    for k in tl.static_range(4):
        tl.store(target + 8 * i + 4 * block + k, unit(words[k]))


def test_uniform_numbers_are_the_hosts_to_the_bit():
    keys = hash_keys([f"photo {i}.jpg" for i in range(16)] + [0, -1])
    words = np.array([0x9ABCDEF0], np.uint32).view(np.int32)
    target = torch.empty(len(keys), 8, device=DEVICE)
    stream = torch.tensor(stream_key(7, 3), device=DEVICE)
    hashes = torch.from_numpy(keys.view(np.int64)).to(DEVICE)
    numbers_kernel[(len(keys),)](stream, hashes, int(words[0]), 0, target)
    counters = np.zeros((len(keys), 2, 4), np.uint32)
    counters[..., 0], counters[..., 1] = (keys & 0xFFFFFFFF)[:, None], (keys >> np.uint64(32))[:, None]
    counters[..., 2], counters[..., 3] = 0x9ABCDEF0, [[0, 1]]
    expected = (philox(counters.reshape(-1, 4), stream_key(7, 3)) >> 8).astype(np.float64) * 2.0**-24
    assert np.array_equal(target.cpu().double().numpy(), expected.reshape(-1, 8))


def images_and_keys(count: int = 6) -> tuple[Packed, list[str]]:
    sizes = [(300, 400), (400, 300), (333, 500), (100, 120), (64, 65), (64, 64)] * -(-count // 6)
    return Packed.of([np.zeros((h, w, 3), np.uint8) for h, w in sizes[:count]]), [f"{i}.jpg" for i in range(count)]


def sent(packed: Packed) -> Packed:
    return Packed(packed.data.to(DEVICE), packed.offsets.to(DEVICE), packed.sizes.to(DEVICE))


def beside(found: torch.Tensor, expected) -> float:
    """The largest difference, beside the largest number."""
    expected = torch.as_tensor(np.array(expected))
    return float((found.cpu().double() - expected).abs().max() / expected.abs().max().clamp(min=1))


def landing(matrix, size: tuple[int, int]) -> torch.Tensor:
    """Where the corners of the output fall, in pixels of the source: `float64[N, 2, 4]`."""
    h, w = size
    corners = torch.tensor([[0.0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], dtype=torch.float64).T
    there = torch.as_tensor(matrix).cpu().double() @ corners
    return there[:, :2] / there[:, 2:]


def plans_agree(fused, split, count, tiles_agree):
    """What the host draws and what the device does, the same to rounding."""
    images, keys = images_and_keys(count)
    host = fused.plan(sizes_of(images), keys, seed=5, epoch=2, split=split)
    drawn = GpuPlanner.of(fused, DEVICE, split)
    device = drawn.plan(sent(images), drawn.hashes(keys, len(keys)), drawn.stream(5, 2))
    assert device.size == host.size
    tiles_agree(device.tiles, images, device.matrix.cpu(), device.size)
    h, w = device.size
    over = torch.tensor([w, h, 1.0])  # what each column is worth over the whole of the output
    here, there = torch.from_numpy(host.matrix) * over, device.matrix.cpu().double() * over
    assert ((there - here).abs() < 1e-5 * here.abs().amax(2, keepdim=True)).all()
    for i, step in enumerate(host.steps):
        stages = drawn.table.launches[i].stages
        assert set(step.colour) == set(stages)
        if Stage.LOGIT in stages:
            assert beside(device.logit[i], step.colour[Stage.LOGIT]) < 1e-5
        if Stage.RGB in stages:
            assert beside(device.colour[i], step.colour[Stage.RGB]) < 1e-5
        if Stage.HUE in stages:
            assert beside(device.hue[i], step.colour[Stage.HUE]) < 1e-6
        if Stage.TABLE in stages:
            assert beside(device.table[i], step.colour[Stage.TABLE]) < 1e-4
        if Stage.ERASE in stages:
            assert beside(device.erase[i], step.colour[Stage.ERASE] * np.array([w, h, w, h])) < 1e-5
    return host, device


@pytest.mark.parametrize("split", ["train", "valid"])
def test_plans_are_the_hosts_to_rounding(recipe, split, tiles_agree, most):
    host, device = plans_agree(fuse(recipe), split, min(most, 32), tiles_agree)  # so many that all that may happen does
    # In pixels of sources of up to 500: a few 1e-5 of the whole.
    assert (landing(device.matrix, device.size) - landing(host.matrix, host.size)).abs().max() < 1e-5 * 500


@pytest.mark.parametrize("seed", range(4 if INTERPRETED else 40))
def test_so_are_those_of_recipes_that_nobody_chose(seed, random_recipe, tiles_agree, most):
    fused = fuse(random_recipe(seed))
    if sum(segment.kind == "warp" for segment in fused.segments) == 1:
        plans_agree(fused, "train", min(most, 12), tiles_agree)
    else:
        with pytest.raises(UsageError, match="more than one resampling"):
            GpuPlanner.of(fused, DEVICE, "train")


def operations():
    """A row of every operation that numbers are drawn for, each between two ends."""
    every = [*vars(geometric_operations).values(), *vars(colour_operations).values()]
    for operation in dict.fromkeys(o for o in every if isinstance(o, Operation)):
        if operation.operands and not getattr(operation, "resizes", False):
            yield operation.row(**{operand.name: between(0.1, 0.4) for operand in operation.operands})


@pytest.mark.parametrize(
    "row", [*operations()][: 3 if INTERPRETED else None], ids=lambda row: row.operation.opcode.name
)
def test_so_is_each_operation_at_the_ends_of_its_numbers(row, moved, coloured, tiles_agree, most):
    """RandAugment's way: one is picked, and its numbers are at one end or at the other."""
    of = row.operation
    kind = moved(row) if isinstance(of, GeometricOperation) else coloured(row, of.stages[0])
    plans_agree(fuse([Resize(60), *pick_one([kind], "stream", True)]), "train", min(most, 24), tiles_agree)


TURNED = [Affine(9, (0.1, 0.1), (0.5, 2.0), p=1.0)]
WILD = {
    "of every extent": [
        Affine(180, (0.4, 0.4), (0.1, 4.0), (40.0, 40.0), p=1.0), Warp(0.49, p=0.8), Resize((40, 70), method="squish"),
    ],
    "far along x": [Homography(((1, 0, 255), (0, 1, 0), (0, 0, 1))), *TURNED, Resize(130)],
    "far along y": [Homography(((1, 0, 0), (0, 1, -255), (0, 0, 1))), *TURNED, Resize(130)],
    "near the horizon": [Homography(((1, 0, 0), (0, 1, 0), (0.43, -0.44, 1))), *TURNED, Resize(130)],
    "nearly whole": [Dihedral(), Affine(0.001, (4e-6, 4e-6), (0.99997, 1.00003), p=0.8), Warp(1e-5, p=0.3), Resize(64)],
}  # fmt: skip


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("packed", [False, True], ids=["dense", "packed"])
def test_tiles_that_are_drawn_are_done_by_the_rules(name, packed, tiles_agree, most):
    """Maps as wild as a recipe can make them, of images that lie on top of each other, or are all the same size."""
    drawn, count = GpuPlanner.of(fuse(WILD[name]), DEVICE, "train"), min(most, 600)
    sizes = torch.tensor([(64, 64), (30, 1000), (64, 64), (1000, 900), (3, 5), (64, 64)]).repeat(count // 6 + 1, 1)
    images = Packed(torch.zeros(3 << 20).byte(), torch.zeros(count).long(), sizes[:count].int())
    if not packed:
        images = torch.zeros(count, 64, 64, 3, dtype=torch.uint8)
    there = sent(images) if packed else images.to(DEVICE)
    plan = drawn.plan(there, drawn.hashes(range(count), count), drawn.stream(1, 1))
    tiles_agree(plan.tiles, images, plan.matrix.cpu(), plan.size)
    host = drawn.fused.plan(sizes_of(images), range(count), seed=1, epoch=1, split="train")
    over = torch.tensor([*plan.size[::-1], 1.0])  # what each column is worth over the whole of the output
    here, there = torch.from_numpy(host.matrix) * over, plan.matrix.cpu().double() * over
    assert ((there - here).abs() < 1e-5 * here.abs().amax(2, keepdim=True)).all()


def test_images_of_one_size_are_drawn_for_as_they_are_packed(recipe, tiles_agree, most):
    """By a kernel of their own."""
    drawn, count = GpuPlanner.of(fuse(recipe), DEVICE, "train"), min(most, 32)
    images = torch.zeros(count, 101, 143, 3, dtype=torch.uint8)
    hashes, stream, packed = drawn.hashes(range(count), count), drawn.stream(5, 2), Packed.of([*images.numpy()])
    found = drawn.plan(images.to(DEVICE), hashes, stream)
    expected = drawn.plan(sent(packed), hashes, stream)
    for name in ("matrix", "logit", "hue", "table", "colour", "erase"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    tiles_agree(found.tiles, images, found.matrix.cpu(), found.size)


@pytest.mark.parametrize("name", ["the ancestors' recipe", "out of order"])
def test_images_come_out_as_on_the_host(recipes, name):
    transforms = [Resize(24) if isinstance(t, RandomResizedCrop) else t for t in recipes[name]]
    generator = np.random.default_rng(0)
    images = Packed.of([generator.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((40, 30), (25, 50))])
    fused = fuse(transforms)
    host = fused.images(images, fused.plan(sizes_of(images), ["a", "b"], seed=1, epoch=1, split="train"))
    device = GpuPlanner.of(fused, DEVICE, "train")(sent(images), keys=["a", "b"], seed=1, epoch=1)
    assert (device.cpu() - host).abs().max() < 0.05  # of about 4.5 after normalisation: a grey level is 0.017


def test_a_sample_is_drawn_alone_as_in_a_batch(recipes):
    fused, (images, keys) = fuse(recipes["the ancestors' recipe"]), images_and_keys()
    drawn = GpuPlanner.of(fused, DEVICE, "train")
    stream = drawn.stream(0, 9)
    batch = drawn.plan(sent(images), drawn.hashes(keys, len(keys)), stream)
    alone = drawn.plan(sent(Packed.of([images[4]])), drawn.hashes(keys[4], 1), stream)
    assert torch.equal(batch.matrix[4], alone.matrix[0])
    assert torch.equal(batch.logit[:, 4], alone.logit[:, 0])


@pytest.mark.parametrize(
    ("transforms", "reason"),
    [
        ([Resize(8), Rotate(draw=lambda draw: 3.0)], "Rotate is decided on the host: its `draw` is a function"),
        (
            [Resize(8), Brightness(draw=[0.5, 0.6])],
            "Brightness is decided on the host: its `draw` is a function or a list",
        ),
        ([Resize(8), lambda image: image, Rotate()], "more than one resampling, or has a barrier"),
        ([Rotate(pad_mode="zeros"), Zoom(pad_mode="border"), Resize(8)], "more than one resampling"),
        ([Dihedral()], "it may turn images that are not square"),
        ([Resize(8), Normalize()], "has no mean and std yet"),
    ],
)
def test_what_the_host_has_to_decide_says_why(transforms, reason):
    with pytest.raises(UsageError, match=reason):
        GpuPlanner.of(fuse(transforms), DEVICE)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU: interpreters have no graphs")
def test_one_graph_serves_every_epoch():
    fused = fuse([*aug_transforms(size=32, min_scale=0.75), NORMALIZE], dtype=torch.bfloat16)
    drawn, images = (
        GpuPlanner.of(fused, DEVICE, "train"),
        torch.randint(0, 256, (8, 60, 60, 3), dtype=torch.uint8, device=DEVICE),
    )
    hashes, stream = drawn.hashes(range(8), 8), drawn.stream(0, 0)
    drawn.images(images, drawn.plan(images, hashes, stream))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x = drawn.images(images, drawn.plan(images, hashes, stream))
    for epoch in range(3):
        stream.copy_(drawn.stream(0, epoch))
        graph.replay()
        assert torch.equal(x, drawn(images, keys=range(8), epoch=epoch))


class There(HostDevice):
    """The way of a batch to this device, as the way to a GPU goes: drawn and warped there."""

    in_place = False

    def bind(self, augmentation, split):
        return place_on(augmentation, DEVICE, split)

    def upload(self, value):
        return sent(value) if isinstance(value, Packed) else value

    def warp(self, function):
        return function().cpu()


class Points(MemoryRows):
    """Rows with one point each."""

    def targets(self, rows):
        return {"points": Targets("points", [torch.tensor([[3.0 + row, 4.0]]) for row in rows.tolist()])}


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_loader_draws_on_the_device_and_knows_the_way_back(monkeypatch, split):
    generator = np.random.default_rng(0)
    photos = [generator.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((40, 30), (25, 50), (30, 30))]
    rows = Points(photos, splits=[split] * 3)
    options = {"split": split, "batch_size": 3, "batch_tfms": aug_transforms(size=24), "seed": 5, "shuffle": False}
    (host,) = Loader(rows, **options)
    monkeypatch.setattr("onewarp.pipeline.loading.loader.device_for", There)
    (device,) = Loader(rows, **options)
    assert isinstance(device._matrix.plan, LazyPlan)
    assert (device[0] - host[0]).abs().max() < 3 / 255
    assert torch.equal(device.matrix, host.matrix)
    assert torch.equal(device[1], host[1])


def test_what_the_device_cannot_draw_stays_on_the_host():
    fused = fuse([Resize(8), Rotate(draw=lambda draw: 3.0)])
    assert place_on(fused, DEVICE, "train") is fused
