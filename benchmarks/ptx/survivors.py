"""Why a change of the compiled code makes no difference that a test could notice, in words."""

from typing import Any

REASONS: dict[tuple[str, str], str] = {}
"""By a piece of the line of Python that the instruction is of, and a piece of the change."""


def explained(row: dict[str, Any]) -> str:
    """The words for a mutant that no test notices; nothing where nobody has written any."""
    for (line, change), words in REASONS.items():
        if line in row["line"] and change in row["change"]:
            return words
    return ""
