"""These tests run Triton kernels in one of three ways.

- `TRITON_INTERPRET=1`: Triton interprets their source, on the host
- `ONEWARP_PTX=sm_90`: what is compiled for that GPU is interpreted, on the host (`benchmarks/ptx`); `ONEWARP_MOVED=1`
  moves every approximate result by its largest error
- neither, and there is a GPU: they run on it

`test_gpu.py` runs the first two in processes of their own, because Triton decides when it is imported.
"""

import json
import os

import pytest
import torch

from onewarp.transforms.types import sizes_of
from onewarp.transforms.warp.footprint import TILE, moves_whole_pixels, project, subpixels
from onewarp.transforms.warp.packed import Packed

INTERPRETED, TARGET = os.environ.get("TRITON_INTERPRET") == "1", os.environ.get("ONEWARP_PTX")
collect_ignore_glob = [] if INTERPRETED or TARGET or torch.cuda.is_available() else ["*"]

if TARGET:
    from onewarp.benchmarks.ptx import Interpreter
    from onewarp.benchmarks.ptx.coverage import coverage
    from onewarp.benchmarks.ptx.sensitivity import study

    torch.set_num_threads(1)
    INTERPRETER = Interpreter(TARGET, float(os.environ.get("ONEWARP_MOVED", "0")))

    @pytest.fixture(autouse=True)
    def on_ptx():
        with INTERPRETER:
            yield

    def pytest_runtestloop(session):
        """Where mutants are asked for, the tests are run on changed code instead."""
        if asked := os.environ.get("ONEWARP_MUTANTS"):
            return study(session, INTERPRETER, json.loads(asked))
        return None

    def pytest_terminal_summary(terminalreporter):
        """A fault fails its test, so that those that pass have none."""
        passed = len(terminalreporter.stats.get("passed", []))
        terminalreporter.write_line(f"{INTERPRETER.summary()}; {passed} tests without a fault")
        terminalreporter.write_line(str(coverage(INTERPRETER.visits)))


def corners(values):
    """The least and the largest value at the corners of every tile: `[N, tv + 1, tu + 1]` -> two of `[N, tv, tu]`."""
    four = torch.stack([values[:, :-1, :-1], values[:, 1:, :-1], values[:, :-1, 1:], values[:, 1:, 1:]])
    return four.amin(0), four.amax(0)


def words_of_tiles(images, homography, size):
    """What the kernels have to say of every tile, and of every image, by the rules of `gpu_tiles.py` in float64: words
    `int32[N, tiles]`, and slopes `float64[N, 7]`.
    """
    h, (rows, columns), inf = homography.double().reshape(-1, 1, 1, 9), size, torch.inf
    v = torch.arange(0, rows + TILE, TILE, dtype=torch.float64).clamp(max=rows)
    u = torch.arange(0, columns + TILE, TILE, dtype=torch.float64).clamp(max=columns)
    v, u = torch.meshgrid(v, u, indexing="ij")
    x, y, w = project(h, u, v)
    a, b, c, d, e, f, g, k, m = h.unbind(-1)
    seen, size_u_v = w > 0, (g.abs() * u + k.abs() * v + m.abs())
    terms = torch.maximum(a.abs() * u + b.abs() * v + c.abs(), d.abs() * u + e.abs() * v + f.abs()) / w
    careful = corners((~seen | (size_u_v > 16 * w) | (terms > 8192)).double())[1] > 0
    (least_x, most_x), (least_y, most_y), (visible, any_visible) = corners(x), corners(y), corners(seen.double())
    high, wide = (torch.from_numpy(sizes_of(images)).double()[:, i, None, None] for i in (0, 1))
    data = images.data if isinstance(images, Packed) else images
    start = torch.arange(len(images)) * int(data[:1].numel())
    start = (images.offsets if isinstance(images, Packed) else start).double().reshape(-1, 1, 1)
    total, readable = data.numel(), data.untyped_storage().nbytes() - data.storage_offset()
    readable, end = min(readable, total + 8) // 4 * 4, start + 3 * high * wide
    edge = (least_x < 3.25) | (most_x > wide - 3.25) | (least_y < 3.25) | (most_y > high - 3.25)
    edge |= (visible == 0) | (torch.maximum(high, wide) > 2**21)
    by_bytes = (high < 4) | (wide < 4) | (visible == 0) | (edge & ((end / 4).ceil() * 4 + 4 > readable))
    by_bytes |= torch.tensor(data.data_ptr() % 4 != 0)
    real = (start >= 0) & (high > 0) & (wide > 0) & (end <= total) & (h.abs().sum(-1) < inf) & (any_visible > 0)
    counts, copies = subpixels(homography, size), moves_whole_pixels(homography, size)
    words = counts[..., 0] + 16 * counts[..., 1] + 256 * copies[:, None, None] + 512 * careful + 1024 * edge
    words = torch.where(real, words + 2048 * by_bytes, 1 + 16 + 512 + 1024 + 2048 + 4096).flatten(1).int()
    a, b, c, d, e, f, g, k, m = homography.double().reshape(-1, 9).unbind(-1)
    slopes = torch.stack([a * k - b * g, a * m - c * g, b * m - c * k, d * k - e * g, d * m - f * g, e * m - f * k], -1)
    slopes = torch.where(copies[:, None], 0.0, slopes)
    flat = torch.where((g == 0) & (k == 0) & (m != 0), 1 / m, 0.0)
    return words, torch.cat([slopes, flat[:, None]], 1)


@pytest.fixture
def tiles_agree():
    """A function that holds what a kernel says of tiles to `words_of_tiles`."""

    def agree(found, images, homography, size):
        words, slopes = words_of_tiles(images, homography, size)
        found = found.cpu()
        wrong = (found[:, :-7] != words).nonzero().tolist()
        first = [f"{which[tuple(wrong[0])]:#x}" for which in (found, words)] if wrong else []
        assert not wrong, f"{len(wrong)} words, the first at {wrong[0]}: {first[0]} for {first[1]}"
        finite = slopes.isfinite().all(1)
        scale = homography.double().flatten(1).abs().amax(1, keepdim=True).square().clamp(min=1)
        off = (found[:, -7:].view(torch.float32).double() - slopes).abs()
        assert not (off > 1e-15 * scale + 2e-7 * slopes.abs())[finite].any()

    return agree


@pytest.fixture
def most():
    """How many images a test may have: Triton's own interpreter goes through them one by one."""
    return 8 if INTERPRETED else 4096
