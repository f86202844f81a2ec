import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from onewarp.pipeline.presizing.progress import reporter


def report():
    with reporter(3, "presizing") as lines:
        lines.advance(3)
        lines.say("done")


@pytest.mark.parametrize(
    "colour", [{"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}]
)
def test_nothing_moves_in_a_log_whatever_is_asked_of_colours(monkeypatch, capfd, colour):
    for name, value in colour.items():
        monkeypatch.setenv(name, value)
    report()
    assert capfd.readouterr().err == "done\n"


END = "the end"


def read_to_the_end(terminal):
    """What was written to a terminal until its end."""
    said = ""
    while END not in said:
        said += os.read(terminal, 1 << 16).decode(errors="replace")
    return said


@pytest.mark.parametrize(("kind", "moving"), [("xterm", True), ("dumb", False)])
def test_a_bar_moves_on_a_terminal_that_can(monkeypatch, kind, moving):
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", kind)
    with open(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with ThreadPoolExecutor(1) as reader:  # beside the writer, who waits where a terminal is full
            read = reader.submit(read_to_the_end, ours)
            report()
            terminal.write("\n" + END)
            terminal.flush()
            said = read.result()
    os.close(ours)
    assert "done" in said
    assert ("\x1b[" in said) == moving
