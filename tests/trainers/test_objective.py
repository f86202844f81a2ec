"""The chapter's numbers, and the losses of every kind of target."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as scores_of
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from onewarp.errors import TrainingError, UsageError
from onewarp.trainers import Learner, accuracy, f1
from onewarp.trainers.objective import CustomLoss, ManyClasses, OneClass, Points, objective_for

TARGETS = torch.tensor([0, 1, 0, 1, 1, 0])


@pytest.fixture
def activations():
    return torch.randn(6, 2, generator=torch.Generator().manual_seed(42)) * 2


def test_the_chapters_activations(activations):
    expected = [[0.6734, 0.2576], [0.4689, 0.4607], [-2.2457, -0.3727]]
    expected += [[4.4164, -1.2760], [0.9233, 0.5347], [1.0698, 1.6187]]
    torch.testing.assert_close(activations, torch.tensor(expected), atol=1e-4, rtol=0)


def test_softmax_of_two_is_the_sigmoid_of_their_difference(activations):
    first = OneClass().activation(activations)[:, 0]
    torch.testing.assert_close(first, (activations[:, 0] - activations[:, 1]).sigmoid())
    expected = torch.tensor([0.6025, 0.5021, 0.1332, 0.9966, 0.5959, 0.3661])
    torch.testing.assert_close(first, expected, atol=1e-4, rtol=0)


def test_nll_loss_takes_no_log(activations):
    losses = functional.nll_loss(OneClass().activation(activations), TARGETS, reduction="none")
    expected = torch.tensor([-0.6025, -0.4979, -0.1332, -0.0034, -0.4041, -0.3661])
    torch.testing.assert_close(losses, expected, atol=1e-4, rtol=0)


def test_cross_entropy_and_its_gradient(activations):
    losses = OneClass().losses(activations, TARGETS)
    expected = torch.tensor([0.5067, 0.6973, 2.0160, 5.6958, 0.9062, 1.0048])
    torch.testing.assert_close(losses, expected, atol=1e-4, rtol=0)
    activations.requires_grad_()
    mean = OneClass().loss(activations, TARGETS)
    assert mean.item() == pytest.approx(1.8045, abs=1e-4)
    mean.backward()
    expected = (activations.detach().softmax(1) - functional.one_hot(TARGETS, 2)) / 6
    torch.testing.assert_close(activations.grad, expected)


def test_a_mask_has_a_loss_for_each_image():
    outputs, targets = torch.randn(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.uint8)
    losses = OneClass().losses(outputs, targets)
    assert losses.shape == (2,)
    torch.testing.assert_close(losses.mean(), OneClass().loss(outputs, targets))


def test_settings_of_a_given_cross_entropy_are_kept():
    smooth = objective_for(object(), nn.CrossEntropyLoss(label_smoothing=0.1))
    outputs = torch.tensor([[2.0, 0.0]])
    expected = functional.cross_entropy(outputs, torch.tensor([0]), label_smoothing=0.1)
    torch.testing.assert_close(smooth.loss(outputs, torch.tensor([0])), expected)
    torch.testing.assert_close(smooth.activation(outputs).sum(), torch.tensor(1.0))


def test_mixed_targets_are_probabilities():
    outputs = torch.randn(2, 3)
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(OneClass().loss(outputs, soft), functional.cross_entropy(outputs, soft))


def test_many_classes():
    outputs, targets = torch.tensor([[3.0, -3.0]]), torch.tensor([[1.0, 0.0]])
    assert ManyClasses().loss(outputs, targets).item() == pytest.approx(0.0486, abs=1e-4)
    assert ManyClasses().decode(ManyClasses().activation(outputs)).tolist() == [[1.0, 0.0]]


def test_points_are_predicted_in_pixels():
    points = Points(size=(100, 200))
    corner_and_centre = points.activation(torch.tensor([[-1.0, -1.0, 0.0, 0.0]]))
    assert corner_and_centre.tolist() == [[[0.0, 0.0], [100.0, 50.0]]]
    right = points.loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[[100.0, 50.0]]]))
    assert right.item() == 0
    off = points.losses(torch.tensor([[0.0, 0.0]]), torch.tensor([[[200.0, 50.0]]]))
    assert off.tolist() == [0.5]


def test_a_custom_loss_is_taken_a_sample_at_a_time():
    custom = objective_for(object(), lambda outputs, targets: (outputs - targets).abs().sum())
    assert isinstance(custom, CustomLoss)
    outputs, targets = torch.tensor([[1.0], [5.0]]), torch.zeros(2, 1)
    assert custom.losses(outputs, targets).tolist() == [1, 5]
    assert custom.loss(outputs, targets).item() == 6


def test_a_loss_function_that_does_not_reduce_is_refused():
    with pytest.raises(UsageError, match="'mean' or 'sum'"):
        objective_for(object(), nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(TrainingError, match=r"one number for a batch, but gave \[2, 1\]"):
        objective_for(object(), lambda o, t: o - t).loss(torch.ones(2, 1), torch.zeros(2, 1))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_loss_is_that_of_the_criterion_whatever_it_weighs_ignores_or_sums(data):
    seed = data.draw(st.integers(0, 1 << 31))
    generator = torch.Generator().manual_seed(seed)
    classes, n = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 9))
    shape = (n, *data.draw(st.sampled_from([(), (3, 4)])))
    outputs = torch.randn(n, classes, *shape[1:], generator=generator) * 3
    targets = torch.randint(classes, shape, generator=generator)
    ignored = data.draw(st.sampled_from([-100, 255, 0]))
    if data.draw(st.booleans()):
        targets[torch.rand(shape, generator=generator) < 0.3] = ignored
    targets.view(-1)[0] = classes - 1 if ignored == 0 else 0  # one is left
    criterion = nn.CrossEntropyLoss(
        weight=torch.rand(classes, generator=generator) + 0.1 if data.draw(st.booleans()) else None,
        ignore_index=ignored,
        label_smoothing=data.draw(st.sampled_from([0.0, 0.1])),
        reduction=data.draw(st.sampled_from(["mean", "sum"])),
    )
    objective = objective_for(object(), criterion)
    torch.testing.assert_close(objective.loss(outputs, targets), criterion(outputs, targets), atol=1e-6, rtol=1e-6)
    alone = objective.losses(outputs, targets)
    each = nn.CrossEntropyLoss(
        criterion.weight, ignore_index=ignored, label_smoothing=criterion.label_smoothing, reduction="none"
    )
    expected = [
        losses[target != ignored].mean() if (target != ignored).any() else torch.tensor(0.0)
        for losses, target in zip(each(outputs, targets), targets, strict=True)
    ]
    torch.testing.assert_close(alone, torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "outputs", "targets"),
    [
        (OneClass(37), torch.zeros(4, 10), torch.zeros(4)),
        (OneClass(3), torch.zeros(4, 3), torch.zeros(4, 8, 8, dtype=torch.int64)),
        (ManyClasses(), torch.zeros(4, 10), torch.zeros(4, 5)),
        (Points((8, 8)), torch.zeros(4, 10), torch.zeros(4, 1, 2)),
    ],
)
def test_outputs_that_do_not_fit_are_refused(objective, outputs, targets):
    targets = targets.long() if isinstance(objective, OneClass) else targets
    with pytest.raises(TrainingError, match=r"model's output must be \[.*but got \[4, "):
        objective.check(outputs, targets)


def test_targets_without_a_loss_ask_for_one(data):
    data.loss = "boxes"
    with pytest.raises(UsageError, match="give loss_func="):
        objective_for(data)


class Answers(nn.Module):
    """Gives what it is given: the outputs of a model."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_validation_in_batches_is_that_of_torch_and_scikit_learn_over_the_whole_set(data):
    """With weights, ignored labels, missing classes, sums, and a last batch that is smaller."""
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1 << 31)))
    classes, n, bs = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 60)), data.draw(st.integers(1, 17))
    outputs = torch.randn(n, classes, generator=generator) * 3
    targets = torch.randint(data.draw(st.integers(1, classes)), (n,), generator=generator)
    targets[1:][torch.rand(n - 1, generator=generator) < 0.3] = -100
    weight = torch.rand(classes, generator=generator) + 0.1 if data.draw(st.booleans()) else None
    criterion = nn.CrossEntropyLoss(weight, reduction=data.draw(st.sampled_from(["mean", "sum"])))
    batches = DataLoader(TensorDataset(outputs, targets), batch_size=bs)
    learn = Learner(SimpleNamespace(train=batches, valid=batches), Answers(), criterion, [accuracy, f1], table=False)
    found = learn.validate()
    assert found["valid_loss"] == pytest.approx(float(criterion(outputs, targets)), abs=1e-6, rel=1e-6)
    actual, answers = targets[targets >= 0].numpy(), outputs[targets >= 0].argmax(1).numpy()
    assert found["accuracy"] == pytest.approx(scores_of.accuracy_score(actual, answers), abs=1e-6)
    occurring = sorted({*actual.tolist(), *answers.tolist()})
    expected = scores_of.f1_score(actual, answers, average="macro", labels=occurring)
    assert found["f1"] == pytest.approx(expected, abs=1e-6)
