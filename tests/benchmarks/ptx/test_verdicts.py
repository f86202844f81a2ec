"""What became of mutants is counted, and told with its reason."""

from onewarp.benchmarks.ptx import verdicts
from onewarp.benchmarks.ptx.verdicts import SAME_OUTPUTS, SAME_RESULT, result, table

ROW = {"kernel": "k", "kind": "another opcode", "place": "nobody.py:0:0", "line": "x = a | b", "change": "a | b -> c"}
ROWS = [
    {**ROW, "tests": 3, "noticed": "test", "why": "off"},
    {**ROW, "tests": 3, "noticed": "", "why": SAME_RESULT},
    {**ROW, "tests": 3, "noticed": "", "why": SAME_OUTPUTS},
]


def test_mutants_are_counted_by_kernel_and_by_kind():
    found = result(ROWS, "sm_90", "a compiler", 7)
    assert found["kernels"][-1] == {"name": "all", "mutants": 3, "same": 1, "noticed": 1, "share": 0.5}
    assert found["kinds"] == [{**found["kernels"][-1], "name": "another opcode"}]
    assert found["not noticed"] == ROWS[1:]
    lines = table(found).splitlines()
    assert "| all | 3 | 1 | 1 | 50.0% |" in lines
    assert lines[-1].startswith("a compiler; commit ")
    assert lines[-1].endswith("; seed 7.")


def test_a_survivor_is_explained_by_its_line_and_its_change(monkeypatch):
    monkeypatch.setattr(verdicts, "REASONS", {("a | b", "-> c"): "b is a part of a", ("a | b", "-> d"): "never"})
    assert f"| `a \\| b -> c` | `x = a \\| b` | {SAME_OUTPUTS}; b is a part of a |" in table(result(ROWS, "", "", 0))
