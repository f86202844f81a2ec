"""One call on a machine with a GPU: checks, tests, then figures, the most telling first, within a budget of seconds.

Each part is a process with a time limit of its own, and each figure is in the JSON as soon as there is one, so that
nothing is lost when the call is cut off. The next call goes on with what the JSON does not have yet; a JSON of other
sources, or of another machine, is put aside first. Nothing is measured where a check or a test fails.

Exit: 0 if all is measured that can be, 1 if a part failed, 2 for wrong usage, 3 if the budget is used up: call again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from .measuring.report import Report

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
DRY_TESTS = "test_flips_quarter_turns_and_shifts_copy"
SHORT = ["--steps", "30", "--rounds", "3"]
"""Of the training loop, so that it fits."""
LEAST = 10.0
"""The seconds that must be left of the budget for a part to be started."""


@dataclass(frozen=True)
class Part:
    """At most how many seconds a part takes, the package that it needs, and whether the rest depends on it."""

    limit: float
    package: str | None = None
    gate: bool = False


PARTS = {
    "checks": Part(120, gate=True),
    "tests": Part(180, "pytest", gate=True),
    "warp": Part(60),
    "graph": Part(60),
    "alone": Part(60),
    "kornia": Part(60, "kornia"),
    "kornia-compiled": Part(120, "kornia"),
    "triton-augment": Part(60, "triton_augment"),
    "torchvision": Part(45, "torchvision"),
    "dali": Part(45, "nvidia.dali"),
    "cv-cuda": Part(45, "cvcuda"),
    "waiting": Part(150, "timm"),
    "grid-sample": Part(45),
    "fastai": Part(45, "fastai"),
    "tune": Part(300),
}
"""In the order in which they are done; `tune` only where it is asked for."""


def is_installed(package: str) -> bool:
    """Whether a package can be found."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the one that it lies in
        return False


def lack(name: str) -> str | None:
    """Why a part cannot be done here."""
    package = PARTS[name].package
    if package is not None and not is_installed(package):
        return f"{package} is not installed"
    if name in ("tests", "waiting"):  # which load caches and dispatch on types: all else needs torch, triton and numpy
        try:
            for module in ("plum", f"{__package__}.input_stall"):
                import_module(module)
        except ImportError as error:
            return str(error)
    return None


def command(name: str, report: Report, photos: Path | None, dry: bool) -> list[str]:
    """The words of the command that does a part."""
    python = [sys.executable, "-m"]
    if name == "tests":
        options = ["-q", "-x", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
        options += ["--rootdir", str(ROOT), "--confcutdir", str(TESTS), *(["-k", DRY_TESTS] if dry else [])]
        return [*python, "pytest", *options, str(TESTS / "transforms" / "warp" / "triton")]
    if name == "waiting":
        file = report.path.with_name("waiting-dry.json" if dry else "waiting.json")
        return [*python, "onewarp.benchmarks.input_stall", "--out", str(file), *(["--dry"] if dry else SHORT)]
    more = [*([] if photos is None else ["--photos", str(photos)]), *(["--dry"] if dry else [])]
    return [*python, "onewarp.benchmarks.gpu", "--part", name, "--report", str(report.path), *more]


def run_limited(words: list[str], limit: float) -> str:
    """Run a command for at most `limit` seconds, its output to standard error; how it ended, `done` where it did."""
    try:
        done = subprocess.run(words, stdout=sys.stderr, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"cut off after {limit:.0f} s"
    return "done" if done.returncode == 0 else f"failed with exit code {done.returncode}"


def unpack(wheels: Path, folder: str) -> bool:
    """Install what a folder of wheels has for this Python into another folder, without a network."""
    names = sorted({path.name.split("-")[0] for path in wheels.glob("*.whl")})
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder]
    if not names:
        print(f"--wheels names a folder with files *.whl, but {wheels} has none", file=sys.stderr)
        return False
    return run_limited([*pip, "--find-links", str(wheels), *names], 120) == "done"


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="on_gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "benchmarks" / "results", help="where to write and to go on")
    add("--photos", type=Path, help="a folder of photos to augment; those beside the repository if not given")
    add("--wheels", type=Path, help="a folder of wheels to take packages from; they are removed at the end")
    add("--budget", type=float, default=480.0, metavar="SECONDS", help="for the whole call (480)")
    add("--only", action="append", choices=list(PARTS), metavar="PART", help=f"one of {', '.join(PARTS)}; repeatable")
    add("--tune", action="store_true", help="also measure ways to divide the warp among threads")
    add("--dry", action="store_true", help="without a GPU: everything but the figures")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Unpack wheels where they are named, then do the parts; see the module for the exit code."""
    end = time.monotonic()
    options = parse_options(arguments)
    end += options.budget
    options.out, options.photos = options.out.resolve(), options.photos and options.photos.resolve()
    if options.dry:
        os.environ["TRITON_INTERPRET"] = "1"
    if options.wheels is None:
        return parts(options, end)
    with tempfile.TemporaryDirectory() as folder:
        if not unpack(options.wheels.resolve(), folder):
            return 2
        sys.path.append(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), folder]))
        return parts(options, end)


def parts(options: argparse.Namespace, end: float) -> int:
    """Do the parts that are asked for and not done yet, until the clock is at `end`."""
    import torch

    from . import gpu  # it imports what the wheels may bring

    if not options.dry and not torch.cuda.is_available():
        print(
            "on_gpu.sh needs a GPU that torch can see; --dry --out FOLDER goes as far as one can without",
            file=sys.stderr,
        )
        return 2
    report = Report.open(options.out, gpu.machine(options.dry), options.dry)
    asked = options.only or [name for name in PARTS if name != "tune" or options.tune]
    code, left = 0, [name for name in PARTS if name in asked or PARTS[name].gate]
    for name in left.copy():
        if report.state(name) != "done" and (reason := lack(name)) is not None:
            report.end(name, f"not done: {reason}")
        elif report.state(name) != "done":
            limit = min(PARTS[name].limit * (10 if options.dry else 1), end - time.monotonic())  # interpreters are slow
            if limit < LEAST:
                print(f"the budget of {options.budget:.0f} s is used up; the next call goes on with: {', '.join(left)}")
                return 3
            report.end(name, run_limited(command(name, report, options.photos, options.dry), limit))
        print(f"{name}: {report.state(name)}", flush=True)
        if report.state(name).startswith("failed"):
            code = 1
        # Tests that are cut off have not failed: they stop at the first that does. The checks must all be there.
        if PARTS[name].gate and (code or (name == "checks" and report.state(name) != "done")):
            print("nothing is measured: the warp has to be right on this device first")
            return 1
        left.remove(name)
    print(report.table())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
