"""One function, three back ends: a homography and a colour map per image, in one filtered interpolation.

README.md beside this file has the mathematics; `reference.py` is that in plain torch, `cpu` and `gpu` are held to it.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ...errors import WarpError
from . import cpu, native, operator, reference
from .checks import check_fill, check_homography, check_images, check_masks, check_outspec
from .dispatch import Backend, BackendName, backends
from .dispatch import warp as run
from .outspec import OutSpec
from .packed import Packed

__all__ = ["Backend", "OutSpec", "Packed", "backends", "validity", "warp", "warp_mask"]


def warp(
    images: Tensor | Packed,
    homography: Tensor,
    logit: Tensor | None,
    colour: Tensor,
    out: OutSpec,
    *,
    hue: Tensor | None = None,
    table: Tensor | None = None,
    erase: Tensor | None = None,
    backend: BackendName | None = None,
) -> Tensor:
    """Warp and colour a batch: one filtered interpolation per image, then its colour map.

    `images` is `uint8[N, H, W, 3]`, `Packed` images of mixed sizes, or floating `[N, H, W, 3]` in 0..1 (float64 goes
    through the reference). Every parameter is float32, with one row per image, on the images' device:

    - `homography` `[N, 3, 3]` maps continuous output pixels to continuous source pixels (centres at .5);
    - `logit` `[N, 3, 4]`, or None: an affine map of the logits of RGB in 0..1, whose sigmoid is taken again;
    - `hue` `[N]`, or None: turns of the HSV circle;
    - `table` `[N, 256]`, or None: for each channel, 0..255 grey levels to values in 0..1, interpolated linearly;
    - `colour` `[N, 3, 4]`: an affine map of RGB in 0..1; its result is the output (times 255 for uint8);
    - `erase` `[N, 4]` or `[N, 7]`, or None: (left, top, right, bottom) in output pixels that become 0, or the three
      values behind it.

    They act in this order. Returns `[N, 3, h, w]` as `out` says. `backend` is `gpu` (Triton), `cpu` (C++) or
    `reference` (torch); by default the fastest that serves these images.

    There are no gradients: the result is a constant to autograd. `torch.compile` takes the warp as one operation
    (`operator.py`) and does not break its graph.

    Raises `WarpError` for whatever does not fit, before a pixel is read.

    >>> images = torch.arange(12, dtype=torch.uint8).reshape(1, 2, 2, 3)
    >>> mirror = torch.tensor([[[-1.0, 0, 2], [0, 1, 0], [0, 0, 1]]])
    >>> same = torch.eye(3, 4)[None]
    >>> warp(images, mirror, None, same, OutSpec((2, 2), dtype=torch.uint8))[0, 0].tolist()
    [[3, 0], [9, 6]]
    """
    way = operator.call if torch.compiler.is_compiling() else run
    return way(images, homography, logit, colour, out, hue, table, erase, backend)


def warp_mask(
    masks: Tensor | Sequence[Tensor],
    homography: Tensor,
    out: OutSpec,
    fill: int = 0,
    mode: Literal["nearest", "majority"] = "nearest",
) -> Tensor:
    """Warp label masks through the same homographies; a label is never interpolated.

    `masks` is `[N, H, W]` of any integer type or bool, or a sequence of `[H, W]` of mixed sizes. Of `out` only the
    size and the padding count: `fill` is the label where there is no source (`zeros` or a colour). `nearest` takes
    the label at the output pixel's centre, `majority` the most frequent in its footprint (of equals the smallest).
    Returns `[N, h, w]` of the masks' dtype.

    >>> mask = torch.tensor([[[1, 2], [3, 4]]])
    >>> half = torch.tensor([[[1.0, 0, -1], [0, 1, 0], [0, 0, 1]]])
    >>> warp_mask(mask, half, OutSpec((2, 2), padding="zeros"), fill=9).tolist()
    [[[9, 1], [9, 3]]]
    """
    check_outspec(out)
    count, device = check_masks(masks)
    check_homography(homography, count, device)
    if mode not in ("nearest", "majority"):
        raise WarpError(f"mode must be 'nearest' or 'majority', but got {mode!r}")
    votes = mode == "majority"
    dtype = masks.dtype if isinstance(masks, Tensor) else masks[0].dtype if count else torch.int64
    check_fill(fill, dtype)
    done = None
    if native.extension and device.type == "cpu" and count:
        done = cpu.warp_mask(masks, homography, out, fill, votes)
    return reference.warp_mask(masks, homography, out, fill, votes) if done is None else done


def validity(images: Tensor | Packed, homography: Tensor, out: OutSpec) -> Tensor:
    """Which output pixels show the source and not its padding: `bool[N, h, w]`, judged at their centres.

    >>> shift = torch.tensor([[[1.0, 0, -1], [0, 1, 0], [0, 0, 1]]])
    >>> validity(torch.zeros(1, 2, 2, 3), shift, OutSpec((2, 2)))[0].tolist()
    [[False, True], [False, True]]
    """
    check_outspec(out)
    count, device = check_images(images)
    check_homography(homography, count, device)
    sizes = images.sizes if isinstance(images, Packed) else homography.new_tensor(images.shape[1:3]).expand(count, 2)
    if native.extension and device.type == "cpu":
        return cpu.validity(sizes, homography, out)
    return reference.validity(sizes, homography, out.size)
