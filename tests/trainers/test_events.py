"""Callbacks: the moments at which they are called, and in which order."""

import pytest

from onewarp.trainers import Callback, Learner, StopTraining
from onewarp.trainers.events import EVENTS, Run, notify
from onewarp.trainers.schedule import Constant


def test_events_come_in_their_order(data, model):
    seen = []

    class Watch(Callback):
        pass

    for event in EVENTS:
        setattr(Watch, event, lambda self, learn, event=event: seen.append(event))
    Learner(data, model, table=False, cbs=[Watch()]).fit(1, 1e-3)
    batch = ["before_batch", "after_backward", "after_step", "after_batch"]
    assert seen == [
        "before_fit",
        "before_epoch",
        *batch * 6,
        "after_train",
        "after_validate",
        "after_epoch",
        "after_fit",
    ]


def test_a_callback_can_stop_the_run(data, model):
    class Stop(Callback):
        def after_batch(self, learn):
            if learn.run.step == 2:
                raise StopTraining

    learn = Learner(data, model, table=False, cbs=[Stop()])
    learn.fit(3, 1e-3)
    assert len(learn.recorder.losses) == 2


def test_callbacks_are_called_by_their_order_and_equal_ones_as_they_stand():
    calls = []

    class Named(Callback):
        def __init__(self, name, order):
            self.name, self.order = name, order

        def after_batch(self, learn):
            calls.append((self.name, learn))

    notify("after_batch", [Named("late", 5), Named("first", 0), Named("second", 0), Named("early", -5)], "learner")
    notify("after_epoch", [Named("late", 5)], "learner")  # of which it is no event
    assert calls == [(name, "learner") for name in ("early", "first", "second", "late")]


def test_every_event_is_a_method_that_does_nothing():
    for event in EVENTS:
        assert getattr(Callback(), event)(None) is None


@pytest.mark.parametrize(("epoch", "step", "position"), [(0, 0, 0.0), (1, 0, 0.25), (2, 5, 0.625), (3, 10, 1.0)])
def test_a_position_is_the_share_of_the_steps_that_are_done(epoch, step, position):
    run = Run(0, epochs=4, steps=10, schedule=Constant((0.1,)), epoch=epoch, step=step)
    assert run.position == position
