"""Pillow as it is mostly used, in a file that needs nothing else: run in another environment it measures pillow-simd.

As a program it takes a line of JSON (`{"paths": […], "size": N, "keep": FILE or null}`) on stdin for each round, and
answers with one of seconds. `keep` has it leave its pixels there, as `.npy`.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL
from PIL import Image

Presize = Callable[[str, int], Any]


def presize(path: str, size: int) -> Any:
    """The centre of a picture as `uint8[size, size, 3]`: decoded whole, cropped and resized in one call."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box))


def time_all(presize: Presize, paths: Sequence[str], size: int) -> float:
    """Seconds of processor time for all of them."""
    begun = time.process_time()
    for path in paths:
        presize(path, size)
    return time.process_time() - begun


def serve(presize: Presize, version: str) -> None:
    """Answer round by round."""
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["keep"]:
            np.save(asked["keep"], np.stack([presize(path, asked["size"]) for path in asked["paths"]]))
        print(json.dumps({"seconds": time_all(presize, asked["paths"], asked["size"])}), flush=True)


if __name__ == "__main__":
    serve(presize, PIL.__version__)
