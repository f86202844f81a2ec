"""`vision_learner`: models by name, by hand, from files; and what is said when they cannot be had."""

import sys

import pytest
import torch
from torch import nn

from onewarp.errors import MissingDependencyError, TrainingError, UsageError
from onewarp.trainers import vision_learner
from onewarp.trainers.saving import write
from onewarp.trainers.small_network import small_resnet
from onewarp.trainers.unet import timm_encoder, unet_learner
from onewarp.trainers.vision import BodyAndHead, ConcatPool, chapter_head, statistics


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="timm comes with the train extra")


def test_a_module_is_used_as_it_is(data, model):
    learn = vision_learner(data, model, table=False)
    assert learn.model is model
    assert learn.dls is data
    assert all(p.requires_grad for p in model.parameters())


def test_a_function_is_told_how_many_outputs(data):
    assert vision_learner(data, small_resnet, table=False).model[-1][-1].out_features == 3


def test_the_chapters_head():
    head = chapter_head(8, 5)
    assert [type(layer).__name__ for layer in head] == [
        "ConcatPool",
        "BatchNorm1d",
        "Dropout",
        "Linear",
        "ReLU",
        "BatchNorm1d",
        "Dropout",
        "Linear",
    ]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.25, 0.5]
    assert head(torch.rand(2, 8, 3, 4)).shape == (2, 5)
    assert ConcatPool()(torch.tensor([[[[1.0, 3.0]]]])).tolist() == [[3.0, 2.0]]


def test_a_model_by_name_has_three_groups_and_its_own_statistics(data, timm):
    learn = vision_learner(data, "resnet18", pretrained=False, table=False)
    assert isinstance(learn.model, BodyAndHead)
    assert [len(group) for group in learn.layers] == [30, 30, 6]  # stem, layers 1, 2; layers 3, 4; the head
    assert sum(len(group) for group in learn.layers) == len(list(learn.model.parameters()))
    assert statistics(learn.model) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert learn.arch == ("resnet18", 3)


def test_a_model_without_maps_keeps_its_own_head(data, timm):
    learn = vision_learner(data, "vit_tiny_patch16_224", pretrained=False, table=False)
    assert not isinstance(learn.model, BodyAndHead)
    assert learn.model.head.out_features == 3


def test_weights_from_a_file_freeze_the_body_and_append_normalisation(data, timm, tmp_path):
    body = timm.create_model("resnet18", pretrained=False)
    write(tmp_path / "w.safetensors", body.state_dict(), {})
    asked = []
    data.normalize = lambda mean, std: asked.append((mean, std)) or data
    learn = vision_learner(data, "resnet18", weights=tmp_path / "w.safetensors", table=False)
    assert torch.equal(learn.model.body.conv1.weight, body.conv1.weight)
    assert asked == [((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    assert not learn.model.body.conv1.weight.requires_grad
    assert learn.model.head[3].weight.requires_grad
    torch.save(body.state_dict(), tmp_path / "w.pth")
    again = vision_learner(data, "resnet18", weights=tmp_path / "w.pth", table=False)
    assert torch.equal(again.model.body.conv1.weight, body.conv1.weight)


def test_weights_of_another_body_are_refused(data, timm, tmp_path):
    write(tmp_path / "w", small_resnet(3).state_dict(), {})
    with pytest.raises(TrainingError, match="must fit the model's body"):
        vision_learner(data, "resnet18", weights=tmp_path / "w")
    with pytest.raises(TrainingError, match="must exist"):
        vision_learner(data, "resnet18", weights=tmp_path / "nothing")


def test_a_name_that_is_not_known_shows_those_near_it(data, timm):
    with pytest.raises(UsageError, match=r"must be a name that timm knows, but got 'resnet43'; near it: .*resnet34"):
        vision_learner(data, "resnet43")
    with pytest.raises(UsageError, match="must be a name that timm knows"):
        timm_encoder("resnet43", pretrained=False)


def test_weights_that_cannot_be_had_name_the_ways_out(data, timm, monkeypatch):
    make = timm.create_model

    def offline(name, pretrained=False, **kwargs):
        if pretrained:
            raise OSError("no route to host")
        return make(name, pretrained=False, **kwargs)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(TrainingError, match=r"no route to host\): .*pretrained=False.*weights=PATH"):
        vision_learner(data, "resnet18")
    with pytest.raises(TrainingError, match="no pretrained weights"):
        vision_learner(data, "small_resnet")


def test_without_timm_the_extra_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match=r"pip install timm"):
        vision_learner(data, "resnet18")
    with pytest.raises(MissingDependencyError, match=r"pip install timm"):
        unet_learner(data, "resnet18")
    assert vision_learner(data, "small_resnet", pretrained=False).arch == ("small_resnet", 3)
