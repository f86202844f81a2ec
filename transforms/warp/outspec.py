"""What the warp is to make: size, number format, memory layout, padding and filter."""

from dataclasses import dataclass
from typing import Literal

import torch

from ...errors import WarpError

Layout = Literal["nchw", "channels_last"]
Padding = Literal["reflection", "border", "zeros"] | tuple[float, float, float]

DTYPES = (torch.float32, torch.bfloat16, torch.uint8)
LAYOUTS = ("nchw", "channels_last")
PADDINGS = ("reflection", "border", "zeros")


@dataclass(frozen=True)
class OutSpec:
    """What a warp is to make.

    `size` is (height, width) in pixels. `dtype` is float32, bfloat16 or uint8 (the colour map's result times 255,
    rounded half to even and limited to 0..255; float64 too, from the reference alone). The result is always
    `[N, 3, h, w]`; `layout` says how it lies in memory. `padding` continues the source beyond its frame: `reflection`
    mirrors it about the edges 0 and W, `border` repeats the outermost pixel, `zeros` is black, and three numbers in
    0..1 are an RGB colour. Where the homography's w is not positive there is no source: such a pixel is the padding
    colour, black where there is none. With `antialias` each output pixel is the mean over its footprint, without it
    one bilinear sample at its centre.

    Raises `WarpError` for anything else.

    >>> OutSpec(size=(224, 224)).padding
    'reflection'
    """

    size: tuple[int, int]
    dtype: torch.dtype = torch.float32
    layout: Layout = "nchw"
    padding: Padding = "reflection"
    antialias: bool = True

    def __post_init__(self) -> None:
        size = tuple(self.size)
        if len(size) != 2 or any(isinstance(n, bool) or int(n) != n or n < 1 for n in size):
            raise WarpError(f"OutSpec size must be (height, width), both at least 1, but got {self.size!r}")
        object.__setattr__(self, "size", (int(size[0]), int(size[1])))
        if self.dtype not in (*DTYPES, torch.float64):
            raise WarpError(f"OutSpec dtype must be float32, bfloat16 or uint8, but got {self.dtype}")
        if self.layout not in LAYOUTS:
            raise WarpError(f"OutSpec layout must be one of {LAYOUTS}, but got {self.layout!r}")
        if isinstance(self.padding, str):
            if self.padding not in PADDINGS:
                raise WarpError(
                    f"OutSpec padding must be one of {PADDINGS} or an RGB colour in 0..1, but got {self.padding!r}"
                )
            return
        colour = tuple(self.padding)
        if len(colour) != 3 or not all(0 <= c <= 1 for c in colour):
            raise WarpError(f"OutSpec padding colour must be three numbers in 0..1, but got {self.padding!r}")
        object.__setattr__(self, "padding", tuple(float(c) for c in colour))

    @property
    def fill(self) -> tuple[float, float, float]:
        """The RGB colour, in 0..1, of a pixel that has no source."""
        return (0.0, 0.0, 0.0) if isinstance(self.padding, str) else self.padding

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch names it."""
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
