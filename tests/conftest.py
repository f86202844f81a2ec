"""What all tests share: the folder of real photos, and a quiet, headless matplotlib."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in the background of a script: tests send it, to themselves too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository; without it the test is skipped, and fails where `CI` is set."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if folder.is_dir():
        return folder
    if os.environ.get("CI"):
        pytest.fail(f"CI must have real photos in {folder}")
    pytest.skip(f"needs real photos in {folder}")


@pytest.fixture(scope="session")
def pets(shared: Path) -> Path:
    """489 photos of pets, 37 breeds."""
    return shared / "pets" / "images"
