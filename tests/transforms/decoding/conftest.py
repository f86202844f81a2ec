"""A picture, its file in any format, and how alike two pictures are."""

import io

import numpy as np
import pytest
from PIL import Image


def smooth_photo(height=96, width=128):
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 2 % 256, y * 2 % 256, (x + y) % 256], -1).astype(np.uint8)
    return Image.fromarray(smooth)


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def signal_to_noise(a, b):
    """In decibels."""
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((a.astype(float) - b.astype(float)) ** 2))))


@pytest.fixture(scope="session")
def photo():
    return smooth_photo


@pytest.fixture(scope="session")
def file_of():
    """The bytes of an image's file: `file_of(image, kind, **options)`."""
    return saved


@pytest.fixture(scope="session")
def psnr():
    return signal_to_noise
