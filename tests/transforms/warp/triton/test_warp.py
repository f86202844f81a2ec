"""The Triton kernel held to the reference."""

import math

import pytest
import torch
from torch import Tensor

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec, gpu, warp
from onewarp.transforms.warp.footprint import subpixels
from onewarp.transforms.warp.packed import Packed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SAME = torch.eye(3, 4)[None]
PADDINGS = ("reflection", "border", "zeros", (0.2, 0.4, 0.6))
# The largest and the mean difference, in the images' units; the interpreter cuts a float32 to bfloat16.
TOLERANCES = {torch.float32: (1 / 255, 1e-3), torch.bfloat16: (1 / 255 + 2**-7, 4e-3), torch.uint8: (1 / 255, 3e-3)}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def homographies(count: int, source: tuple[int, int], size: tuple[int, int], seed: int, tilt: float = 1e-3) -> Tensor:
    """Turned, scaled by e^-1 to e^1 with another scale along each axis, tilted, about the middle of the images."""
    generator = torch.Generator().manual_seed(seed)
    angle, along, across, g, k, x, y = torch.randn(7, count, generator=generator, dtype=torch.float64)
    c, s, zero, one = (3 * angle).cos(), (3 * angle).sin(), torch.zeros(count), torch.ones(count)
    along, across = (0.5 * along).clamp(-1, 1).exp(), (0.5 * across).clamp(-1, 1).exp()
    middle = torch.stack([c * along, s * across, zero, -s * along, c * across, zero, tilt * g, tilt * k, one], -1)
    middle = middle.reshape(-1, 3, 3)
    back, forth = torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    back[:2, 2] = -torch.tensor([size[1] / 2, size[0] / 2])
    forth[:, 0, 2], forth[:, 1, 2] = source[1] / 2 + 3 * x, source[0] / 2 + 3 * y
    return (forth @ middle @ back).float()


def both(images, homography, spec, colour=None, **parameters) -> tuple[Tensor, Tensor]:
    """The kernel's result and the reference's in float64, both with uint8 in 0..1."""
    count = len(images)
    arguments = [homography, parameters.pop("logit", None), SAME.repeat(count, 1, 1) if colour is None else colour]
    exact = OutSpec(spec.size, torch.float64, padding=spec.padding, antialias=spec.antialias)
    expected = warp(images, *arguments, exact, backend="reference", **parameters)
    if isinstance(images, Packed):
        images = Packed(images.data.to(DEVICE), images.offsets.to(DEVICE), images.sizes.to(DEVICE))
    else:
        images = images.to(DEVICE)
    moved = [None if a is None else a.to(DEVICE) for a in arguments]
    found = warp(images, *moved, spec, backend="gpu", **{name: p.to(DEVICE) for name, p in parameters.items()})
    assert found.dtype == spec.dtype
    assert found.is_contiguous(memory_format=spec.memory_format)
    found = found.cpu().double()
    return (found / 255 if spec.dtype == torch.uint8 else found), expected


def agree(found: Tensor, expected: Tensor, dtype: torch.dtype = torch.float32) -> None:
    largest, mean = TOLERANCES[dtype]
    if dtype == torch.uint8:
        expected = expected.clamp(0, 1)
    difference = (found - expected).abs()
    assert difference.max() <= largest
    assert difference.mean() <= mean


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Outputs are full of what nobody computed before the kernel writes them."""
    empty = torch.empty

    def poison(*args, **kwargs):
        made = empty(*args, **kwargs)
        return made.fill_(torch.nan if made.is_floating_point() else 171)

    monkeypatch.setattr(torch, "empty", poison)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
def test_mixed_sizes_under_random_homographies(padding, antialias):
    images = [noise(*size, 3, seed=i) for i, size in enumerate([(37, 53), (1, 1), (2, 3), (64, 3)])]
    homography = torch.cat([homographies(1, x.shape[:2], (35, 34), seed) for seed, x in enumerate(images)])
    agree(*both(Packed.of(images), homography, OutSpec((35, 34), padding=padding, antialias=antialias)))


@pytest.mark.parametrize(
    ("size", "source"), [((1, 1), (1, 1)), ((1, 67), (9, 4)), ((33, 5), (8, 8)), ((65, 31), (5, 7))]
)
def test_odd_sizes(size, source):
    images = noise(2, *source, 3)
    agree(*both(images, homographies(2, source, size, seed=3), OutSpec(size)))


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_number_formats_and_layouts(dtype, layout):
    found, expected = both(
        noise(2, 20, 32, 3), homographies(2, (20, 32), (17, 19), 5), OutSpec((17, 19), dtype, layout)
    )
    agree(found, expected, dtype)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
def test_images_of_floats(padding, antialias):
    images = (noise(3, 37, 52, 3).double() / 255).float()
    homography = homographies(3, (37, 52), (35, 34), 6)
    homography[0] = torch.tensor([[-1.0, 0, 44], [0, 1, 2], [0, 0, 1]])
    agree(*both(images, homography, OutSpec((35, 34), padding=padding, antialias=antialias)))
    agree(*both(images.bfloat16(), homography, OutSpec((35, 34), padding=padding, antialias=antialias)))


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("padding", ["reflection", "border", (77 / 255, 77 / 255, 77 / 255)])
def test_an_even_area_stays_even(padding, antialias):
    images = torch.full((3, 40, 52, 3), 77, dtype=torch.uint8)
    found, _ = both(
        images, homographies(3, (40, 52), (60, 70), 2), OutSpec((60, 70), padding=padding, antialias=antialias)
    )
    inside = padding in ("reflection", "border")  # beyond, what words weigh meets a colour that a float weighs
    assert (255 * found - 77).abs().max() < (1e-3 if inside else 1e-2)


@pytest.mark.parametrize("rows", [((4, 0.3, 1), (-0.2, 4.1, 2)), ((0, 6, 0), (1, 0, 3)), ((2, 1.9, 0), (1.2, 1.5, 9))])
def test_footprints_that_are_divided(rows):
    homography = torch.tensor([[*rows, (0.001, 0.0, 1.0)]])
    assert subpixels(homography, (33, 20)).amax() > 1
    agree(*both(noise(1, 120, 140, 3), homography, OutSpec((33, 20))))


def test_without_a_filter_a_large_footprint_is_one_sample():
    homography = torch.tensor([[[4.0, 0.3, 1], [-0.2, 4.1, 2], [0.001, 0, 1]]])
    agree(*both(noise(1, 120, 140, 3), homography, OutSpec((33, 20), antialias=False)))


@pytest.mark.parametrize(("padding", "antialias"), [("reflection", False), ((0.2, 0.4, 0.6), True)])
def test_where_w_vanishes_and_beyond(padding, antialias):
    tilted = torch.tensor([[[1.5, 0, 5], [0.5, 2, -3], [-0.07, 0.01, 1.1]], [[1, 0, 0], [0, 1, 0], [0, 0, -1]]])
    v, u = torch.meshgrid(torch.arange(9.0), torch.arange(24.0), indexing="ij")
    spec = OutSpec((9, 24), padding=padding, antialias=antialias)
    found, expected = both(noise(2, 30, 40, 3), tilted, spec)
    w = -0.07 * (u + 0.5) + 0.01 * (v + 0.5) + 1.1
    agree(found[:1, :, w > 0.05], expected[:1, :, w > 0.05])  # below, sub-pixels of one pixel fall on both sides
    fill = torch.tensor((0.0, 0, 0) if isinstance(padding, str) else padding).reshape(3, 1)
    assert (found[0][:, w < -0.05] - fill).abs().max() < 1e-6
    assert (found[1].flatten(1) - fill).abs().max() < 1e-6


def test_coordinates_in_the_millions_are_found_in_float64():
    far = torch.tensor([[[1.0, 0.25, 3e6], [-0.125, 1, -2e6], [0, 0, 1]]])
    agree(*both(noise(1, 33, 48, 3), far, OutSpec((20, 20))))


def test_flips_quarter_turns_and_shifts_copy():
    images, third = noise(4, 32, 32, 3), (0.0, 0.0, 1.0)
    homography = torch.tensor(
        [
            ((-1.0, 0, 32), (0, 1, 0), third),
            ((0, 1, 0), (-1, 0, 32), third),
            ((1, 0, 5), (0, 1, -7), third),
            ((0, 1, 0), (1, 0, 0), third),
        ]
    )
    found, expected = both(images, homography, OutSpec((32, 32), torch.uint8))
    assert torch.equal(found, expected.float().double().mul(255).round() / 255)
    assert torch.equal((found[0] * 255).byte(), images[0].flip(1).permute(2, 0, 1))


def random_colours(count: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "logit": 0.4 * torch.randn(count, 3, 4, generator=generator) + SAME,
        "hue": torch.rand(count, generator=generator) * 4 - 2,
        "table": torch.rand(count, 256, generator=generator),
        "colour": torch.randn(count, 3, 4, generator=generator),
        "erase": torch.tensor([[3.2, 1, 9.5, 20, 0.1, 0.2, 0.3]]).repeat(count, 1),
    }


@pytest.mark.parametrize("stages", [("logit",), ("hue", "table"), ("logit", "hue", "table", "erase")])
def test_the_colour_map_of_copied_pixels(stages):
    drawn = random_colours(3)
    # A table as steep as noise makes the rounding of the logits visible, so that all stages have a smoother one.
    drawn["table"] = drawn["table"] if len(stages) == 1 else torch.linspace(0, 1, 256).square().repeat(3, 1)
    images = noise(3, 24, 20, 3)
    images[0, :2] = torch.tensor([0, 255, 255]).byte()
    images[0, 2:4] = 128
    parameters = {name: drawn[name] for name in stages}
    found, expected = both(images, torch.eye(3).repeat(3, 1, 1), OutSpec((24, 20)), drawn["colour"], **parameters)
    assert (found - expected).abs().max() < 2e-4


@pytest.mark.parametrize("stages", [(), ("logit", "erase"), ("hue", "table"), ("logit", "hue", "table", "erase")])
@pytest.mark.parametrize("antialias", [True, False])
def test_images_are_recoloured_without_a_warp(stages, antialias):
    """As a warp that moves nothing would: numbers beyond 0..1 too, several programs, any layout."""
    generator, size = torch.Generator().manual_seed(0), (29, 37)
    images = torch.rand(3, *size, 3, generator=generator) * 1.6 - 0.3
    images[0, :2, :4] = torch.tensor([0.0, 1.0, 0.5, 1.0 / 255])[:, None]
    drawn = random_colours(3, seed=2)
    drawn["table"] = torch.linspace(0, 1, 256).square().repeat(3, 1)
    drawn["erase"] = torch.tensor([[3.2, 1, 9.5, 20], [0, 0, 0, 0], [30.5, 28, 40, 40]])
    colour, parameters = 0.3 * drawn["colour"], {name: drawn[name] for name in stages}
    arguments = [parameters.pop("logit", None), colour]
    exact = OutSpec(size, torch.float64, antialias=antialias)
    expected = warp(images, torch.eye(3).repeat(3, 1, 1), *arguments, exact, backend="reference", **parameters)
    moved = [None if a is None else a.to(DEVICE) for a in arguments]
    parameters = {name: p.to(DEVICE) for name, p in parameters.items()}
    sources = {
        "nchw": images.permute(0, 3, 1, 2).contiguous(),
        "channels_last": images.permute(0, 3, 1, 2),
        "every second": torch.stack([images, images + 9], 3).flatten(2, 3).permute(0, 3, 1, 2)[..., ::2],
    }
    every = antialias and len(stages) == 4  # each number format is another kernel
    for name, source in sources.items():
        layout = "channels_last" if name == "channels_last" else "nchw"
        for dtype in (torch.float32, torch.bfloat16, torch.uint8) if every and name == "nchw" else (torch.float32,):
            spec = OutSpec(size, dtype, layout, antialias=antialias)
            found = gpu.recolour(source.to(DEVICE), *moved, spec, **parameters)
            assert found.is_contiguous(memory_format=spec.memory_format)
            found = found.cpu().double() / (255 if dtype == torch.uint8 else 1)
            if dtype == torch.float32:
                assert (found - expected).abs().max() < 2e-4
                assert "erase" not in stages or not found[expected == 0].any()
            else:
                agree(found, expected, dtype)
            if dtype == torch.uint8:
                assert not found[expected < -0.01].any()
                assert (found[expected > 1.01] == 1).all()


def test_recolouring_is_the_operation_that_its_schema_says():
    images, drawn = noise(2, 3, 6, 5).float().div(255).to(DEVICE), random_colours(2)
    drawn["erase"] = drawn["erase"][:, :4].contiguous()
    parameters = [drawn[name].to(DEVICE) for name in ("logit", "colour", "hue", "table", "erase")]
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_static", "test_autograd_registration")
    arguments = (images, *parameters, [6, 5], torch.float32, "channels_last", True)
    torch.library.opcheck(torch.ops.onewarp.recolour.default, arguments, test_utils=tests)


def test_everything_at_once():
    homography, drawn = homographies(2, (40, 52), (36, 33), 11), random_colours(2, seed=1)
    drawn["table"] = torch.linspace(0, 1, 256).square().flip(0).repeat(2, 1)
    colour = 0.3 * drawn.pop("colour")
    found, expected = both(noise(2, 40, 52, 3), homography, OutSpec((36, 33)), colour, **drawn)
    assert (found - expected).abs().max() < 2e-3


def test_data_that_words_must_not_be_read_from():
    """A batch whose first byte begins no word, and one at the very end of its storage."""
    whole = noise(1 + 2 * 11 * 13 * 3)
    homography = homographies(2, (11, 13), (30, 30), 2)
    expected = both(whole[1:].reshape(2, 11, 13, 3).clone(), homography, OutSpec((30, 30)))[1]
    for data in (whole[1:], torch.cat([whole[1:], noise(9)])[: 2 * 11 * 13 * 3]):
        moved = whole.to(DEVICE)[1:] if data.storage_offset() else data.to(DEVICE)
        found = gpu.warp(
            moved.reshape(2, 11, 13, 3),
            homography.to(DEVICE),
            None,
            SAME.repeat(2, 1, 1).to(DEVICE),
            OutSpec((30, 30)),
        )
        agree(found.cpu().double(), expected)


def test_views_and_broadcast_parameters():
    images, homography = noise(2, 20, 18, 3).transpose(1, 2), torch.eye(3)[None].expand(2, 3, 3)
    agree(*both(images, homography, OutSpec((20, 18)), SAME.expand(2, 3, 4)))


def test_no_images_give_no_images():
    nothing = torch.empty(0, 8, 8, 3, dtype=torch.uint8, device=DEVICE)
    result = gpu.warp(
        nothing,
        torch.zeros(0, 3, 3, device=DEVICE),
        None,
        torch.zeros(0, 3, 4, device=DEVICE),
        OutSpec((4, 5), torch.bfloat16),
    )
    assert result.shape == (0, 3, 4, 5)


@pytest.mark.parametrize(
    ("offsets", "sizes"),
    [
        ([-1, 0], [[4, 4], [4, 4]]),
        ([0, 60], [[4, 4], [4, 4]]),
        ([0, 1 << 40], [[4, 4], [4, 4]]),
        ([0, 8], [[0, 4], [4, -4]]),
    ],
)
def test_images_outside_the_data_are_fill(offsets, sizes):
    """On a GPU nobody looks at offsets and sizes before the kernel does."""
    data = torch.full((96,), 200, dtype=torch.uint8)
    images = Packed(data.to(DEVICE), torch.tensor(offsets, device=DEVICE), torch.tensor(sizes, device=DEVICE).int())
    spec = OutSpec((6, 6), padding=(0.25, 0.5, 0.75))
    eye, same = torch.eye(3, device=DEVICE).repeat(2, 1, 1), SAME.repeat(2, 1, 1).to(DEVICE)
    result = gpu.warp(images, eye, None, same, spec).cpu()
    first, second = result[0, :, 0, 0], result[1, :, 0, 0]
    fill = torch.tensor([0.25, 0.5, 0.75])
    assert torch.allclose(second, fill) or torch.allclose(first, fill)
    for picture in result:
        assert torch.isfinite(picture).all()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the interpreter's
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_homography_that_is_not_finite_is_fill(broken):
    for place in (0, 5, 6, 8):
        homography = torch.eye(3).repeat(1, 1, 1)
        homography.view(-1)[place] = broken
        result = gpu.warp(
            noise(1, 6, 6, 3).to(DEVICE),
            homography.to(DEVICE),
            None,
            SAME.to(DEVICE),
            OutSpec((5, 5), padding=(0.25, 0.5, 0.75)),
        )
        assert torch.allclose(result.cpu()[0, :, 2, 2], torch.tensor([0.25, 0.5, 0.75]))


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU: host memory is where the interpreter works")
def test_images_in_host_memory_are_refused():
    with pytest.raises(WarpError, match="needs its images on a GPU"):
        gpu.warp(noise(1, 4, 4, 3), torch.eye(3)[None], None, SAME, OutSpec((4, 4)))


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU: interpreters have no graphs")
def test_a_captured_graph_repeats_the_warp():
    images, homography = noise(4, 60, 80, 3).to(DEVICE), homographies(4, (60, 80), (50, 50), 1).to(DEVICE)
    arguments = (images, homography, None, SAME.repeat(4, 1, 1).to(DEVICE), OutSpec((50, 50), torch.bfloat16))
    expected = gpu.warp(*arguments)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = gpu.warp(*arguments)
    captured.zero_()
    graph.replay()
    assert torch.equal(captured, expected)
