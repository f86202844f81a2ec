import copy

import numpy as np
import pytest
import torch

from onewarp.errors import TrainingError, UsageError
from onewarp.trainers import Learner, minimum, slide, steep, valley
from onewarp.trainers.find import Grid


def on_grid(rate):
    k = (np.log10(rate) + 7) * 100 / 8
    return abs(k - round(k)) < 1e-6


def test_the_grid_has_100_steps_from_1e7th_to_10():
    grid = Grid()
    assert grid.rate(0) == 1e-7
    assert grid.rate(100) == pytest.approx(10)
    assert all(on_grid(grid.rate(k)) for k in range(101))


def test_suggestions_by_hand():
    rates = np.array([Grid().rate(k) for k in range(40, 80)])
    losses = np.concatenate([np.full(10, 4.0), np.linspace(4, 1, 20), np.linspace(1.2, 9, 10)])
    losses[20] -= 0.1  # the steepest fall is the one into this point
    assert minimum(rates, losses) == rates[29] / 10
    assert steep(rates, losses) == rates[19]
    assert losses[np.flatnonzero(rates == valley(rates, losses))[0]] < 4
    assert slide(rates, losses) in rates


def test_suggestions_lie_on_the_grid_and_everything_is_put_back(data, model):
    learn = Learner(data, model, table=False)
    learn.fit(1, 1e-3)
    weights, state = copy.deepcopy(model.state_dict()), copy.deepcopy(learn.opt.state_dict())
    generator, steps = torch.get_rng_state(), len(learn.recorder.losses)
    found = learn.lr_find(suggest_funcs=(minimum, steep, valley, slide))
    assert found._fields == ("minimum", "steep", "valley", "slide")
    assert on_grid(found.minimum * 10)
    assert all(on_grid(rate) for rate in found[1:])
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    after = learn.opt.state_dict()
    assert after["param_groups"] == state["param_groups"]
    for index, slot in state["state"].items():
        assert all(torch.equal(after["state"][index][key], value) for key, value in slot.items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert (learn.n_fits, learn.epochs, len(learn.recorder.losses)) == (1, 1, steps)
    assert len(found.plot().axes[0].lines) == 5


def test_it_stops_when_the_loss_diverges(data):
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3))
    seen = []
    learn = Learner(data, linear, table=False)
    train = learn._train

    def count(*args):
        train(*args)
        seen.append(1)

    learn._train = count
    learn.lr_find(start_lr=1e-4, end_lr=1e4)
    assert len(seen) < 100 // 6  # it did not get through all its epochs


def test_a_loss_that_diverges_at_once_is_an_error(data, model):
    with pytest.raises(TrainingError, match="begin lower than start_lr=100"):
        Learner(data, model).lr_find(start_lr=100, end_lr=1e20)
    with pytest.raises(UsageError, match="start_lr must be positive and below end_lr"):
        Learner(data, model).lr_find(start_lr=1, end_lr=1)
