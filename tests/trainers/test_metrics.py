import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onewarp.errors import UsageError
from onewarp.trainers.metrics import (
    accuracy,
    accuracy_multi,
    dice,
    error_rate,
    f1,
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
    assert f1(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.0]])) == pytest.approx(0.5)  # an absent class is 0


def test_roc_auc_of_several_classes():
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert roc_auc_multi(targets * 4 - 2, targets) == 1
    assert roc_auc_multi(-targets, targets) == 0
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
