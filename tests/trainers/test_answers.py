"""What a model says of files, one by one: an answer, or the reason why there is none."""

import pytest
import torch

from onewarp.pipeline import get_image_files
from onewarp.pipeline.service.answers import Answer, Refusal
from onewarp.trainers.serving import load_learner


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
