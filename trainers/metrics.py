"""How good predictions are: functions of predictions and targets.

A metric is any function of `(predictions, targets)` that gives a number, computed over the whole validation set at
once; a `torchmetrics.Metric` is such a function too. Predictions are the model's outputs as they are
(logits), `float[N, c, ...]`; targets are the classes' numbers, `int[N, ...]`, or `float[N, c]` of zeros and ones where
several classes may hold.

Targets that are no class (-100, or the 255 of masks) are left out, and so are classes for which a mean over classes is
not defined. Where nothing is left, a metric is NaN.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
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
    counted = is_class(targets, predictions.shape[1])
    return _share((predictions.argmax(1) == targets)[counted])


def error_rate(predictions: Tensor, targets: Tensor) -> float:
    """The fraction of targets for which the largest prediction is a wrong one: an integer over their number.

    >>> error_rate(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    counted = is_class(targets, predictions.shape[1])
    return _share((predictions.argmax(1) != targets)[counted])


def top_k(k: int = 5) -> Metric:
    """A metric: the fraction of targets that are among the `k` largest predictions.

    >>> top_k(2)(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([1]))
    1.0
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, but got {k}")

    def metric(predictions: Tensor, targets: Tensor) -> float:
        best = predictions.topk(min(k, predictions.shape[1]), dim=1).indices
        return _share((best == targets.unsqueeze(1)).any(1)[is_class(targets, predictions.shape[1])])

    metric.__name__ = f"top_{k}"
    return metric


def f1(predictions: Tensor, targets: Tensor) -> float:
    """The mean over classes of the harmonic mean of precision and recall (macro F1).

    Of one class per image (integer targets), or of several (targets `float[N, c]`, a class being predicted where its
    logit is positive). A class that is neither there nor predicted has no F1 and is left out.

    >>> f1(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 1]))
    1.0
    """
    classes = predictions.shape[1]
    if targets.is_floating_point():
        return _mean_over_classes(
            [(predictions[:, c] > 0, targets[:, c] > 0.5) for c in range(classes)],
        )
    answers, counted = predictions.argmax(1), is_class(targets, classes)
    return _mean_over_classes([(answers[counted] == c, targets[counted] == c) for c in range(classes)])


def roc_auc_multi(predictions: Tensor, targets: Tensor) -> float:
    """The mean over classes of the area under the ROC curve, where several classes may hold: targets `float[N, c]`.

    A class that all images have, or none, has no ROC curve: it is left out, and a warning counts such classes.
    Raises `UsageError` where targets are not zeros and ones for each class.
    """
    if predictions.shape != targets.shape:
        raise UsageError(
            "roc_auc_multi compares predictions and targets of one shape [N, c], "
            f"but got {tuple(predictions.shape)} and {tuple(targets.shape)}: it is for MultiCategoryBlock"
        )
    from torchmetrics.functional.classification import binary_auroc  # seconds to import

    shares = (targets > 0.5).float().mean(0)
    defined = (shares > 0) & (shares < 1)
    if not defined.all():
        missing = int((~defined).sum())
        warnings.warn(
            f"roc_auc_multi leaves out {missing} of {len(defined)} classes, which all images have, or none",
            stacklevel=2,
        )
    logits, labels = predictions.double(), (targets > 0.5).int()
    areas = [float(binary_auroc(logits[:, c], labels[:, c])) for c in defined.nonzero().flatten().tolist()]
    return sum(areas) / len(areas) if areas else float("nan")


def accuracy_multi(predictions: Tensor, targets: Tensor) -> float:
    """The fraction of right answers over all classes of all images; a class is predicted where its logit is positive.

    >>> accuracy_multi(torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]]))
    0.5
    """
    return _share((predictions > 0) == (targets > 0.5))


def dice(predictions: Tensor, targets: Tensor) -> float:
    """The mean over the classes present of twice the overlap over the sum of areas: masks `int[N, h, w]`.

    >>> dice(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), torch.tensor([[[0, 1]]]))
    1.0
    """
    return f1(predictions, targets)


def point_distance(predictions: Tensor, targets: Tensor) -> float:
    """The mean distance between predicted and actual points `float[N, n, 2]`, in the units in which they are given.

    >>> point_distance(torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[0.0, 0.0]]]))
    5.0
    """
    gap = (predictions.reshape(targets.shape) - targets).float()
    return float(torch.linalg.vector_norm(gap, dim=-1).mean())


def is_class(targets: Tensor, classes: int) -> Tensor:
    """Which of the targets `int[N, ...]` are the number of a class."""
    return (targets >= 0) & (targets < classes)


def names_of(metrics: Iterable[Any]) -> list[str]:
    """The names of metrics in the epoch table: the function's, or the class's, numbered from the second of a name on.

    >>> names_of([accuracy, top_k(1), top_k(1)])
    ['accuracy', 'top_1', 'top_1_2']
    """
    counts = Counter(["train_loss", "valid_loss", "time"])  # the table's own columns
    names = []
    for metric in metrics:
        inner = getattr(metric, "func", metric)  # a functools.partial
        name = str(getattr(inner, "__name__", type(inner).__name__))
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return names


def _share(hits: Tensor) -> float:
    return int(hits.sum()) / hits.numel() if hits.numel() else float("nan")


def _mean_over_classes(classes: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The mean F1 of `(predicted, actual)`, each `bool[N, ...]`, over the classes that occur in either."""
    scores = []
    for predicted, actual in classes:
        area = int(predicted.sum()) + int(actual.sum())
        if area:
            scores.append(2 * int((predicted & actual).sum()) / area)
    return sum(scores) / len(scores) if scores else float("nan")
