"""What this machine has for onewarp, and what is missing."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

from ..transforms.warp import backends
from .store.recipe import is_simd

_PACKAGES = ("torch", "triton", "kornia", "pyarrow", "simplejpeg", "dask", "accelerate")
_OPTIONAL = {"timm": "models by name: pip install 'onewarp[train]'"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, what it is, and what to do where it is not."""

    name: str
    well: bool
    detail: str
    advice: str = ""


def examine() -> list[Finding]:
    """All findings, the platform first."""
    return [_platform(), *_packages(), _pillow(), *_warp(), _device()]


def _platform() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("machine", True, f"Python {platform.python_version()}, {platform.platform()}, {cores} cores")


def _packages() -> list[Finding]:
    found = []
    for name in (*_PACKAGES, *_OPTIONAL):
        try:
            found.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            advice = _OPTIONAL.get(name, f"pip install {name}" if name != "triton" else "comes with torch on Linux")
            found.append(Finding(name, name in (*_OPTIONAL, "triton"), "not installed", advice))
    return found


def _pillow() -> Finding:
    import PIL

    if is_simd():
        return Finding("pillow-simd", True, f"{PIL.__version__}, in Pillow's place")
    return Finding("pillow", True, f"{PIL.__version__} (pillow-simd is not installed; JPEG pixels do not need it)")


def _warp() -> list[Finding]:
    advice = {
        "cpu": "install a C++ compiler, then reinstall onewarp: without it the warp on a CPU runs in torch, far slower",
        "gpu": "" if not torch.cuda.is_available() else "install triton",
    }
    needed = {"gpu": torch.cuda.is_available(), "cpu": True, "reference": True}
    return [
        Finding(f"warp {b.name}", b.available or not needed[b.name], b.detail, "" if b.available else advice[b.name])
        for b in backends().values()
    ]


def _device() -> Finding:
    if not torch.cuda.is_available():
        return Finding("cuda", True, "no GPU: everything runs on the CPU")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding("cuda", True, names)
