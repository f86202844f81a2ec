"""The optimiser: what decays, what is frozen, and the groups of layers."""

import torch
from torch import nn

from onewarp.trainers import Learner


def test_norms_of_a_frozen_body_stay_trainable(data, model):
    learn = Learner(data, model, table=False)
    learn.freeze()
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained == ["0.1.weight", "0.1.bias", "1.1.weight", "1.1.bias", "2.2.weight", "2.2.bias"]
    learn.freeze_to(1)
    assert model[1][0].weight.requires_grad
    assert not model[0][0].weight.requires_grad
    learn.unfreeze()
    assert all(p.requires_grad for p in model.parameters())


def test_without_train_bn_the_norms_of_a_frozen_body_stand_still(data, model):
    learn = Learner(data, model, table=False, train_bn=False)
    learn.freeze()
    assert not model[0][1].weight.requires_grad
    still = {name: value.clone() for name, value in model[:2].state_dict().items()}
    learn.fit(1, 1e-2)
    assert all(torch.equal(value, still[name]) for name, value in model[:2].state_dict().items())
    learn.unfreeze()
    learn.fit(1, 1e-2)
    assert not torch.equal(model[0][1].running_mean, still["0.1.running_mean"])


def test_norms_and_biases_do_not_decay(data, model):
    decays = {id(p): g["weight_decay"] for g in Learner(data, model).opt.param_groups for p in g["params"]}
    assert {name: decays[id(p)] for name, p in model.named_parameters()} == {
        name: 0.01 if name in ("0.0.weight", "1.0.weight", "2.2.weight") else 0.0
        for name, _ in model.named_parameters()
    }


def test_a_group_for_each_part_of_a_model(data, model):
    learn = Learner(data, model)
    assert [len(group) for group in learn.layers] == [3, 4, 2]
    assert len(Learner(data, nn.Sequential(nn.Flatten(), nn.Linear(192, 3))).layers) == 1
