"""The warp in plain torch: what the other back ends are held to. The mathematics is in README.md."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .footprint import TILE, jacobian, moves_whole_pixels, project, subpixels, taps
from .outspec import OutSpec, Padding
from .packed import Packed

EPSILON = 1e-7
"""What logits are kept from: x and 1 - x count as no less."""


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
    precision: torch.dtype = torch.float64,
) -> Tensor:
    """Warp and colour a batch, one image after the other; arguments as `onewarp.transforms.warp.warp`, unchecked."""
    height, width = out.size
    device = homography.device
    result = torch.empty(
        (len(images), 3, height, width), dtype=out.dtype, device=device, memory_format=out.memory_format
    )
    counts = subpixels(homography, out.size)
    copies = moves_whole_pixels(homography, out.size)
    for i in range(len(images)):
        image = images[i].to(precision)
        if not images[i].is_floating_point():
            image = image / 255
        h = homography[i].to(precision).reshape(9)
        rgb = filter_image(image, h, counts[i], bool(copies[i]), out)  # [h, w, 3]
        rgb = recolour(rgb, *(None if p is None else p[i].to(precision) for p in (logit, hue, table)))
        matrix = colour[i].to(precision)  # [3, 4]
        rgb = rgb @ matrix[:, :3].T + matrix[:, 3]
        if erase is not None:
            rgb = erase_rectangle(rgb, erase[i].to(precision))
        if out.dtype == torch.uint8:
            rgb = (rgb * 255).round().clamp(0, 255)
        result[i] = rgb.permute(2, 0, 1)
    return result


def filter_image(image: Tensor, h: Tensor, counts: Tensor, copy: bool, out: OutSpec) -> Tensor:
    """The geometry of one image: `[H, W, 3]` through homography `h[9]` to `[h, w, 3]`, in 0..1."""
    height, width = out.size
    if not out.antialias:
        rows, columns = pixel_grid(out.size, h)
        return sample(image, h, rows + 0.5, columns + 0.5, None, out)
    rgb = image.new_empty(height, width, 3)
    for count_v, count_u in {(int(n[1]), int(n[0])) for n in counts.reshape(-1, 2)}:
        here = (counts[..., 0] == count_u) & (counts[..., 1] == count_v)
        chosen = here.repeat_interleave(TILE, 0).repeat_interleave(TILE, 1)[:height, :width]
        rows, columns = (index.to(h.dtype) for index in chosen.nonzero(as_tuple=True))
        total = image.new_zeros(len(rows), 3)
        for j in range(count_v):
            for i in range(count_u):
                v, u = rows + (j + 0.5) / count_v, columns + (i + 0.5) / count_u
                total += sample(image, h, v, u, (0.0, 0.0) if copy else (1 / count_u, 1 / count_v), out)
        rgb[chosen] = (total / (count_u * count_v)).clamp(0, 1)
    return rgb


def pixel_grid(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers of every output pixel, as floats `[h, w]`."""
    v = torch.arange(size[0], dtype=like.dtype, device=like.device)
    u = torch.arange(size[1], dtype=like.dtype, device=like.device)
    v, u = torch.meshgrid(v, u, indexing="ij")
    return v, u


def sample(image: Tensor, h: Tensor, v: Tensor, u: Tensor, sides: tuple[float, float] | None, out: OutSpec) -> Tensor:
    """One filtered sample at every output position `(u, v)`: `[..., 3]`.

    `sides` is the width and height of the (sub-)pixel whose footprint the filter covers; None is bilinear.
    """
    x, y, w = project(h, u, v)
    xu, xv, yu, yv = jacobian(h, x, y, torch.where(w > 0, w, 1.0))
    x, y = near(x, image.shape[1], out.padding), near(y, image.shape[0], out.padding)
    x0, y0 = (x - 0.5).floor(), (y - 0.5).floor()
    fx, fy = x - 0.5 - x0, y - 0.5 - y0
    weights_x: tuple[Tensor, ...] = (1 - fx, fx)
    weights_y: tuple[Tensor, ...] = (1 - fy, fy)
    first = 0
    if sides is not None:
        du, dv = sides
        first = -1
        weights_x = taps(fx, torch.hypot(xu * du, xv * dv).clamp(max=3))
        weights_y = taps(fy, torch.hypot(yu * du, yv * dv).clamp(max=3))
    fill = image.new_tensor(out.fill)
    total = torch.zeros((*x.shape, 3), dtype=image.dtype, device=image.device)
    for j, weight_y in enumerate(weights_y):
        row, row_inside = inside(y0.long() + first + j, image.shape[0], out.padding)
        for i, weight_x in enumerate(weights_x):
            column, column_inside = inside(x0.long() + first + i, image.shape[1], out.padding)
            pixel = torch.where((row_inside & column_inside)[..., None], image[row, column], fill)
            total += (weight_y * weight_x)[..., None] * pixel
    return torch.where((w > 0)[..., None], total, fill)


def near(x: Tensor, length: int, padding: Padding) -> Tensor:
    """A coordinate that finds the same colour, but within the frame or a few pixels of it."""
    if padding == "reflection":
        x = torch.remainder(x, 2 * length)
        return torch.minimum(x, 2 * length - x)
    return x.clamp(-4, length + 4)


def inside(index: Tensor, length: int, padding: Padding) -> tuple[Tensor, Tensor]:
    """The pixel that stands for pixel `index`, and whether there is one."""
    kept = (index >= 0) & (index < length)
    if padding == "reflection":
        index = torch.remainder(index, 2 * length)
        index = torch.minimum(index, 2 * length - 1 - index)
    if padding in ("reflection", "border"):
        kept = torch.ones_like(kept)
    return index.clamp(0, length - 1), kept


def recolour(rgb: Tensor, logit: Tensor | None, hue: Tensor | None, table: Tensor | None) -> Tensor:
    """The colour map of one image up to the last affine map: `[..., 3]` in 0..1."""
    if logit is not None:
        z = rgb.clamp(min=EPSILON).log() - (1 - rgb).clamp(min=EPSILON).log()
        rgb = torch.sigmoid(z @ logit[:, :3].T + logit[:, 3])
    if hue is not None:
        rgb = turn_hue(rgb, hue)
    if table is not None:
        grey = rgb.clamp(0, 1) * 255
        below = grey.floor().clamp(max=254)
        index = below.long()
        rgb = torch.lerp(table[index], table[index + 1], grey - below)
    return rgb


def turn_hue(rgb: Tensor, turns: Tensor) -> Tensor:
    """Hue moved by `turns` of the HSV circle; value and saturation stay.

    With value V, chroma C and hue h in sixths, channel n = 5, 3, 1 (red, green, blue) is
    V - C max(0, min(k, 4 - k, 1)) with k = (n + h) mod 6 (https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative).
    """
    value, least = rgb.amax(-1), rgb.amin(-1)
    chroma = value - least
    safe = torch.where(chroma > 0, chroma, 1.0)
    red, green, blue = rgb.unbind(-1)
    from_blue = torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixth = torch.where(value == red, (green - blue) / safe, from_blue)
    k = torch.remainder((sixth + 6 * turns)[..., None] + rgb.new_tensor([5.0, 3.0, 1.0]), 6)
    return value[..., None] - chroma[..., None] * torch.minimum(k, 4 - k).clamp(0, 1)


def erase_rectangle(rgb: Tensor, rectangle: Tensor) -> Tensor:
    """The picture `[h, w, 3]` with the pixels whose centres lie in the rectangle replaced.

    `rectangle` is (left, top, right, bottom) in pixels of the output, then, where given, the RGB to put there.
    """
    v, u = pixel_grid((rgb.shape[0], rgb.shape[1]), rgb)
    left, top, right, bottom = rectangle[:4]
    hit = (u + 0.5 >= left) & (u + 0.5 < right) & (v + 0.5 >= top) & (v + 0.5 < bottom)
    value = rectangle[4:] if len(rectangle) > 4 else rgb.new_zeros(3)
    return torch.where(hit[..., None], value, rgb)


def validity(sizes: Tensor, homography: Tensor, size: tuple[int, int]) -> Tensor:
    """Which output pixels have their centres inside the source's frame: `bool[N, h, w]`.

    `sizes` is `[N, 2]`, the sources' (height, width).
    """
    h = homography.double().reshape(-1, 1, 1, 9)
    v, u = pixel_grid(size, h)
    x, y, w = project(h, u + 0.5, v + 0.5)
    height, width = sizes.to(h)[:, :, None, None].unbind(1)
    return (w > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)


def warp_mask(masks: Tensor | Sequence[Tensor], homography: Tensor, out: OutSpec, fill: int, votes: bool) -> Tensor:
    """Warp label masks, one after the other: nearest, or by `votes` of the footprint; arguments unchecked."""
    counts = subpixels(homography, out.size)
    first = masks[0] if len(masks) else masks
    dtype = first.dtype if isinstance(first, Tensor) else torch.int64
    result = torch.empty((len(masks), *out.size), dtype=dtype, device=homography.device)
    for i in range(len(masks)):
        h = homography[i].double().reshape(9)
        rows, columns = pixel_grid(out.size, h)
        mask = masks[i].long()  # torch picks from all kinds of numbers only from 2.12 on
        if votes:
            result[i] = most_frequent(mask, h, rows, columns, counts[i], out, fill)
        else:
            result[i] = label_at(mask, h, rows + 0.5, columns + 0.5, out, fill)
    return result


def label_at(mask: Tensor, h: Tensor, v: Tensor, u: Tensor, out: OutSpec, fill: int) -> Tensor:
    """The label of the source pixel that holds each output position."""
    x, y, w = project(h, u, v)
    column, column_inside = inside(near(x, mask.shape[1], out.padding).floor().long(), mask.shape[1], out.padding)
    row, row_inside = inside(near(y, mask.shape[0], out.padding).floor().long(), mask.shape[0], out.padding)
    return torch.where((w > 0) & row_inside & column_inside, mask[row, column], fill)


def most_frequent(
    mask: Tensor, h: Tensor, rows: Tensor, columns: Tensor, counts: Tensor, out: OutSpec, fill: int
) -> Tensor:
    """The label that most of 4 x 4 positions in each sub-pixel have; of equals the smallest."""
    tile = (rows.long() // TILE, columns.long() // TILE)
    result = torch.empty(rows.shape, dtype=mask.dtype, device=mask.device)
    for count_u, count_v in {(int(n[0]), int(n[1])) for n in counts.reshape(-1, 2)}:
        chosen = (counts[..., 0][tile] == count_u) & (counts[..., 1][tile] == count_v)
        v, u = rows[chosen], columns[chosen]
        labels = torch.stack(
            [
                label_at(mask, h, v + (j + 0.5) / (4 * count_v), u + (i + 0.5) / (4 * count_u), out, fill)
                for j in range(4 * count_v)
                for i in range(4 * count_u)
            ],
            -1,
        ).long()
        labels = labels.sort(-1)[0]  # [k, votes]
        place = torch.arange(labels.shape[-1], device=labels.device).expand(labels.shape)
        begins = labels.diff(dim=-1, prepend=labels[..., :1] - 1) != 0
        run = place - torch.where(begins, place, 0).cummax(-1)[0]
        winner = run.argmax(-1, keepdim=True)  # the first of equals
        result[chosen] = labels.gather(-1, winner).squeeze(-1).to(mask.dtype)
    return result
