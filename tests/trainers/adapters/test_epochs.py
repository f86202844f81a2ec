"""The number of an epoch is seen by processes that were started before it changed."""

import multiprocessing

import pytest

from onewarp.errors import UsageError
from onewarp.trainers.adapters.epochs import EpochNumber


def answer(number, questions, answers):
    while questions.get():
        answers.put(number.epoch)


def test_a_process_that_lives_on_sees_each_new_number():
    context = multiprocessing.get_context("fork")
    number, questions, answers = EpochNumber(3), context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(number, questions, answers))
    process.start()
    seen = []
    for epoch in (None, 4, 0, 1 << 40):
        if epoch is not None:
            number.set_epoch(epoch)
        questions.put(True)
        seen.append(answers.get(timeout=60))
    questions.put(False)
    process.join()
    assert seen == [3, 4, 0, 1 << 40]


@pytest.mark.parametrize("epoch", [-1, 1.5, "2", None])
def test_what_is_no_number_of_an_epoch_is_refused_and_changes_nothing(epoch):
    number = EpochNumber(2)
    with pytest.raises(UsageError, match="epoch must be an integer"):
        number.set_epoch(epoch)
    assert number.epoch == 2
