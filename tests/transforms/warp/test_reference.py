"""The reference, held to results worked out by hand and to torch's own `grid_sample`."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onewarp.transforms.warp import OutSpec, validity, warp, warp_mask
from onewarp.transforms.warp.packed import Packed

SAME = torch.eye(3, 4)[None]


def matrix(*rows: tuple[float, float, float]) -> Tensor:
    return torch.tensor([rows], dtype=torch.float32)


IDENTITY = torch.eye(3)[None]


def ramp(height: int, width: int) -> Tensor:
    """An image whose red is the column and whose green is the row."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([column, row, torch.full_like(row, 7)], -1).to(torch.uint8)[None]


def reference(images: Tensor | Packed, homography: Tensor, size: tuple[int, int], **settings: object) -> Tensor:
    parameters = {name: settings.pop(name) for name in ("logit", "hue", "table", "erase") if name in settings}
    out = OutSpec(size, **{"dtype": torch.float64, **settings})  # type: ignore[arg-type]
    colour = parameters.pop("colour", SAME).expand(len(images), 3, 4)
    return warp(images, homography, parameters.pop("logit", None), colour, out, backend="reference", **parameters)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("homography", "expected"),
    [
        (matrix((1, 0, 0), (0, 1, 0), (0, 0, 1)), lambda x: x),
        (matrix((-1, 0, 5), (0, 1, 0), (0, 0, 1)), lambda x: x.flip(2)),
        (matrix((1, 0, 0), (0, -1, 5), (0, 0, 1)), lambda x: x.flip(1)),
        (matrix((0, 1, 0), (1, 0, 0), (0, 0, 1)), lambda x: x.transpose(1, 2)),
        (matrix((0, -2, 10), (2, 0, 0), (0, 0, 2)), lambda x: x.rot90(1, (1, 2))),
    ],
)
def test_flips_and_quarter_turns_copy_pixels(homography, expected, antialias):
    images = torch.randint(0, 256, (1, 5, 5, 3), dtype=torch.uint8)
    y = reference(images, homography, (5, 5), dtype=torch.uint8, antialias=antialias)
    assert torch.equal(y.permute(0, 2, 3, 1), expected(images))


def test_plain_sampling_is_bilinear_between_centres():
    y = reference(ramp(3, 4), matrix((1, 0, 0.25), (0, 1, 0.5), (0, 0, 1)), (1, 2), antialias=False)[0] * 255
    assert y[0].tolist() == [pytest.approx([0.25, 1.25])]
    assert y[1].tolist() == [pytest.approx([0.5, 0.5])]


@pytest.mark.parametrize(
    ("padding", "left_of_the_frame"),
    [
        ("reflection", [2, 1, 0, 0, 1]),
        ("border", [0, 0, 0, 0, 1]),
        ("zeros", [0, 0, 0, 0, 1]),
        ((0.2, 0.4, 0.6), [51, 51, 51, 0, 1]),
    ],
)
def test_padding_begins_at_the_edge(padding, left_of_the_frame):
    for antialias in (True, False):
        y = reference(
            ramp(3, 4), matrix((1, 0, -3), (0, 1, 0), (0, 0, 1)), (1, 5), padding=padding, antialias=antialias
        )
        assert (y[0, 0, 0] * 255).tolist() == pytest.approx(left_of_the_frame)


@pytest.mark.parametrize(
    ("padding", "torch_name"), [("reflection", "reflection"), ("border", "border"), ("zeros", "zeros")]
)
def test_plain_sampling_agrees_with_grid_sample(padding, torch_name):
    images = torch.randint(0, 256, (1, 7, 9, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    homography = matrix((1.7, -0.9, -6), (0.8, 1.3, -4), (0.01, -0.02, 1))
    y = reference(images, homography, (12, 14), padding=padding, antialias=False)
    v, u = torch.meshgrid(torch.arange(12).double() + 0.5, torch.arange(14).double() + 0.5, indexing="ij")
    p = homography[0].double() @ torch.stack([u, v, torch.ones_like(u)]).reshape(3, -1)
    grid = (p[:2] / p[2] / torch.tensor([[9.0], [7.0]]) * 2 - 1).T.reshape(1, 12, 14, 2)
    x = images.permute(0, 3, 1, 2).double() / 255
    torch.testing.assert_close(y, F.grid_sample(x, grid, padding_mode=torch_name, align_corners=False))


def test_a_pixel_without_a_source_is_fill():
    homography = matrix((1, 0, 0), (0, 1, 0), (-1, 0, 2))  # w is positive for u < 2
    for padding, fill in (("reflection", 0.0), ((0.25, 0.5, 0.75), 0.25)):
        for antialias in (True, False):
            y = reference(ramp(4, 4) + 100, homography, (4, 4), padding=padding, antialias=antialias)
            assert torch.equal(y[0, 0, :, 2:], torch.full((4, 2), fill, dtype=torch.float64))
            assert (y[0, 0, 0, :2] > fill).all()


@pytest.mark.parametrize("shrink", [1.3, 2.0, 2.9, 4.0, 8.0, 16.0])
def test_shrinking_keeps_a_ramp_and_removes_a_checkerboard(shrink):
    homography = matrix((shrink, 0, 32), (0, shrink, 32), (0, 0, 1))
    size = int(64 / shrink), int(64 / shrink)
    y = reference(ramp(128, 128), homography, size)[0, 0, 0] * 255
    assert y.tolist() == pytest.approx([32 + shrink * (u + 0.5) - 0.5 for u in range(size[1])])
    if shrink >= 2:
        board = ((ramp(128, 128)[..., :1] + ramp(128, 128)[..., 1:2]) % 2 * 255).expand(1, 128, 128, 3)
        assert (reference(board, homography, size) - 0.5).abs().max() < 0.09


def colour_of(rgb, **parameters):
    y = warp(
        torch.tensor(rgb, dtype=torch.float64).reshape(1, 1, 1, 3),
        IDENTITY,
        parameters.pop("logit", None),
        parameters.pop("colour", SAME),
        OutSpec((1, 1), torch.float64),
        **parameters,
    )
    return y.flatten().tolist()


def test_brightness_contrast_and_saturation_are_affine_in_logits():
    brightness = torch.eye(3, 4)[None]
    brightness[..., 3] = math.log(0.6 / 0.4)
    assert colour_of([0.3] * 3, logit=brightness) == pytest.approx([0.391304] * 3, abs=1e-6)
    assert colour_of([0.3] * 3, logit=2 * torch.eye(3, 4)[None]) == pytest.approx([0.155172] * 3, abs=1e-6)
    grey = torch.zeros(1, 3, 4)
    grey[..., :3] = torch.tensor([0.2989, 0.5870, 0.1140])
    assert colour_of([0.2, 0.5, 0.8], logit=grey) == pytest.approx([0.436267] * 3, abs=1e-6)
    assert colour_of([0.0, 1.0, 0.5], logit=SAME) == pytest.approx([0, 1, 0.5], abs=1e-6)


def test_hue_turns_the_hsv_circle():
    assert colour_of([0.2, 0.5, 0.8], hue=torch.tensor([0.5])) == pytest.approx([0.8, 0.5, 0.2])
    assert colour_of([1, 0, 0], hue=torch.tensor([1 / 3])) == pytest.approx([0, 1, 0], abs=1e-6)
    assert colour_of([1, 0, 0], hue=torch.tensor([-1 / 3])) == pytest.approx([0, 0, 1], abs=1e-6)
    assert colour_of([0.4, 0.4, 0.4], hue=torch.tensor([0.77])) == pytest.approx([0.4] * 3)


def test_a_table_is_interpolated_between_grey_levels():
    invert = torch.linspace(1, 0, 256)[None]
    assert colour_of([0, 100.25 / 255, 1], table=invert) == pytest.approx([1, 1 - 100.25 / 255, 0], abs=1e-6)


def test_the_operations_act_in_the_order_logit_hue_table_colour():
    parameters = {
        "logit": 2 * torch.eye(3, 4)[None],  # .3 -> .155172, .5 stays
        "hue": torch.tensor([0.5]),  # cyan to red: (.5, .155172, .155172)
        "table": torch.linspace(0, 2, 256)[None],  # (1, .310345, .310345)
        "colour": torch.tensor([[[1.0, 0, 0, 10], [0, 1, 0, 20], [1, 1, 1, 0]]]),
    }
    assert colour_of([0.3, 0.5, 0.5], **parameters) == pytest.approx([11.0, 20.310345, 1.62069], abs=1e-5)


def test_erase_replaces_pixels_by_their_centres():
    images = torch.full((2, 4, 4, 3), 255, dtype=torch.uint8)
    y = reference(images, IDENTITY.expand(2, 3, 3), (4, 4), erase=torch.tensor([[0.6, 0, 2.5, 2], [9, 9, 9, 9]]))
    assert (y[0, 0] == 0).nonzero().tolist() == [[0, 1], [1, 1]]
    assert (y[1] == 1).all()
    y = reference(images[:1], IDENTITY, (4, 4), erase=torch.tensor([[0, 0, 1, 1, 0.25, 0.5, 2]]))
    assert y[0, :, 0, 0].tolist() == [0.25, 0.5, 2]


def test_output_formats():
    images = torch.tensor([0, 1, 2], dtype=torch.uint8).reshape(1, 1, 1, 3)
    scaled = 0.5 * SAME
    y = warp(images, IDENTITY, None, scaled, OutSpec((1, 1), torch.uint8), backend="reference")
    assert y.flatten().tolist() == [0, 0, 1]  # 0, .5 (to even), 1
    y = warp(images, IDENTITY, None, 300 * SAME, OutSpec((1, 1), torch.uint8), backend="reference")
    assert y.flatten().tolist() == [0, 255, 255]
    y = warp(images, IDENTITY, None, SAME, OutSpec((1, 1), torch.bfloat16), backend="reference")
    assert y.dtype == torch.bfloat16
    y = warp(ramp(4, 4), IDENTITY, None, SAME, OutSpec((4, 4), layout="channels_last"), backend="reference")
    assert y.shape == (1, 3, 4, 4)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_packed_images_come_out_as_dense_ones():
    images = [torch.randint(0, 256, (h, w, 3), dtype=torch.uint8) for h, w in ((5, 7), (1, 1), (3, 2))]
    homography = matrix((0.7, 0.1, -1), (0.2, 0.9, 0.5), (0, 0, 1)).expand(3, 3, 3)
    together = reference(Packed.of(images), homography, (6, 8))
    for i, image in enumerate(images):
        assert torch.equal(together[i : i + 1], reference(image[None], homography[:1], (6, 8)))


def test_no_images_give_no_images():
    y = warp(
        torch.empty(0, 8, 8, 3, dtype=torch.uint8), torch.empty(0, 3, 3), None, torch.empty(0, 3, 4), OutSpec((4, 5))
    )
    assert y.shape == (0, 3, 4, 5)


def test_validity_marks_what_shows_the_source():
    tilted = matrix((1, 0, -1), (0, 1, 0), (-0.25, 0, 1))  # w is positive for u < 4
    seen = validity(torch.zeros(1, 3, 4, 3), tilted, OutSpec((2, 6)))
    # (u - 1) / (1 - u / 4) at .5, 1.5, 2.5, 3.5: -.57, .8, 4, 20; y = v / w: .5, 1.5 / .625 = 2.4 in the second row.
    assert seen[0].tolist() == [[False, True, False, False, False, False]] * 2


def test_masks_are_never_interpolated():
    mask = torch.tensor([[[0, 5, 5, 0], [0, 5, 5, 0]]], dtype=torch.int16)
    third = (0.0, 0.0, 1.0)
    shifted = warp_mask(mask, matrix((1, 0, 0.4), (0, 1, 0), third), OutSpec((2, 4)))
    assert shifted.dtype == torch.int16
    assert torch.equal(shifted, mask)
    shifted = warp_mask(mask, matrix((1, 0, 0.6), (0, 1, 0), third), OutSpec((2, 4), padding="zeros"), fill=9)
    assert shifted[0].tolist() == [[5, 5, 0, 9]] * 2
    halved = warp_mask(mask, matrix((2, 0, 0), (0, 2, 0), third), OutSpec((1, 2)), mode="majority")
    assert halved[0].tolist() == [[0, 0]]  # as many of one as of the other: the smaller
    few = torch.tensor([[[1, 1, 1, 2], [1, 3, 2, 2]]])
    assert warp_mask(few, matrix((2, 0, 0), (0, 2, 0), third), OutSpec((1, 2)), mode="majority").tolist() == [[[1, 2]]]
    assert warp_mask([few[0], mask[0].long()], IDENTITY.expand(2, 3, 3), OutSpec((2, 4))).shape == (2, 2, 4)


@pytest.mark.parametrize("mode", ["nearest", "majority"])
@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.uint16,
        torch.int32,
        torch.uint32,
        torch.int64,
        torch.uint64,
    ],
    ids=str,
)
def test_masks_of_every_whole_number_are_warped_alike(dtype, mode):
    labels = torch.tensor([[[1, 0, 0], [0, 1, 1], [1, 1, 0]]])
    shift = torch.tensor([[[1.0, 0, -1], [0, 1, 0], [0, 0, 1]]])
    out = OutSpec((3, 3), padding="zeros")
    warped = warp_mask(labels.to(dtype), shift, out, fill=1, mode=mode)
    assert warped.dtype == dtype
    assert torch.equal(warped.long(), warp_mask(labels, shift, out, fill=1, mode=mode))
