"""What a model says of an image, as it is read by people and programs."""

import torch

from onewarp.pipeline.service.answers import Answer


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
