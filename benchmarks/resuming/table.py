"""The tables of resumptions, of shares and of ranks that are killed, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from .traces import COLUMNS


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """In how many resumptions each thing was equal, a line for each run; then how each trainer's ranks share; then what
    follows where one is killed."""
    resumed = [f"| trainer | run | resumed | {' | '.join(COLUMNS)} |", "|---|---|--:|" + "--:|" * len(COLUMNS)]
    once = ["| trainer | each sample once, over | cases | repeats |", "|---|---|--:|--:|"]
    killed = ["| trainer | a rank killed | others end after | resumed on |", "|---|---|--:|---|"]
    for row in rows:
        head = f"| {row['name']} | {row['setting']} |"
        if row["status"] != "measured":
            reason = " ".join(row["reason"].split()).replace("|", "/")
            resumed.append(f"{head} **{row['status']}**: {reason} |" + " |" * len(COLUMNS))
        elif "equal" in row:
            resumed.append(f"{head} {row['resumptions']} | {' | '.join(str(row['equal'][name]) for name in COLUMNS)} |")
        elif "seconds" in row:
            resumptions = ", ".join(
                f"{ranks}: {'equal' if equal else 'not'}" for ranks, equal in row["resumed"].items()
            )
            killed.append(f"{head} {row['seconds']} s | {resumptions} |")
        else:
            once.append(f"{head} {row['cases']} | {row['repeats']} |")
    return "\n".join([*resumed, "", *once, "", *killed]) + "\n"
