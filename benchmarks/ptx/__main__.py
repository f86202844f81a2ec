"""The GPU's tests on interpreted PTX.

`python -m onewarp.benchmarks.ptx [TARGET ...] [--moved TIMES]` prints for each target (by default sm_90 and sm_100) the
number of tests, what of the code they reach, and fails if one of them fails: because a result is off, or because a
thread did what no correct kernel does.

`python -m onewarp.benchmarks.ptx mutations [--count N] [--seed N] [--target TARGET] [--out FOLDER]` tries the tests
themselves: it changes one instruction of the compiled code at a time, and fails if they notice less than 92 % of such
changes; see `sensitivity.py` and `verdicts.py`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .sass import version
from .verdicts import LEAST_NOTICED, result, table

TESTS = Path(__file__).resolve().parents[2] / "tests" / "transforms" / "warp" / "triton"


def run_tests(target: str, moved: float, *more: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """All tests of the kernels, as compiled for one target; `more` options of pytest, `settings` of the environment."""
    here = {"CUDA_VISIBLE_DEVICES": "", "ONEWARP_PTX": target, "ONEWARP_MOVED": str(moved), **settings}
    # ptxas has to accept the code, but nobody runs what it makes of it.
    quick = {"DISABLE_PTXAS_OPT": "1", "TRITON_DEFAULT_FP_FUSION": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = ["--confcutdir", str(TESTS.parents[2]), str(TESTS), *more]
    environment = {**os.environ, **here, **quick}
    return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)


def run_mutants(target: str, count: int, seed: int, *more: str) -> list[dict[str, Any]]:
    """What the tests make of `count` mutants, a row for each.

    Raises `RuntimeError` where the tests cannot be run, or fail on the code as it is.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "mutants.json"
        asked = json.dumps({"count": count, "seed": seed, "out": str(out)})
        done = run_tests(target, 0.0, "--tb=line", *more, ONEWARP_MUTANTS=asked)
        if not out.exists():
            raise RuntimeError(f"the tests cannot be tried: {done.stdout[-4000:]}{done.stderr[-2000:]}")
        rows: list[dict[str, Any]] = json.loads(out.read_text())
        return rows


def tests(arguments: Sequence[str]) -> int:
    """1 if a test of one target fails."""
    parser = argparse.ArgumentParser(
        prog="python -m onewarp.benchmarks.ptx", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=["sm_90", "sm_100"], help="as sm_80, sm_90, sm_100")
    parser.add_argument(
        "--moved", type=float, default=0.0, help="by how many of their largest errors to move approximations"
    )
    options = parser.parse_args(arguments)
    failed = False
    for target in options.targets:
        done = run_tests(target, options.moved)
        failed |= done.returncode != 0
        text = done.stdout
        print(text[text.find(f"{target}: ") :] if done.returncode == 0 else text + done.stderr, flush=True)
    return int(failed)


def mutations(arguments: Sequence[str]) -> int:
    """1 if the tests notice too few mutants."""
    parser = argparse.ArgumentParser(prog="python -m onewarp.benchmarks.ptx mutations")
    parser.add_argument("--count", type=int, default=200, help="how many mutants, shared evenly by the kernels")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--target", default="sm_90", help="as sm_80, sm_90, sm_100")
    parser.add_argument("--out", type=Path, help="a folder for the result as JSON")
    options = parser.parse_args(arguments)
    rows = run_mutants(options.target, options.count, options.seed)
    found = result(rows, options.target, version(), options.seed)
    print(table(found))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"mutants--{options.target}.json").write_text(json.dumps(found, indent=1) + "\n")
    return int(found["kernels"][-1]["share"] < LEAST_NOTICED)


def main() -> int:
    """Run the tests, or try them by mutants; 0 if all is well."""
    first, *rest = sys.argv[1:] or [""]
    return mutations(rest) if first == "mutations" else tests(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
