"""Photos for tables."""

import pytest


@pytest.fixture
def photos(pictures):
    """The bytes of four pictures by key."""
    return {key: (pictures / key).read_bytes() for key in ("cat/0.png", "cat/2.png", "dog/1.png", "dog/3.png")}
