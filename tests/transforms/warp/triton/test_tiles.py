"""How tiles are to be done: the kernel's decisions held to the rules in float64, on both sides of every limit."""

import itertools
import math

import pytest
import torch

from onewarp.transforms.warp import gpu
from onewarp.transforms.warp.footprint import TILE, WHOLE
from onewarp.transforms.warp.packed import Packed

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = (40, 70)
"""Of the output: two rows of three tiles."""
LARGE = (350, 350)
"""Of 121 tiles: a thread does four, in two turns, and few threads have fewer."""
HIGH, WIDE = 90, 110
ABOUT = (-1.5, -0.3, -0.02, 0.02, 0.3, 1.5)


def maps(*rows):
    """Homographies of nine numbers each."""
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, 3, 3).float()


def at_the_frame():
    """Each side of what the output covers of the picture is a little within the margin, or a little beyond."""
    found = []
    for off, turn in itertools.product(ABOUT, (1, -1)):
        for axis, (output, length) in enumerate(zip(SIZE[::-1], (WIDE, HIGH), strict=True)):
            for side in (3.25 - off, length - 3.25 + off - output / 2):  # where the lower end and the upper one come to
                moved = [(0.5, 20.0), (0.5, 20.0)]
                moved[axis] = (0.5 * turn, side if turn == 1 else side + output / 2)
                (a, c), (e, f) = moved
                found.append((a, 0, c, 0, e, f, 0, 0, 1))
    return maps(*found)


def of_every_extent():
    """Pixels whose sides are about as long, and lean about as much, as one that is divided, or divided once more."""
    found = []
    for side, other, off in itertools.product((1.5, 2.0, 3.0, 4.0, 6.0, 13.9, 17.0), (0.5, 1.0), (-0.01, 0.01)):
        found += [(side + off, 0, 5, 0, other, 5, 0, 0, 1), (0, other, 5, side + off, 0, 5, 0, 0, 1)]
        found += [(0, side + off, 5, other, 0, 5, 0, 0, 1), (other, 0, 5, 0, side + off, 5, 0, 0, 1)]
    found += [(0, 3.0, 5, 0, 2.0, 5, 0, 0, 1), (3.0, 0, 5, 2.0, 0, 5, 0, 0, 1)]  # a pixel is a line
    for lean, sign in itertools.product((1.9, 1.99, 2.01, 2.1), (1, -1)):
        found += [
            (lean, 0.5, 9, sign * 0.5, sign * 0.5, 9, 0, 0, 1),
            (1.2, 0.4, 9, sign * (lean - 0.4 * 1.5) / 1.2, sign * 1.5, 9, 0, 0, 1),
        ]
    return maps(*found)


def far_away():
    """Terms of a coordinate about as large as float32 can bear."""
    found = []
    for off, sign in itertools.product((-300, -90, -40, -10, 10, 40, 90, 300), (1, -1)):
        found += [
            (sign, 0.2, sign * (8192 - 40 + off), 0, 1, 9, 0, 0, 1),
            (1, 0, 9, 0.5, sign, sign * (8192 - 40 + off), 0, 0, 1),
        ]
        found += [
            (1, -sign, sign * (8192 - 40 + off), 0.1, 1, 9, 0, 0, 1),
            (1, 0, 9, -sign, sign, sign * (8192 - 40 + off), 0.0005, 0, 1),
        ]
    return maps(*found)


def near_the_horizon():
    """w about as much smaller than its terms as it may be, or not positive at one to four corners of a tile."""
    (rows, columns), limit = SIZE, 15 / 17
    found = [(1, 0, 9, 0, 1, 9, 0, 0, -1), (1, 0, 9, 0, 1, 9, -1, 0, 0), (1, 0, 9, 0, 1, 9, 0, 0, 0)]
    for share, turn in itertools.product((0.5, 0.97, 0.995, 1.005, 1.03, 1.13, 1.2, 1.6, 2.5, 4), (0, 1, 2)):
        g, k = -limit * share / columns, -limit * share / rows
        tilt = ((g, 0, 1), (0, k, 1), (g / 2, k / 2, 1))[turn]
        found += [(1, 0, 9, 0, 1, 9, *tilt), (1, 0, 9, 0, 1, 9, -tilt[0], -tilt[1], share * limit * (tilt[2] - 2))]
    return maps(*found)


def near_the_horizon_at_random():
    """w at a corner of some tile is about as small beside its terms as it may be, and falls towards that corner."""
    g, count, (rows, columns) = torch.Generator().manual_seed(3), 800, LARGE
    h = at_random()[:count].double()
    u, v = (
        TILE * torch.randint(0, -(-n // TILE) + 1, (count,), generator=g).clamp(max=n // TILE) for n in (columns, rows)
    )
    tilt = torch.randn(count, 2, generator=g, dtype=torch.float64) / 300
    tilt[::8, 0], tilt[4::8, 1] = 0, 0
    there = tilt[:, 0] * u + tilt[:, 1] * v
    terms = tilt[:, 0].abs() * u + tilt[:, 1].abs() * v + there.abs()
    least = terms / (16 * (0.7 + 0.6 * torch.rand(count, generator=g, dtype=torch.float64)))
    h[:, 2] = torch.stack([tilt[:, 0], tilt[:, 1], least - there], 1)
    h[:, :2] *= least[:, None, None].clamp(min=1e-3)
    return h.float()


def whole_pixels():
    """Flips, turns and shifts, as exact as one that copies has to be, or a little less, in either coordinate."""
    found = []
    turns = [(a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)]
    turns += [(0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)]
    for (a, b, d, e), off in itertools.product(turns, (0.0, 0.97 * WHOLE, 1.03 * WHOLE)):
        found += [(a, b, 40 + off, d, e, 50, 0, 0, 1), (2 * a, 2 * b, 80, 2 * d, 2 * e, 100 - 2 * off, 0, 0, 2)]
        grown = 1 + off / (SIZE[1] - 1 if a else SIZE[0] - 1)
        found += [(a * grown, b * grown, 40 + 0.5, d, e, 50, 0, 0, 1), (a, b, 40, d, e, 50, off / 4000, 0, 1)]
    found += [
        (1, 1, 0, 0, 1, 0, 0, 0, 1),
        (1, 0, 0, 1, 0, 0, 0, 0, 1),
        (2, 0, 0, 0, 1, 0, 0, 0, 1),
        (0, 0, 9, 0, 1, 0, 0, 0, 1),
    ]
    found += [(1, 0, 0.5, 0, 1, 0.25, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, -1), (0.6, 0, 0, 0, 1.4, 0, 0, 0, 1)]
    for a, b, d, e in itertools.product((-1, 0, 1, 2), repeat=4):  # few of them turn or flip
        found.append((a, b, 40, d, e, 50, 0, 0, 1))
    return maps(*found)


def nearly_whole_pixels():
    """The same with every number a little off, so that one corner of the output or another decides."""
    g, count = torch.Generator().manual_seed(2), 400
    exact = whole_pixels()[:96:12].double()
    h = exact[torch.arange(count) % 8]
    off = (torch.rand(count, 3, 3, generator=g, dtype=torch.float64) - 0.5) * 2 * WHOLE
    off[:, :2, :2] /= 60
    off[:, 2] /= 6000 * torch.tensor([1.0, 1.0, 100.0])
    return (h + off * 4 * torch.rand(count, 1, 1, generator=g)).float()


def far_at_random():
    """Terms that are about as large at one corner or another."""
    return at_random(far=True)


def at_random(far=False):
    """Turned, scaled, tilted, and some beyond all reason, so that each corner of a tile decides somewhere."""
    g, count, (rows, columns) = torch.Generator().manual_seed(1), 1000, LARGE

    def between(low, high, *shape):
        return low + (high - low) * torch.rand(*(shape or (count,)), generator=g, dtype=torch.float64)

    angle, along, across = between(0, 2 * math.pi), between(-1, 2.2).exp(), between(-1, 2.2).exp()
    h = torch.zeros(count, 3, 3, dtype=torch.float64)
    h[:, 0, 0], h[:, 0, 1], h[:, 1, 0], h[:, 1, 1] = (
        angle.cos() * along, -angle.sin() * across, angle.sin() * along, angle.cos() * across,
    )  # fmt: skip
    h[:, 2, :2] = (
        between(-1, 1, count, 2) / columns * torch.tensor([0.0, 0.1, 0.6, 1.0, 1.6]).repeat(count // 5)[:, None]
    )
    h[:, 2, 2] = 1
    middle = torch.tensor([columns / 2, rows / 2, 1.0], dtype=torch.float64)
    target = between(0, 1, count, 2) * torch.tensor([WIDE, HIGH])
    if far:
        target += torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]).repeat(count // 4, 1) * between(
            8000, 8192, count, 1
        )
    h[:, :2, 2] = target * (h @ middle)[:, 2:] - (h @ middle)[:, :2]
    h *= between(0.3, 3)[:, None, None]
    h[::20] *= -1
    return h.float()


def broken():
    """A number that is none."""
    found = torch.eye(3).repeat(27, 1, 1).reshape(27, 9)
    for i, (place, value) in enumerate(itertools.product(range(9), (math.nan, math.inf, -math.inf))):
        found[i, place] = value
    return found.reshape(-1, 3, 3)


AT_RANDOM = (at_random, far_at_random, near_the_horizon_at_random)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter's, of what is infinite
@pytest.mark.parametrize(
    "kind",
    [
        at_the_frame,
        of_every_extent,
        far_away,
        near_the_horizon,
        near_the_horizon_at_random,
        whole_pixels,
        nearly_whole_pixels,
        at_random,
        far_at_random,
        broken,
    ],
)
@pytest.mark.parametrize("layout", ["dense", "packed", "gigabytes"])
def test_tiles_are_done_by_the_rules(kind, layout, tiles_agree, most, monkeypatch):
    homography, size = kind(), LARGE if kind in AT_RANDOM else SIZE
    homography = homography[:: -(-len(homography) // most)].contiguous()
    count, images = len(homography), torch.zeros(1, HIGH, WIDE, 3, dtype=torch.uint8)
    if layout == "gigabytes":  # few pass for as many: the number of bytes needs 64 bits, which is code of its own
        monkeypatch.setattr(gpu._Source, "total", property(lambda _: 2**31))
    if layout == "packed":  # all of them are the same one
        offsets, sizes = torch.zeros(count, dtype=torch.int64), torch.tensor([[HIGH, WIDE]] * count).int()
        here, there = (Packed(*(x.to(to) for x in (images.flatten(), offsets, sizes))) for to in ("cpu", DEVICE))
    else:
        here = images.expand(count, -1, -1, -1).contiguous()
        there = here.to(DEVICE)
    tiles_agree(gpu.tile_words(there, homography.to(DEVICE), size), here, homography, size)


@pytest.mark.parametrize("spare", [0, 3, 8, 64])
@pytest.mark.parametrize("begin", [0, 1])
def test_so_are_those_of_images_of_all_sizes(spare, begin, tiles_agree, most):
    """Images of a pixel or two, or that lie outside the data; the last one ends where the storage does, or before."""
    sizes = torch.tensor([*itertools.product((1, 2, 3, 4, 5, 31), repeat=2), (0, 4), (4, 0), (-4, 4), (4, 4), (4, 4)])
    sizes = torch.cat([sizes, torch.tensor([(20, 21)])])[-most:].int()
    lengths = 3 * sizes.long().clamp(min=0).prod(1)
    offsets = lengths.cumsum(0) - lengths
    offsets[-3:-1] = torch.tensor([-1, 1 << 40])
    storage = torch.zeros(begin + int(lengths.sum()) + spare, dtype=torch.uint8)
    data = storage.to(DEVICE)[begin : begin + int(lengths.sum())]
    images = Packed(data, offsets.to(DEVICE), sizes.to(DEVICE))
    homography = maps((0.2, 0.01, 0.3, -0.02, 0.2, 0.6, 0, 0, 1)).repeat(len(sizes), 1, 1)
    homography[-1] = maps((0.1, 0, 5, 0, 0.1, 5, 0, 0, 1))
    found = gpu.tile_words(images, homography.to(DEVICE), SIZE)
    tiles_agree(found, Packed(storage[begin : begin + int(lengths.sum())], offsets, sizes), homography, SIZE)


@pytest.mark.parametrize("length", [2**21, 2**21 + 1])
def test_images_too_long_for_float32_are_kept_within(length, tiles_agree):
    images, middle = torch.zeros(1, 8, length, 3, dtype=torch.uint8), maps((1.0, 0, 2**20, 0, 0.01, 4, 0, 0, 1))
    found = gpu.tile_words(images.to(DEVICE), middle.to(DEVICE), (33, 33))
    tiles_agree(found, images, middle, (33, 33))
