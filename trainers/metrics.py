"""How good predictions are: functions of predictions and targets.

A metric is any function of `(predictions, targets)` that gives a number, computed over the whole validation set at
once; a `torchmetrics.Metric` is such a function too. Predictions are the model's outputs as they are
(logits), `float[N, c, ...]`; targets are the classes' numbers, `int[N, ...]`, or `float[N, c]` of zeros and ones where
several classes may hold.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import UsageError

Metric = Callable[[Tensor, Tensor], Any]


def accuracy(predictions: Tensor, targets: Tensor) -> float:
    """The fraction of targets for which the largest prediction is the right one.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    hits = predictions.argmax(1) == targets
    return int(hits.sum()) / max(hits.numel(), 1)


def error_rate(predictions: Tensor, targets: Tensor) -> float:
    """The fraction of targets for which the largest prediction is a wrong one: an integer over their number.

    >>> error_rate(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    misses = predictions.argmax(1) != targets
    return int(misses.sum()) / max(misses.numel(), 1)


def top_k(k: int = 5) -> Metric:
    """A metric: the fraction of targets that are among the `k` largest predictions.

    >>> top_k(2)(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]))
    1.0
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, but got {k}")

    def metric(predictions: Tensor, targets: Tensor) -> float:
        best = predictions.topk(min(k, predictions.shape[1]), dim=1).indices
        return int((best == targets.unsqueeze(1)).sum()) / max(len(targets), 1)

    metric.__name__ = f"top_{k}"
    return metric


def f1(predictions: Tensor, targets: Tensor) -> float:
    """The mean over classes of the harmonic mean of precision and recall (macro F1).

    Of one class per image (integer targets), or of several (targets `float[N, c]`, a class being predicted where its
    logit is positive).

    >>> f1(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 1]))
    1.0
    """
    from torchmetrics.functional.classification import multiclass_f1_score, multilabel_f1_score  # seconds to import

    classes = predictions.shape[1]
    if targets.is_floating_point():
        return float(multilabel_f1_score(predictions.sigmoid(), targets.int(), num_labels=classes))
    return float(multiclass_f1_score(predictions, targets, num_classes=classes))


def roc_auc_multi(predictions: Tensor, targets: Tensor) -> float:
    """The mean over classes of the area under the ROC curve, where several classes may hold: targets `float[N, c]`.

    Raises `UsageError` where targets are not zeros and ones for each class.
    """
    if predictions.shape != targets.shape:
        raise UsageError(
            "roc_auc_multi compares predictions and targets of one shape [N, c], "
            f"but got {tuple(predictions.shape)} and {tuple(targets.shape)}: it is for MultiCategoryBlock"
        )
    from torchmetrics.functional.classification import multilabel_auroc

    return float(multilabel_auroc(predictions.sigmoid(), targets.int(), num_labels=predictions.shape[1]))


def accuracy_multi(predictions: Tensor, targets: Tensor) -> float:
    """The fraction of right answers over all classes of all images; a class is predicted where its logit is positive.

    >>> accuracy_multi(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]]))
    0.5
    """
    hits = (predictions > 0) == (targets > 0.5)
    return int(hits.sum()) / max(hits.numel(), 1)


def dice(predictions: Tensor, targets: Tensor) -> float:
    """The mean over the classes present of twice the overlap over the sum of areas: masks `int[N, h, w]`.

    >>> dice(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), torch.tensor([[[0, 1]]]))
    1.0
    """
    labels = predictions.argmax(1)
    scores = []
    for number in range(predictions.shape[1]):
        predicted, actual = labels == number, targets == number
        area = int(predicted.sum()) + int(actual.sum())
        if area:
            scores.append(2 * int((predicted & actual).sum()) / area)
    return sum(scores) / max(len(scores), 1)


def point_distance(predictions: Tensor, targets: Tensor) -> float:
    """The mean distance between predicted and actual points `float[N, n, 2]`, in the units in which they are given.

    >>> point_distance(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[0.0, 0.0]]]))
    5.0
    """
    gap = (predictions.reshape(targets.shape) - targets).float()
    return float(torch.linalg.vector_norm(gap, dim=-1).mean())


def name_of(metric: Any) -> str:
    """The name in the epoch table: the function's, or the class's."""
    inner = getattr(metric, "func", metric)  # a functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))
