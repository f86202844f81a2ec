"""The C++ warp, on every instruction set of this machine, held to the reference."""

import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec, backends, native, reference, validity, warp_mask
from onewarp.transforms.warp.packed import Packed

if not backends()["cpu"].available:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have the C++ extension: {backends()['cpu'].detail}")
    pytest.skip(backends()["cpu"].detail, allow_module_level=True)

from onewarp.transforms.warp import cpu

ISAS = cpu.instruction_sets()
PADDINGS = ["reflection", "border", "zeros", (0.3, 0.6, 0.1)]


class Poisoned:
    """Buffers full of what no result may keep."""

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
        result = torch.empty(shape, dtype=dtype, memory_format=memory_format)
        return result.fill_(171 if dtype == torch.uint8 else torch.nan)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    monkeypatch.setattr(cpu, "_buffers", Poisoned())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("lighting", ["full", "diagonal", "none"])
def test_agrees_with_the_reference(make_case, agrees, isa, antialias, padding, lighting):
    for seed, source, size, wild in ((0, (41, 67), (33, 35), False), (1, (60, 37), (7, 33), True)):
        case = make_case(seed, 2, source, OutSpec(size, padding=padding, antialias=antialias), wild, lighting)
        agrees(case, case.run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("lighting", ["full", "none"])
def test_floats_agree(make_case, agrees, isa, antialias, padding, lighting):
    for seed, source, size, wild in (
        (0, (41, 67), (33, 35), False),
        (1, (60, 37), (7, 33), True),
        (2, (2, 9), (5, 8), False),
    ):
        case = make_case(seed, 2, source, OutSpec(size, padding=padding, antialias=antialias), wild, lighting)
        images = case.images.float() / 255 * 1.2 - 0.1  # a little outside of 0..1
        agrees(replace(case, images=images), replace(case, images=images).run(cpu.warp, isa=isa))
        mirrored = torch.tensor([[-1.0, 0, size[1] - 3], [0, 1, 2], [0, 0, 1]]).expand(2, 3, 3)
        copied = replace(case, images=images.double(), homography=mirrored)
        agrees(copied, copied.run(cpu.warp, isa=isa))
        still = replace(case, images=torch.rand(2, *size, 3), homography=torch.eye(3).repeat(2, 1, 1))
        agrees(still, still.run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8], ids=str)
def test_makes_every_number_and_layout(make_case, agrees, isa, layout, dtype):
    for width in (1, 7, 16, 37):
        case = make_case(width, 3, (30, 40), OutSpec((9, width), dtype=dtype, layout=layout), lighting="none")
        agrees(case, case.run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
def test_brightness_alone_agrees(make_case, agrees, isa):
    case = make_case(6, 6, (40, 50), OutSpec((23, 40)), lighting="diagonal")
    logit = torch.eye(3, 4).repeat(6, 1, 1)
    logit[..., 3] = torch.tensor([-120.0, -3.0, -0.4, 0.4, 3.0, 120.0])[:, None] * torch.tensor([1.0, 0.5, -1.0])
    case = replace(case, logit=logit)
    agrees(case, case.run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shift", [-3.0, -0.6, -0.4, 0.0, 0.4, 1.5])
@pytest.mark.parametrize("contrast", [0.5, 0.75, 0.8, 0.97, 1.25, 2.0, 9.0])
def test_every_grey_level_goes_through_logits(isa, contrast, shift):
    levels = torch.arange(256, dtype=torch.uint8)
    image = torch.stack([levels, levels.flip(0), levels.roll(97)], -1).expand(1, 2, 256, 3).contiguous()
    logit = torch.zeros(1, 3, 4)
    logit[0, range(3), range(3)] = torch.tensor([contrast, 1.1, contrast])
    logit[0, :, 3] = torch.tensor([shift, -shift, 0.0])
    same = torch.eye(3, 4)
    normalised = same * 4 - torch.tensor([0.0, 0, 0, 2])
    mixed = same + same.roll(1)
    for colour, scale in [(same, 1), (normalised, 4), (mixed, 2)]:
        arguments = image, torch.eye(3)[None], logit, colour[None], OutSpec((2, 256), antialias=False)
        made = cpu.warp(*arguments, isa=isa)
        assert (made - reference.warp(*arguments)).abs().max().item() < 0.2 / 255 * scale
        if colour is same:
            assert made.min() >= 0
            assert made.max() <= 1


@pytest.mark.parametrize("isa", ISAS)
def test_hue_table_and_erase(make_case, agrees, isa):
    case = make_case(5, 4, (30, 40), OutSpec((23, 29)), lighting="diagonal")
    g = torch.Generator().manual_seed(5)
    hue = torch.rand(4, generator=g) * 4 - 2
    curve = torch.linspace(0, 1, 256).pow(torch.tensor([[0.6], [1.0], [1.7], [3.0]])).contiguous()
    box = torch.tensor([[3.2, 1, 9.5, 8], [-9, -9, 99, 3], [5, 5, 5, 9], [28.4, 22, 99, 99]])
    coloured = torch.cat([box, torch.rand(4, 3, generator=g)], 1)
    for changes in ({"hue": hue}, {"table": curve}, {"erase": box}, {"hue": hue, "table": curve, "erase": coloured}):
        changed = replace(case, **changes)
        agrees(changed, changed.run(cpu.warp, isa=isa))
    byte = replace(case, out=OutSpec((23, 29), torch.uint8), erase=coloured)
    agrees(byte, byte.run(cpu.warp, isa=isa))


def straightened(case):
    """Rows stay rows and columns columns; the output's centre lands where it did."""
    h = case.homography.double()
    height, width = case.out.size
    centre = torch.tensor([width / 2, height / 2, 1.0], dtype=torch.float64)
    step = h.diagonal(dim1=1, dim2=2)[:, :2] * h[:, :2, :2].abs().sum(2)  # flipped where the cosine is negative
    where = (h @ centre)[:, :2] / (h @ centre)[:, 2:]
    straight = torch.diag_embed(torch.cat([step, torch.ones(len(h), 1)], 1))
    straight[:, :2, 2] = where - step * centre[:2]
    return replace(case, homography=straight.float())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_straight_warps_agree(make_case, agrees, isa, antialias, padding):
    out = OutSpec((20, 290), padding=padding, antialias=antialias)
    for seed, lighting in enumerate(["full", "diagonal", "none", "none"]):
        case = straightened(make_case(seed, 6, (97, 311), out, lighting=lighting))
        agrees(case, case.run(cpu.warp, isa=isa))
    inside = torch.tensor([[[0.9, 0, 3], [0, 2.7, 4], [0, 0, 1]], [[-0.95, 0, 300], [0, -1.5, 70], [0, 0, 1]]])
    case = replace(case, images=case.images[:2], homography=inside, colour=case.colour[:2])
    agrees(case, case.run(cpu.warp, isa=isa))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_sizes_agree(make_case, agrees, data):
    side = st.one_of(st.integers(1, 6), st.integers(1, 513))
    small = st.one_of(st.integers(1, 6), st.integers(1, 35))
    source = data.draw(st.tuples(side, side))
    size = data.draw(st.one_of(st.tuples(small, small), st.sampled_from([(1, 513), (513, 1)])))
    out = OutSpec(
        size,
        padding=data.draw(st.sampled_from(PADDINGS)),
        antialias=data.draw(st.booleans()),
        layout=data.draw(st.sampled_from(["nchw", "channels_last"])),
    )
    lighting = data.draw(st.sampled_from(["full", "diagonal", "none"]))
    case = make_case(data.draw(st.integers(0, 999)), 1, source, out, data.draw(st.booleans()), lighting)
    case = straightened(case) if data.draw(st.booleans()) else case
    agrees(case, case.run(cpu.warp, isa=data.draw(st.sampled_from(ISAS))))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shrink", [(4.0, 4.0), (16.0, 16.0), (6.0, 1.0), (1.0, 6.0), (40.0, 0.5)])
def test_strong_shrinks_agree(make_case, agrees, isa, shrink):
    case = make_case(0, 2, (90, 110), OutSpec((9, 20)), lighting="none")
    homography = torch.tensor([[[0.8, -0.6, 7], [0.6, 0.8, -9], [0, 0, 1]]]) @ torch.diag(torch.tensor([*shrink, 1.0]))
    case = replace(case, homography=homography.expand(2, 3, 3))
    agrees(case, case.run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("antialias", [True, False])
def test_windows_far_into_a_large_image_are_found(make_case, agrees, isa, antialias):
    """Beyond 16 MiB, float32 does not have every byte's number."""
    case = make_case(5, 1, (2400, 2500), OutSpec((20, 50), antialias=antialias), lighting="none")
    corner = torch.tensor([[[1.31, -0.2, 2400.3], [0.17, 1.2, 2360.6], [0, 0, 1]]])
    agrees(replace(case, homography=corner), replace(case, homography=corner).run(cpu.warp, isa=isa))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("antialias", [True, False])
def test_copies_are_exact(isa, antialias):
    images = torch.randint(0, 256, (2, 37, 37, 3), dtype=torch.uint8)
    turn = torch.tensor([[[0.0, -1, 37], [1, 0, 0], [0, 0, 1]], [[-1, 0, 37], [0, 1, 0], [0, 0, 1]]])
    y = cpu.warp(
        images,
        turn,
        None,
        torch.eye(3, 4).repeat(2, 1, 1),
        OutSpec((37, 37), torch.uint8, antialias=antialias),
        isa=isa,
    )
    assert torch.equal(y[0].permute(1, 2, 0), images[0].rot90(1, (0, 1)))
    assert torch.equal(y[1].permute(1, 2, 0), images[1].flip(1))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_plain_area_stays_plain(make_case, isa, level):
    case = make_case(1, 3, (50, 60), OutSpec((40, 45)), lighting="none")
    case = replace(case, images=torch.full_like(case.images, level), colour=torch.eye(3, 4).repeat(3, 1, 1))
    for each in (case, straightened(case)):
        expected = torch.full((3, 3, 40, 45), level / 255)
        torch.testing.assert_close(each.run(cpu.warp, isa=isa), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("isa", ISAS)
def test_an_image_does_not_depend_on_its_batch(make_case, isa):
    case = make_case(2, 9, (40, 50), OutSpec((70, 33)), wild=True)
    together = case.run(cpu.warp, isa=isa)
    for i in (0, 4, 8):
        one = slice(i, i + 1)
        alone = replace(
            case,
            images=case.images[one],
            homography=case.homography[one],
            logit=case.logit[one],
            colour=case.colour[one],
        )
        assert torch.equal(alone.run(cpu.warp, isa=isa), together[one])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("width", [1024, 1000])
def test_a_batch_larger_than_the_caches_is_made_alike(make_case, isa, layout, dtype, width):
    case = make_case(8, 8, (50, 60), OutSpec((512, width), dtype=dtype, layout=layout), lighting="diagonal")
    whole = case.run(cpu.warp, isa=isa)
    assert whole.nbytes > 1 << 24 or dtype == torch.uint8
    for i in range(0, 8, 3):
        one = slice(i, i + 1)
        rows = {name: getattr(case, name)[one] for name in ("images", "homography", "logit", "colour")}
        alone = replace(case, **rows)
        assert torch.equal(alone.run(cpu.warp, isa=isa)[0], whole[i])


def test_packed_images_agree_at_any_offset(make_case, agrees):
    sizes = [(1, 1), (2, 3), (40, 50), (513, 7), (3, 200), (4, 4), (33, 21)]
    case = make_case(3, len(sizes), (4, 4), OutSpec((20, 24)))
    g = torch.Generator().manual_seed(3)  # at a seam, a weight of 1e-5 beside black can be a grey level after logits
    packed = Packed.of([torch.randint(0, 256, (h, w, 3), dtype=torch.uint8, generator=g) for h, w in sizes])
    # Rows from the middle of a file: bytes before, between and after, and one image twice.
    data = torch.cat([torch.full((5,), 77, dtype=torch.uint8), packed.data])
    offsets, last = packed.offsets + 5, torch.tensor([2, 0, 6, 3, 2, 1, 5])
    packed = Packed(data, offsets[last], packed.sizes[last])
    for isa in ISAS:
        mixed = replace(case, images=packed)
        agrees(mixed, mixed.run(cpu.warp, isa=isa))


def test_batches_of_none_and_views(make_case, agrees):
    case = make_case(4, 5, (30, 40), OutSpec((16, 24)))
    empty = replace(
        case, images=case.images[:0], homography=case.homography[:0], logit=case.logit[:0], colour=case.colour[:0]
    )
    assert empty.run(cpu.warp).shape == (0, 3, 16, 24)
    views = replace(
        case,
        images=case.images.flip(2).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        homography=case.homography[:1].expand(5, 3, 3),
        colour=case.colour.mT.contiguous().mT,
    )
    assert not views.images.is_contiguous()
    agrees(views, views.run(cpu.warp))


def test_calls_from_many_threads_agree(make_case):
    case = make_case(6, 4, (60, 60), OutSpec((64, 64)))
    expected, results = case.run(cpu.warp), []
    threads = [threading.Thread(target=lambda: results.append(case.run(cpu.warp))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(torch.equal(result, expected) for result in results)


def test_the_number_of_threads_changes_nothing(make_case):
    case, before = make_case(7, 3, (60, 60), OutSpec((100, 64))), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(case.run(cpu.warp))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_the_extension_refuses_what_lies_outside_the_data(make_case):
    # Past the checks in Python, as a caller of `cpu.warp` could.
    case = make_case(8, 1, (4, 4), OutSpec((8, 8)))
    data, zero = torch.zeros(47, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    for offset, size in ((0, [4, 4]), (-1, [2, 2]), (48, [1, 1]), (0, [0, 4]), (0, [2**30, 2**30])):
        packed = Packed(data, zero + offset, torch.tensor([size], dtype=torch.int32))
        with pytest.raises(WarpError, match="image 0 must"):
            replace(case, images=packed).run(cpu.warp)
    with pytest.raises(WarpError, match="homography must be finite"):
        replace(case, homography=case.homography * torch.inf).run(cpu.warp)
    with pytest.raises(WarpError, match="no instruction set sse9"):
        case.run(cpu.warp, isa="sse9")


def test_an_instruction_set_can_be_chosen_from_outside():
    program = "from onewarp.transforms.warp import backends; print(backends()['cpu'].detail)"
    environment = {**os.environ, cpu.INSTRUCTION_SET: "portable"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("portable on ")


@pytest.mark.parametrize("dtype", [*cpu.LABELS], ids=str)
@pytest.mark.parametrize("padding", ["reflection", "border", "zeros"])
def test_masks_and_validity_are_those_of_the_reference(make_case, dtype, padding):
    for seed, source, size, wild in (
        (0, (41, 67), (33, 35), False),
        (1, (60, 37), (7, 33), True),
        (2, (1, 2), (9, 9), True),
    ):
        out = OutSpec(size, padding=padding)
        case = make_case(seed, 5, source, out, wild)
        labels = case.images[..., 0].to(dtype)
        for votes in (False, True):
            expected = reference.warp_mask(labels, case.homography, out, 1, votes)
            assert torch.equal(cpu.warp_mask(labels, case.homography, out, 1, votes), expected)
        turned = [mask.T for mask in labels]  # not contiguous
        expected = reference.warp_mask(turned, case.homography, out, 1, False)
        assert torch.equal(cpu.warp_mask(turned, case.homography, out, 1, False), expected)
        sizes = torch.tensor([source] * 5)
        assert torch.equal(cpu.validity(sizes, case.homography, out), reference.validity(sizes, case.homography, size))


def test_masks_of_other_integers_go_through_the_reference():
    masks = torch.arange(12).reshape(1, 3, 4).to(torch.uint16)
    assert cpu.warp_mask(masks, torch.eye(3)[None], OutSpec((3, 4)), 0, False) is None
    assert warp_mask(masks, torch.eye(3)[None], OutSpec((3, 4))).tolist() == masks.tolist()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_all_of_a_batch_that_is_not_square_shows_its_source(count):
    images, same = torch.zeros(count, 30, 40, 3), torch.eye(3)[None].repeat(count, 1, 1)
    assert validity(images, same, OutSpec((50, 60))).sum((1, 2)).tolist() == [1200] * count


def test_labels_that_are_not_aligned_are_warped_too():
    """As those that lie anywhere in a file."""
    labels = np.arange(42, dtype=np.int16).reshape(6, 7)
    memory = np.zeros(85, np.uint8)
    memory[1:] = labels.view(np.uint8).reshape(-1)
    unaligned = torch.from_numpy(memory[1:].view(np.int16).reshape(1, 6, 7))
    assert unaligned.data_ptr() % 2
    out = OutSpec((6, 7))
    assert torch.equal(warp_mask(unaligned, torch.eye(3)[None], out)[0], torch.from_numpy(labels))


def test_torchs_default_device_is_of_no_matter():
    cpu._one_behind_the_other.cache_clear()
    with torch.device("meta"):
        _, offsets, sizes = cpu._arrays_of(torch.zeros(2, 3, 5, 3, dtype=torch.uint8, device="cpu"))
    assert offsets.tolist() == [0, 45]
    assert sizes.tolist() == [[3, 5], [3, 5]]


class TestLengths:
    """What is handed to C++ is as long as it has to be, or is refused before a word is written."""

    @pytest.mark.parametrize(
        "name", ["data", "offsets", "sizes", "homography", "logit", "hue", "table", "colour", "erase", "out"]
    )
    def test_a_warp(self, name):
        arrays = {
            "data": np.zeros((5, 6, 7, 3), np.uint8),
            "offsets": np.arange(5) * 126,
            "sizes": np.full((5, 2), (6, 7), np.int32),
            "homography": np.eye(3, dtype=np.float32)[None].repeat(5, 0),
            "logit": np.zeros((5, 3, 4), np.float32),
            "hue": np.zeros(5, np.float32),
            "table": np.zeros((5, 256), np.float32),
            "colour": np.ones((5, 3, 4), np.float32),
            "erase": np.zeros((5, 7), np.float32),
            "out": np.zeros((5, 3, 8, 9), np.float32),
        }
        settings = {"pixel": 3, "height": 8, "width": 9, "number": 0, "channels_last": False, "padding": 0}
        settings |= {"fill": (0.0, 0.0, 0.0), "antialias": True, "threads": 1, "isa": None}
        native.extension.warp(**arrays, **settings)
        assert arrays["out"].any()
        arrays[name] = arrays[name].reshape(-1)[:-1].copy()
        arrays["out"] *= 0
        with pytest.raises(ValueError, match=r"must (have|lie)"):
            native.extension.warp(**arrays, **settings)
        assert not arrays["out"].any()

    @pytest.mark.parametrize("name", ["masks", "one of masks", "sizes", "homography", "out"])
    def test_masks(self, name):
        arrays = {
            "sizes": np.full((5, 2), (6, 7), np.int32),
            "homography": np.eye(3, dtype=np.float32)[None].repeat(5, 0),
            "out": np.zeros((5, 8, 9), np.int16),
        }
        settings = {"height": 8, "width": 9, "label": 2, "padding": 0, "fill": 0, "votes": False, "threads": 1}
        masks = [np.ones((6, 7), np.int16) for _ in range(5)]
        native.extension.masks(masks=masks, **arrays, **settings)
        assert arrays["out"].all()
        if name == "masks":
            masks.pop()
        elif name == "one of masks":
            masks[3] = masks[3].reshape(-1)[:-1]
        else:
            arrays[name] = arrays[name].reshape(-1)[:-1].copy()
        arrays["out"] *= 0
        with pytest.raises(ValueError, match=r"must (have|be)"):
            native.extension.masks(masks=masks, **arrays, **settings)
        assert not arrays["out"].any()

    def test_a_copy(self):
        target = np.zeros(5, np.uint8)
        with pytest.raises(ValueError, match="as many bytes"):
            native.extension.copy(target, np.ones(6, np.uint8))
        assert not target.any()

    def test_what_is_no_contiguous_array(self):
        with pytest.raises((BufferError, ValueError), match="contiguous"):
            native.extension.copy(np.zeros(5, np.uint8), np.ones(10, np.uint8)[::2])
        with pytest.raises(TypeError):
            native.extension.copy(np.zeros(8, np.uint8), 12345678)


@pytest.mark.parametrize("mode", ["nearest", "majority"])
@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64], ids=str)
def test_masks_of_unsigned_integers_are_warped_label_for_label(dtype, mode):
    """As those of a signed type with the same labels, beyond the signed type of the same size too."""
    top = torch.iinfo(dtype).max if dtype != torch.uint64 else 2**63 - 1
    labels = torch.tensor([0, 1, 2, top // 2, top - 1, top])[torch.randint(0, 6, (3, 9, 11))]
    turn = torch.tensor([[0.8, -0.3, 2.0], [0.3, 0.8, -1.0], [0.0, 0.0, 1.0]]).expand(3, 3, 3)
    out = OutSpec((7, 8), padding="zeros")
    expected = warp_mask(labels, turn, out, fill=top, mode=mode)
    for masks in (labels.to(dtype), list(labels.to(dtype))):
        done = warp_mask(masks, turn, out, fill=top, mode=mode)
        assert done.dtype == dtype
        assert torch.equal(done.to(torch.int64), expected)
    assert warp_mask(labels.to(dtype)[:0], turn[:0], out).shape == (0, 7, 8)
