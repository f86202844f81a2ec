"""Processes of our own: what they can import, and the signals by which others end them."""

import os
import signal
import sys

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that say nothing of the work: a system that runs out of memory sends them, or a person."""


def environment() -> dict[str, str]:
    """The environment of a Python process that can import what this one can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
