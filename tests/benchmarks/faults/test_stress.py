"""What is right beside a writer: one state or another, and a refusal while a byte was changed."""

import pytest

from onewarp.benchmarks.faults.stress import Event, judge
from onewarp.benchmarks.faults.subjects import Reading

STATES = {
    "old": {"open": Reading("whole", "digest 1"), "verify": Reading("whole", "digest 2")},
    "new": {"open": Reading("whole", "digest 3"), "verify": Reading("whole", "digest 4")},
}
DAMAGE = [Event("damage", 10.0, 12.0, "old", "")]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (Event("commit", 1, 2, "whole", "old"), "whole"),
        (Event("commit", 1, 2, "failed", "status 1"), "traceback"),
        (Event("open", 1, 2, "whole", "digest 1"), "whole"),
        (Event("open", 1, 2, "whole", "digest 3"), "whole"),
        (Event("open", 1, 2, "whole", "digest 2"), "wrong"),  # that is what a verification gives
        (Event("open", 1, 2, "whole", "a mixture"), "wrong"),
        (Event("open", 1, 2, "traceback", "ValueError"), "traceback"),
        (Event("open", 9, 10, "refused", "a part is damaged"), "refused"),
        (Event("open", 12, 13, "refused", "a part is damaged"), "refused"),
        (Event("open", 9, 13, "refused", "a part is damaged"), "refused"),
        (Event("open", 11, 11.5, "refused", "a part is damaged"), "refused"),
        (Event("open", 8, 9.9, "refused", "a part is damaged"), "wrong"),
        (Event("open", 12.1, 13, "refused", "a part is damaged"), "wrong"),
    ],
)
def test_an_event_beside_states_and_damage(event, state):
    assert judge(event, STATES, DAMAGE).state == state


def test_what_is_wrong_says_what_was_read():
    assert judge(Event("open", 1, 2, "whole", "x"), STATES, []).detail.startswith("open gives no state that was ever")
    assert "open refuses what was whole: no" in judge(Event("open", 1, 2, "refused", "no"), STATES, []).detail
