"""What a model says of files, one by one: an answer, or the reason why there is none."""

import pytest
import torch

from onewarp.pipeline import get_image_files
from onewarp.trainers.answers import Answer, Refusal
from onewarp.trainers.serving import load_learner


def test_an_answer_of_one_class_has_the_probability_of_the_class():
    answer = Answer("a.jpg", "cat", torch.tensor(1), torch.tensor([0.25, 0.75]))
    assert (answer.is_class, answer.probability) == (True, 0.75)


def test_an_answer_of_several_has_one_for_each_that_holds():
    answer = Answer("a.jpg", ["b", "d"], torch.tensor([0, 1, 0, 1]), torch.tensor([0.125, 0.75, 0.25, 0.5]))
    assert (answer.is_class, answer.probability) == (True, [0.75, 0.5])
    nothing = Answer("a.jpg", [], torch.zeros(2), torch.tensor([0.1, 0.2]))
    assert (nothing.is_class, nothing.probability) == (True, [])


def test_an_answer_that_is_no_class_has_none():
    points = torch.rand(2, 2)
    answer = Answer("a.jpg", points, points, points)
    assert (answer.is_class, answer.probability) == (False, None)


@pytest.mark.parametrize("bs", [1, 2, 64])
def test_each_item_has_an_answer_or_a_reason_in_its_place_whatever_the_batch(trained, photos, tmp_path, bs):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    good = get_image_files(photos)[:3]
    items = [good[0], tmp_path / "bad.jpg", good[1], tmp_path / "nowhere.jpg", good[2]]
    learn = load_learner(trained.model)
    found = list(learn.answers(items, bs=bs))
    assert [one.item for one in found] == items
    assert [type(one) for one in found] == [Answer, Refusal, Answer, Refusal, Answer]
    assert "no known image format" in found[1].reason
    assert "nowhere.jpg cannot be read: No such file" in found[3].reason
    for one in found[::2]:
        label, number, probabilities = learn.predict(one.item)
        assert (one.label, int(one.decoded)) == (label, int(number))
        torch.testing.assert_close(one.probabilities, probabilities)


def test_nothing_is_answered_for_no_items(trained):
    assert list(load_learner(trained.model).answers([])) == []
