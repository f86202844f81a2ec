"""What may become of a fault, and what may not; the table of how often each did."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["whole", "mended", "refused", "wrong", "hang", "signal", "traceback"]
ALLOWED: dict[State, str] = {"whole": "whole and equal", "mended": "mended", "refused": "refused by name"}
FORBIDDEN: dict[State, str] = {"wrong": "wrong", "hang": "hang", "signal": "signal", "traceback": "traceback"}


@dataclass(frozen=True)
class Outcome:
    """What became of a fault; where that is forbidden, `detail` says what was seen.

    `silent` says that a verification found nothing although bytes had been changed.
    """

    state: State
    detail: str = ""
    silent: bool = False


@dataclass(frozen=True)
class Case:
    """One fault: its kind, what it is tried on, what exactly is done, and the function that tries it."""

    kind: str
    subject: str
    name: str
    attempt: Callable[[], Outcome]

    @property
    def title(self) -> str:
        """By which the case is chosen again."""
        return f"{self.subject}: {self.kind}: {self.name}"


Tally = dict[tuple[str, str], Counter[str]]
"""By subject and kind: how often each state was the outcome, and `silent`."""


def count(outcomes: Iterable[tuple[Case, Outcome]]) -> Tally:
    """The outcomes by subject and kind."""
    tally: Tally = {}
    for case, outcome in outcomes:
        counter = tally.setdefault((case.subject, case.kind), Counter())
        counter[outcome.state] += 1
        counter["silent"] += outcome.silent
    return tally


def rows(tally: Tally) -> list[dict[str, Any]]:
    """The tally for a result's JSON."""
    states = [*ALLOWED, *FORBIDDEN]
    return [
        {
            "name": kind,
            "setting": subject,
            "status": "measured",
            "cases": sum(counter[state] for state in states),
            "outcomes": {state: counter[state] for state in states},
            "silent": counter["silent"],
        }
        for (subject, kind), counter in tally.items()
    ]


def table(measured: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: kinds of faults, what they were tried on, and how often each outcome was seen."""
    words = {**ALLOWED, **FORBIDDEN}
    lines = [f"| kind of fault | of | cases | {' | '.join(words.values())} |", "|---|---|" + "--:|" * (1 + len(words))]
    for row in measured:
        cells = [f"{row['outcomes'][state]:,}" for state in words]
        lines.append(f"| {row['name']} | {row['setting']} | {row['cases']:,} | {' | '.join(cells)} |")
    total = [f"{sum(row['outcomes'][state] for row in measured):,}" for state in words]
    lines.append(f"| all | | {sum(row['cases'] for row in measured):,} | {' | '.join(total)} |")
    return "\n".join(lines) + "\n"
