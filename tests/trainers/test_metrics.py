import math
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as scores_of

from onewarp.errors import UsageError
from onewarp.trainers.metrics import (
    accuracy,
    accuracy_multi,
    dice,
    error_rate,
    f1,
    names_of,
    point_distance,
    roc_auc_multi,
    top_k,
)


@given(st.integers(0, 1478))
def test_an_error_rate_is_an_integer_over_the_number_of_images(wrong):
    predictions = torch.tensor([[0.0, 1.0]]).expand(1478, 2)
    targets = torch.ones(1478, dtype=torch.int64)
    targets[:wrong] = 0
    assert error_rate(predictions, targets) == wrong / 1478
    assert accuracy(predictions, targets) == (1478 - wrong) / 1478


def test_the_published_error_rates_are_such_fractions():
    assert f"{171 / 1478:.6f}" == "0.115697"
    assert f"{71 / 1478:.6f}" == "0.048038"


def test_top_k_counts_a_hit_among_the_best():
    predictions = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert top_k(2)(predictions, torch.tensor([1, 0])) == 0.5
    assert top_k(9)(predictions, torch.tensor([1, 0])) == 1
    assert top_k(5).__name__ == "top_5"
    with pytest.raises(UsageError):
        top_k(0)


def test_f1_by_hand():
    # class 0: one of two found, none false: F1 2/3; class 1: one found, one false: 2/3
    predictions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert f1(predictions, torch.tensor([0, 0, 1])) == pytest.approx(2 / 3)
    assert f1(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.0]])) == 1  # an absent class is left out


def test_roc_auc_of_several_classes():
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert roc_auc_multi(targets * 4 - 2, targets) == 1
    assert roc_auc_multi(-targets, targets) == 0
    perfect_and_absent = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    with pytest.warns(UserWarning, match="leaves out 1 of 2 classes"):
        assert roc_auc_multi(perfect_and_absent * 4 - 2, perfect_and_absent) == 1
    with pytest.warns(UserWarning, match="leaves out 2 of 2"):
        assert math.isnan(roc_auc_multi(torch.zeros(3, 2), torch.zeros(3, 2)))
    with pytest.raises(UsageError, match="MultiCategoryBlock"):
        roc_auc_multi(targets, torch.tensor([0, 1, 1]))


def test_accuracy_multi_counts_every_class():
    assert accuracy_multi(torch.tensor([[2.0, -1.0, 3.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])) == 0.5


def test_dice_is_the_overlap():
    predictions = torch.zeros(1, 2, 1, 4)
    predictions[:, 1, :, :2] = 1  # 1 1 0 0
    assert dice(predictions, torch.tensor([[[1, 0, 0, 0]]])) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_point_distance():
    assert point_distance(torch.tensor([[3.0, 4.0, 0.0, 0.0]]), torch.zeros(1, 2, 2)) == 2.5


def test_metrics_of_one_name_are_numbered():
    assert names_of([accuracy, partial(accuracy), f1, accuracy]) == ["accuracy", "accuracy_2", "f1", "accuracy_3"]

    def valid_loss(predictions, targets):
        return 0.0

    assert names_of([valid_loss]) == ["valid_loss_2"]  # the table has a column of that name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 31), st.integers(2, 6), st.integers(1, 40), st.sampled_from([-100, 255]))
def test_metrics_agree_with_scikit_learn_with_labels_that_are_ignored_and_classes_that_are_missing(
    seed, classes, n, ignored
):
    rng = np.random.default_rng(seed)
    predictions = torch.from_numpy(rng.normal(size=(n, classes)).astype(np.float32))
    targets = torch.from_numpy(rng.integers(0, rng.integers(1, classes + 1), n))
    targets[torch.from_numpy(rng.random(n) < 0.2)] = ignored
    kept = targets != ignored
    actual, answers, scores = targets[kept].numpy(), predictions[kept].argmax(1).numpy(), predictions[kept].numpy()
    if not len(actual):
        assert all(math.isnan(metric(predictions, targets)) for metric in (accuracy, error_rate, f1, top_k(2)))
        return
    assert accuracy(predictions, targets) == pytest.approx(scores_of.accuracy_score(actual, answers), abs=1e-6)
    assert error_rate(predictions, targets) == pytest.approx(1 - scores_of.accuracy_score(actual, answers), abs=1e-6)
    occurring = sorted({*actual.tolist(), *answers.tolist()})
    expected = scores_of.f1_score(actual, answers, average="macro", labels=occurring)
    assert f1(predictions, targets) == pytest.approx(expected, abs=1e-6)
    if classes > 2:
        expected = scores_of.top_k_accuracy_score(actual, scores, k=2, labels=range(classes))
        assert top_k(2)(predictions, targets) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 31), st.integers(2, 5), st.integers(2, 30))
def test_metrics_of_several_classes_agree_with_scikit_learn(seed, classes, n):
    rng = np.random.default_rng(seed)
    predictions = torch.from_numpy(rng.normal(size=(n, classes)).astype(np.float32))
    targets = torch.from_numpy((rng.random((n, classes)) < rng.random(classes)).astype(np.float32))
    actual, answers = targets.numpy().astype(int), (predictions > 0).numpy().astype(int)
    assert accuracy_multi(predictions, targets) == pytest.approx((actual == answers).mean(), abs=1e-6)
    occurring = [c for c in range(classes) if actual[:, c].any() or answers[:, c].any()]
    if occurring:
        expected = scores_of.f1_score(actual, answers, average="macro", labels=occurring, zero_division=0)
        assert f1(predictions, targets) == pytest.approx(expected, abs=1e-6)
    defined = [c for c in range(classes) if 0 < actual[:, c].sum() < n]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = roc_auc_multi(predictions, targets)
    if defined:
        expected = scores_of.roc_auc_score(actual[:, defined], predictions[:, defined].numpy(), average="macro")
        assert found == pytest.approx(expected, abs=1e-6)
    else:
        assert math.isnan(found)
