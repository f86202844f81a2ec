"""The GPU's tests on interpreted PTX: `python -m onewarp.benchmarks.ptx [TARGET ...] [--moved TIMES]`.

Prints for each target (by default sm_90 and sm_100) the number of tests, what of the code they reach, and fails if one
of them fails: because a result is off, or because a thread did what no correct kernel does.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests" / "transforms" / "warp" / "triton"


def run_tests(target: str, moved: float) -> subprocess.CompletedProcess[str]:
    """All tests of the kernels, as compiled for one target."""
    here = {"CUDA_VISIBLE_DEVICES": "", "ONEWARP_PTX": target, "ONEWARP_MOVED": str(moved)}
    # ptxas has to accept the code, but nobody runs what it makes of it.
    quick = {"DISABLE_PTXAS_OPT": "1", "TRITON_DEFAULT_FP_FUSION": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    options = ["--confcutdir", str(TESTS.parents[2]), str(TESTS)]
    environment = {**os.environ, **here, **quick}
    return subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)


def main() -> int:
    """1 if a test of one target fails."""
    parser = argparse.ArgumentParser(prog="python -m onewarp.benchmarks.ptx", description=__doc__)
    parser.add_argument("targets", nargs="*", default=["sm_90", "sm_100"], help="as sm_80, sm_90, sm_100")
    parser.add_argument(
        "--moved", type=float, default=0.0, help="by how many of their largest errors to move approximations"
    )
    options = parser.parse_args()
    failed = False
    for target in options.targets:
        done = run_tests(target, options.moved)
        failed |= done.returncode != 0
        text = done.stdout
        print(text[text.find(f"{target}: ") :] if done.returncode == 0 else text + done.stderr, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
