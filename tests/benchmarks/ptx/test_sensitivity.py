"""A study of mutants, on a kernel of two instructions and tests that notice much, little or nothing."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton")

from onewarp.benchmarks.ptx import Interpreter, sensitivity
from onewarp.benchmarks.ptx.verdicts import SAME_OUTPUTS, SAME_RESULT, WITHIN_TOLERANCE


class Item:
    """A test: it launches the kernel and says why it fails, if it does."""

    def __init__(self, interpreter, kernel, name, judge):
        self.interpreter, self.kernel, self.name, self.nodeid, self.judge = interpreter, kernel, name, name, judge

    def run(self):
        arrays = [torch.zeros(64, dtype=torch.int32), torch.zeros(64, dtype=torch.int32)]
        try:
            with self.interpreter:
                self.interpreter.launch(self.interpreter.changed(self.kernel), [*arrays, 7], (1,))
        except Exception as error:
            return f"{type(error).__module__}.{type(error).__name__}: {error}"
        return "" if self.judge(arrays[1]) else "AssertionError: other numbers"


@pytest.fixture
def item(make_kernel, monkeypatch):
    """Makes a test of the kernel whose thread i leaves i + 1."""
    monkeypatch.setattr(sensitivity, "KERNELS", ("k",))
    monkeypatch.setattr(sensitivity, "_failure", Item.run)
    kernel, interpreter = make_kernel("add.s32 %r2, %r1, 1;\n st.global.b32 [%rd4], %r2;"), Interpreter("sm_90")
    return lambda name, judge: Item(interpreter, kernel, name, judge)


RIGHT = torch.arange(1, 65, dtype=torch.int32)


def test_a_test_of_every_number_notices_what_makes_another_one(item):
    exact = item("exact", lambda found: torch.equal(found, RIGHT))
    verdicts = list(sensitivity.Study(exact.interpreter, 0).run([exact], 20))
    assert len(verdicts) == 20
    assert {one.noticed for one in verdicts if one.why not in (SAME_RESULT, SAME_OUTPUTS)} == {"exact"}
    assert sum(bool(one.noticed) for one in verdicts) > 15
    assert {one.tests for one in verdicts} == {1}


def test_a_test_of_nothing_notices_faults_alone_and_it_is_said_by_how_much_outputs_differ(item):
    blind = item("blind", lambda found: True)
    verdicts = list(sensitivity.Study(blind.interpreter, 0).run([blind], 20))
    assert all("Fault" in one.why for one in verdicts if one.noticed)
    differ = [one.why for one in verdicts if one.why.startswith(WITHIN_TOLERANCE)]
    assert differ
    assert all(why.endswith("in blind") for why in differ)


def test_the_same_seed_tries_the_same_mutants(item):
    changes = []
    for seed in (1, 1, 2):
        exact = item("exact", lambda found: torch.equal(found, RIGHT))
        changes.append([one.row()["change"] for one in sensitivity.Study(exact.interpreter, seed).run([exact], 5)])
    assert changes[0] == changes[1] != changes[2]


def test_a_test_that_fails_on_the_code_as_it_is_ends_the_study(item):
    wrong = item("wrong", lambda found: False)
    with pytest.raises(RuntimeError, match="wrong fails on the code as it is: AssertionError: other numbers"):
        list(sensitivity.Study(wrong.interpreter, 0).run([wrong], 1))


def test_the_instruction_of_a_mutant_is_counted_by_the_second():
    mutant = SimpleNamespace(kernel=SimpleNamespace(text="k"), place=1)
    one = sensitivity.Baseline(None, {"k": [5, 64]}, [], seconds=2.0)
    assert one.visits_a_second(mutant) == 32
    mutant.kernel.text = "another"
    assert one.visits_a_second(mutant) == 0


def test_a_verdict_is_a_line():
    row = {"kernel": "k", "place": "a.py:1:1", "kind": "another opcode", "change": "a -> b", "noticed": "", "why": "x"}
    assert sensitivity.describe(row) == "k a.py:1:1: another opcode: a -> b: NOT NOTICED: x"
    assert sensitivity.describe({**row, "noticed": "test_it"}).endswith("a -> b: noticed by test_it: x")
