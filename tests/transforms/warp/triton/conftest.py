"""These tests run Triton kernels in one of three ways.

- `TRITON_INTERPRET=1`: Triton interprets their source, on the host
- `ONEWARP_PTX=sm_90`: what is compiled for that GPU is interpreted, on the host (`benchmarks/ptx`); `ONEWARP_MOVED=1`
  moves every approximate result by its largest error
- neither, and there is a GPU: they run on it

`test_gpu.py` runs the first two in processes of their own, because Triton decides when it is imported.
"""

import os

import pytest
import torch

INTERPRETED, TARGET = os.environ.get("TRITON_INTERPRET") == "1", os.environ.get("ONEWARP_PTX")
collect_ignore_glob = [] if INTERPRETED or TARGET or torch.cuda.is_available() else ["*"]

if TARGET:
    from onewarp.benchmarks.ptx import Interpreter
    from onewarp.benchmarks.ptx.coverage import coverage

    torch.set_num_threads(1)
    INTERPRETER = Interpreter(TARGET, float(os.environ.get("ONEWARP_MOVED", "0")))

    @pytest.fixture(autouse=True)
    def on_ptx():
        with INTERPRETER:
            yield

    def pytest_terminal_summary(terminalreporter):
        """A fault fails its test, so that those that pass have none."""
        passed = len(terminalreporter.stats.get("passed", []))
        terminalreporter.write_line(f"{INTERPRETER.summary()}; {passed} tests without a fault")
        terminalreporter.write_line(str(coverage(INTERPRETER.visits)))
