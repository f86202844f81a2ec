"""What this machine has for onewarp, and what is missing."""

import json
import platform
import shlex
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch

from ...transforms.warp import backends
from ...transforms.warp.threads import cores
from ..cache.recipe import is_simd

_PACKAGES = ("torch", "triton", "kornia", "pyarrow", "simplejpeg", "dask", "accelerate")
_OPTIONAL = {
    "timm": "only for models by name: pip install timm",
    "triton": "only for GPUs; it comes with torch on Linux",
}
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, what it is, what to do, and whether it is there at all.

    What is not there and not needed is well.
    """

    name: str
    well: bool
    detail: str
    advice: str = ""
    there: bool = True


def examine() -> list[Finding]:
    """All findings, the platform first."""
    return [_platform(), _onewarp(), *_packages(), _pillow(), *_warp(), _device()]


def _platform() -> Finding:
    python = f"Python {platform.python_version()}, {platform.platform()}"
    return Finding("machine", True, f"{python}, {cores()} cores")


def _onewarp() -> Finding:
    """The package that was imported, which must be the one that is installed."""
    try:
        installation = distribution("onewarp")
    except PackageNotFoundError:
        return Finding("onewarp", True, f"in {_PACKAGE}, not installed")
    other = Path(str(installation.locate_file("onewarp"))).resolve()
    if other.is_dir() and other != _PACKAGE:
        advice = "start Python in another folder, or install that one: pip install --editable " + shlex.quote(
            str(_PACKAGE)
        )
        return Finding("onewarp", False, f"{_PACKAGE} hides the one that is installed, {other}", advice)
    return Finding("onewarp", True, f"{installation.version} in {_PACKAGE}")


def _packages() -> list[Finding]:
    findings = []
    for name in (*_PACKAGES, *_OPTIONAL.keys() - {"triton"}):
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            advice = _OPTIONAL.get(name, f"pip install {name}")
            findings.append(Finding(name, name in _OPTIONAL, "not installed", advice, there=False))
    return findings


def _pillow() -> Finding:
    import PIL

    if is_simd():
        return Finding("pillow-simd", True, f"{PIL.__version__}, in Pillow's place")
    return Finding("pillow", True, f"{PIL.__version__} (pillow-simd is not installed; JPEG pixels do not need it)")


def _warp() -> list[Finding]:
    gpu = torch.cuda.is_available()
    needed = {"gpu": gpu, "cpu": True, "reference": True}
    advice = {"cpu": _rebuild_advice(), "gpu": "pip install triton" if gpu else ""}
    return [
        Finding(
            f"warp {b.name}",
            b.available or not needed[b.name],
            b.detail,
            "" if b.available else advice.get(b.name, ""),
            there=b.available,
        )
        for b in backends().values()
    ]


def _rebuild_advice() -> str:
    """How to build the kernel that is missing, from where onewarp was installed."""
    return (
        "the warp on a CPU runs in torch, far slower; install a C++ compiler and Python's headers (Debian: g++, "
        f"python3-dev), then: pip install --force-reinstall --no-deps --no-cache-dir {_origin()}"
    )


def _origin() -> str:
    """The argument with which pip has installed onewarp, to be given to pip again."""
    try:
        installed: Distribution = distribution("onewarp")
    except PackageNotFoundError:
        return f"--editable {shlex.quote(str(_PACKAGE))}"
    direct_url = json.loads(installed.read_text("direct_url.json") or "{}")
    if "url" not in direct_url:
        return f"--no-binary onewarp onewarp=={installed.version}"
    url = urlsplit(direct_url["url"])
    where = shlex.quote(unquote(url.path) if url.scheme == "file" else direct_url["url"])
    if where.endswith(".whl"):
        return "SOURCE, the sources that the wheel was built from"
    return f"--editable {where}" if direct_url.get("dir_info", {}).get("editable") else where


def _device() -> Finding:
    if not torch.cuda.is_available():
        return Finding("cuda", True, "no GPU: everything runs on the CPU", there=False)
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding("cuda", True, names)
