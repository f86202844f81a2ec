"""What a measurement leaves: one JSON file for suite, machine and device, in one shape that is checked."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...transforms.warp import backends

RESULTS = Path(__file__).parents[1] / "results"
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "fastai",
    "kornia",
    "torchvision",
    "albumentations",
    "opencv-python-headless",
    "fuse-augmentations",
    "triton",
)
SHAPE: dict[str, type] = {
    "suite": str,
    "device": str,
    "machine": dict,
    "commit": str,
    "versions": dict,
    "settings": dict,
    "rows": list,
    "asked": list,
}
ROWS: dict[str, dict[str, type]] = {
    "augment": {"name": str, "threads": int, "status": str, "images_per_second": dict},
    "quality": {"name": str, "setting": str, "status": str, "psnr": dict},
    "learners": {"name": str, "seed": int, "status": str, "error_rate": float, "epochs": list},
    "presize": {"name": str, "setting": str, "status": str, "images_per_second": dict, "psnr": dict},
    "workers": {"name": str, "status": str, "files_per_second": list},
    "recovery": {},
    "versions": {"name": str, "ratio": list, "noise": list},
    "resuming": {"name": str, "setting": str},
    "serve": {"name": str, "times": float},
    "faults": {"name": str, "setting": str, "cases": int, "outcomes": dict},
    "hostile": {"name": str, "setting": str, "cases": int, "outcomes": dict},
}
GOAL: dict[str, Any] = {"measure": str, "asked": (int, float), "got": (int, float), "holds": bool}
STATUSES = ("measured", "not installed", "not taken", "failed", "wrong")


def about(suite: str, device: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The head of a result: what was measured with what, on what."""
    return {
        "suite": suite,
        "device": device,
        "machine": machine(),
        "commit": commit(),
        "versions": {"python": sys.version.split()[0], **{name: v for name in PACKAGES if (v := version_of(name))}},
        "settings": dict(settings),
    }


def machine() -> dict[str, Any]:
    """The processor as Linux names it, its cores, how busy it is, and the warp's back ends."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "load_average": round(os.getloadavg()[0], 1),
        "warp": {name: state.detail for name, state in backends().items()},
    }


def commit(checkout: Path = Path(__file__).parent) -> str:
    """The commit that is measured, with `-dirty` where files differ from it."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return "unknown"
    return done.stdout.strip() or "unknown"


def version_of(name: str) -> str | None:
    """The version of a package, if it is there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check(found: Any) -> None:
    """Raise `UsageError` where this is not a result of a suite."""
    _fields(found, SHAPE, "result")
    for row in found["rows"]:
        _fields(row, {"status": str}, "row")
        if row["status"] not in STATUSES:
            raise UsageError(f"status of {row.get('name')} must be one of {STATUSES}, but got {row['status']!r}")
        shape = ROWS[found["suite"]]
        measured = row["status"] == "measured"
        _fields(row, shape if measured else {"name": str, "reason": str}, f"row {row.get('name')}")
        for figures in (row.get("images_per_second", {}) if measured else {}).values():
            if len(figures) != 3 or list(figures) != sorted(figures) or figures[0] <= 0:
                raise UsageError(f"quartiles of {row['name']} must be three rising numbers, but got {figures}")
    for asked in found["asked"]:
        _fields(asked, GOAL, "asked")


def _fields(found: Any, shape: Mapping[str, Any], what: str) -> None:
    if not isinstance(found, dict):
        raise UsageError(f"{what} must be a mapping, but got {type(found).__name__}")
    for name, kind in shape.items():
        if not isinstance(found.get(name), kind):
            raise UsageError(f"{what} must have {name!r} of {kind}, but got {found.get(name)!r}")


def slug(found: Mapping[str, Any]) -> str:
    """`<suite>--<machine>--<device>`."""
    words = f"{found['machine']['processor']} {found['machine']['cores']} cores".lower()
    return f"{found['suite']}--{re.sub('[^a-z0-9]+', '-', words).strip('-')}--{found['device']}"


def write(found: Mapping[str, Any], folder: Path) -> Path:
    """Check a result and write it into `folder`; returns the file."""
    check(found)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slug(found)}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def read(suite: str, device: str = "cpu", folder: Path = RESULTS) -> list[dict[str, Any]]:
    """All results of a suite in `folder`, checked, by the name of their machine."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{suite}--*--{device}.json"))]
    for one in found:
        check(one)
    return found


def find_row(rows: Sequence[Mapping[str, Any]], **fields: Any) -> Mapping[str, Any] | None:
    """The first row that was measured and has these fields."""
    for row in rows:
        if row["status"] == "measured" and all(row.get(name) == value for name, value in fields.items()):
            return row
    return None


def goal(measure: str, least: float, got: float) -> dict[str, Any]:
    """A figure beside the least that was asked of it."""
    return {"measure": measure, "asked": least, "got": round(got, 2), "holds": bool(got >= least)}
