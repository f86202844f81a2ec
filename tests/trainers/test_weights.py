"""What is written of a model that is compiled is that of the model itself."""

import copy

import pytest
import torch

from onewarp.errors import TrainingError
from onewarp.trainers import Learner, SaveBest
from onewarp.trainers.saving import read

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's compiler looks at one


def whole(model):
    return torch.compile(model, backend="eager")


def part(model):
    model[1] = torch.compile(model[1], backend="eager")
    return model


@pytest.mark.parametrize("compiled", [whole, part])
def test_a_checkpoint_of_a_compiled_model_goes_on_in_a_plain_one_and_the_other_way_round(
    data, model, tmp_path, compiled
):
    uncut = Learner(data, copy.deepcopy(model), table=False)
    for _ in range(2):
        uncut.fit(1, 1e-3)
    one = Learner(data, compiled(copy.deepcopy(model)), table=False, cbs=[SaveBest(tmp_path / "best.safetensors")])
    one.fit(1, 1e-3)
    one.save(tmp_path / "one.safetensors")
    for name in ("one", "best"):
        tensors, _ = read(tmp_path / f"{name}.safetensors")
        assert {n.removeprefix("model.") for n in tensors} >= set(model.state_dict())
        assert not any("_orig_mod" in n for n in tensors)
    for goes_on in (copy.deepcopy(model), compiled(copy.deepcopy(model))):
        two = Learner(data, goes_on, table=False).resume(tmp_path / "one.safetensors")
        for _ in range(2):
            two.fit(1, 1e-3)
        for a, b in zip(two.model.parameters(), uncut.model.parameters(), strict=True):
            torch.testing.assert_close(a, b)


def test_another_model_is_refused_by_the_name_of_its_own(data, model, tmp_path):
    Learner(data, whole(copy.deepcopy(model)), table=False).save(tmp_path / "one.safetensors")
    other = torch.nn.Sequential(*model[:2], torch.nn.Sequential(*model[2][:2], torch.nn.Linear(8, 4)))
    data.vocab.append("grey")
    with pytest.raises(TrainingError, match=r"such as '2\.2\.bias', which must be \[4\], but is \[3\]"):
        Learner(data, whole(other), table=False).resume(tmp_path / "one.safetensors")
