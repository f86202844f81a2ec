"""What a warp's arguments must be, and what is said of those that are not."""

import pytest
import torch

from onewarp.errors import WarpError
from onewarp.transforms.warp import OutSpec, warp, warp_mask
from onewarp.transforms.warp.checks import check_fill, check_homography, check_images, check_masks
from onewarp.transforms.warp.packed import Packed

IDENTITY = torch.eye(3)[None]
SAME = torch.eye(3, 4)[None]
GOOD = {
    "images": torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
    "homography": IDENTITY.expand(2, 3, 3),
    "logit": None,
    "colour": SAME.expand(2, 3, 4),
    "out": OutSpec((4, 4)),
}
NAN = IDENTITY.expand(2, 3, 3).clone()
NAN[1, 0, 0] = torch.nan
FLAT = IDENTITY.expand(2, 3, 3).clone()
FLAT[1, 1] = 2 * FLAT[1, 0]
PAST = Packed(
    torch.zeros(95, dtype=torch.uint8), torch.tensor([0, 48]), torch.tensor([[4, 4], [4, 4]], dtype=torch.int32)
)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"homography": NAN}, "homography must be finite, but row 1"),
        ({"homography": FLAT}, "homography must have an inverse, but row 1"),
        ({"homography": torch.zeros(2, 3, 3)}, "must have an inverse, but row 0"),
        ({"homography": IDENTITY.double().expand(2, 3, 3)}, "homography must be a float32 tensor"),
        (
            {"homography": IDENTITY},
            r"homography must be a float32 tensor \[2, 3, 3\], but got torch.float32 \[1, 3, 3\]",
        ),
        ({"homography": [1]}, "homography must be a float32 tensor"),
        ({"homography": torch.empty(2, 3, 3, device="meta")}, "on the images' device cpu"),
        ({"images": torch.zeros(2, 3, 4, 4, dtype=torch.uint8)}, r"images must be \[N, H, W, 3\]"),
        ({"images": torch.zeros(2, 4, 4, 3, dtype=torch.int32)}, "images must be uint8"),
        ({"images": torch.zeros(2, 0, 4, 3, dtype=torch.uint8)}, "at least one pixel"),
        ({"images": "cat"}, "images must be a tensor"),
        ({"images": PAST}, "Packed image 1 must lie within the 95 bytes of data, but it takes bytes 48 to 96"),
        ({"images": Packed(PAST.data, torch.tensor([-1, 0]), PAST.sizes)}, "Packed image 0 must lie within"),
        ({"images": Packed(PAST.data, PAST.offsets, 0 * PAST.sizes)}, "at least one pixel"),
        ({"images": Packed(PAST.data, PAST.offsets.int(), PAST.sizes)}, "Packed offsets must be torch.int64"),
        ({"images": Packed(PAST.data, PAST.offsets, PAST.sizes[:1])}, r"Packed sizes must be \[2, 2\]"),
        ({"logit": torch.zeros(2, 3, 3)}, "logit must be a float32 tensor"),
        ({"colour": torch.zeros(2, 4, 3)}, "colour must be a float32 tensor"),
        ({"hue": torch.zeros(2, 1)}, "hue must be a float32 tensor"),
        ({"table": torch.zeros(256)}, "table must be a float32 tensor"),
        ({"erase": torch.zeros(2, 5)}, "erase must be a float32 tensor"),
        ({"out": (4, 4)}, "out must be an OutSpec"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(WarpError, match=message):
        warp(**{**GOOD, **changed})


def test_masks_that_do_not_fit_are_refused():
    good = torch.zeros(2, 3, 3, dtype=torch.uint8)
    for masks in (good.float(), good[0], [good[0], good[1].int()], [good], [torch.zeros(0, 3).int()] * 2):
        with pytest.raises(WarpError, match="mask"):
            warp_mask(masks, IDENTITY.expand(2, 3, 3), OutSpec((2, 2)))
    with pytest.raises(WarpError, match="mode must be"):
        warp_mask(good, IDENTITY.expand(2, 3, 3), OutSpec((2, 2)), mode="bilinear")


def test_a_fill_that_the_masks_cannot_hold_is_refused():
    masks, same = torch.zeros(1, 4, 4, dtype=torch.uint8), torch.eye(3)[None]
    for fill in (-1, 256):
        with pytest.raises(WarpError, match=r"fill must be a label in 0\.\.255"):
            warp_mask(masks, same, OutSpec((4, 4)), fill=fill)


def test_what_fits_is_counted_and_placed():
    assert check_images(GOOD["images"]) == (2, torch.device("cpu"))
    assert check_images(Packed(PAST.data.repeat(2), PAST.offsets, PAST.sizes)) == (2, torch.device("cpu"))
    assert check_masks([torch.zeros(3, 4).int(), torch.zeros(5, 6).int()]) == (2, torch.device("cpu"))
    assert check_masks(torch.zeros(0, 4, 4).bool()) == (0, torch.device("cpu"))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_how_flat_a_homography_is_does_not_depend_on_its_scale(scale):
    nearly = torch.tensor([[[1.0, 0, 0], [0, 1e-6, 0], [0, 0, 1]]])  # thin, and with an inverse
    check_homography(scale * nearly, 1, torch.device("cpu"))
    with pytest.raises(WarpError, match="must have an inverse, but row 0"):
        check_homography(scale * torch.tensor([[[1.0, 2, 3], [2, 4, 6], [0, 0, 1]]]), 1, torch.device("cpu"))


@pytest.mark.parametrize(
    ("dtype", "fills", "wrong"),
    [(torch.uint8, (0, 255), (-1, 256, 0.5)), (torch.int16, (-32768, 32767), (40000,)), (torch.bool, (0, 1), (2,))],
    ids=str,
)
def test_a_fill_is_a_label_that_the_dtype_holds(dtype, fills, wrong):
    for fill in fills:
        check_fill(fill, dtype)
    for fill in wrong:
        with pytest.raises(WarpError, match=f"fill must be a label in .*, but got {fill}"):
            check_fill(fill, dtype)
