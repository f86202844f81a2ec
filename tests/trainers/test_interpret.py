import numpy as np
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.trainers import ClassificationInterpretation, Learner


@pytest.fixture
def interpretation(data):
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    decoded = torch.tensor([0, 1, 1, 1, 0, 2])
    predictions = torch.nn.functional.one_hot(decoded, 3) * 0.7 + 0.1
    losses = torch.tensor([0.2, 3.0, 2.5, 0.1, 1.0, 0.3])
    data.valid = [(data.valid.dataset.tensors[0][:6], targets)]
    names = tuple(data.vocab)
    return ClassificationInterpretation(data, data.valid, names, predictions, targets, decoded, losses)


def test_rows_are_actual_and_columns_predicted(interpretation):
    assert interpretation.confusion_matrix().tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 1]]


def test_most_confused_is_sorted_and_has_a_least_count(interpretation):
    assert interpretation.most_confused() == [("blue", "green", 2), ("green", "blue", 1)]
    assert interpretation.most_confused(min_val=2) == [("blue", "green", 2)]
    assert interpretation.most_confused(min_val=0) == interpretation.most_confused(min_val=1)


def test_top_losses_are_the_largest(interpretation):
    losses, where = interpretation.top_losses(2)
    assert losses.tolist() == [3.0, 2.5]
    assert where.tolist() == [1, 2]
    assert interpretation.top_losses(largest=False)[1][0] == 3
    assert len(interpretation.top_losses(99)[0]) == 6


def test_the_report_by_hand(interpretation):
    blue, green, red = interpretation.class_report()
    assert (blue["precision"], blue["recall"], blue["f1"], blue["support"]) == (1 / 2, 1 / 3, 2 / 5, 3)
    assert (green["precision"], green["recall"]) == (1 / 3, 1 / 2)
    assert red == {"class": "red", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}


def test_the_images_of_top_losses_are_the_data_sets_own(interpretation, data):
    figure = interpretation.plot_top_losses(2)
    drawn = figure.axes[0].images[0].get_array()
    expected = (data.valid[0][0][1].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    assert np.array_equal(drawn, expected)
    assert figure.axes[0].get_title() == "green 80%\nis blue, loss 3.00"


def test_from_learner_agrees_with_the_metrics(data, model):
    learn = Learner(data, model, table=False)
    interpretation = ClassificationInterpretation.from_learner(learn)
    assert interpretation.confusion_matrix().sum() == 30
    assert float(interpretation.losses.mean()) == pytest.approx(learn.validate()["valid_loss"], rel=1e-5)
    assert interpretation.plot_confusion_matrix(figsize=(12, 12), dpi=60).get_size_inches().tolist() == [12, 12]


def test_one_page_with_the_pictures_inside(interpretation, tmp_path):
    page = interpretation.to_html(tmp_path / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("https://", "http").split("<body>")[1]
    assert "3 of 6 wrong (50.0%)" in page


def test_masks_have_no_confusion_matrix(data, model):
    data.valid = [(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4, 4, dtype=torch.int64))]
    model = torch.nn.Conv2d(3, 3, 2, 2)
    with pytest.raises(UsageError, match="one class for each image"):
        ClassificationInterpretation.from_learner(Learner(data, model))
