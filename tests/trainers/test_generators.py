"""torch's generators in a checkpoint: each process gets its own back."""

from types import SimpleNamespace

import pytest
import torch

from onewarp.trainers import generators

ALONE = SimpleNamespace(process_index=0, num_processes=1)


def test_the_numbers_after_a_state_come_again():
    before = torch.get_rng_state()
    try:
        state = generators.of_every_process(ALONE)
        first = torch.rand(3)
        assert not torch.equal(first, torch.rand(3))
        generators.restore(state, 0)
        assert torch.equal(first, torch.rand(3))
    finally:
        torch.set_rng_state(before)


def test_a_process_that_was_not_there_keeps_the_generator_that_it_has():
    state = generators.of_every_process(ALONE)
    torch.rand(3)
    before = torch.get_rng_state()
    generators.restore(state, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_has_the_number_of_its_process():
    third = generators.of_every_process(SimpleNamespace(process_index=2, num_processes=1))
    assert {name.rpartition(".")[0] for name in third} == {"rng.2"}
    assert torch.equal(third["rng.2.cpu"], torch.get_rng_state())


@pytest.mark.parametrize("state", [torch.zeros(5056, dtype=torch.int64), torch.zeros(7, dtype=torch.uint8)])
def test_what_torch_would_not_take_is_refused_by_name(state):
    generators.check(generators.of_every_process(ALONE) | {"model.rng.weight": torch.zeros(3)})
    with pytest.raises(ValueError, match=r"rng\.1\.cpu is torch\.\w+ \["):
        generators.check({"rng.1.cpu": state})
