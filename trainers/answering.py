"""What a process of several says where another one of them has ended."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import TrainingError


@contextmanager
def answering() -> Iterator[None]:
    """Raise `TrainingError`, in the place of torch's own errors, where another process ends or does not answer."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not type(error).__module__.startswith("torch.distributed") and "gloo" not in text:
            raise
        reason = text.splitlines()[0].split("] ", 1)[-1].split(". ")[0]
        raise TrainingError(
            f"process {os.environ.get('RANK')} of {os.environ.get('WORLD_SIZE')} stops, for another one has ended or "
            f"does not answer ({reason}): that one's output says why. Start all of them again: a script with "
            "Checkpoint and resume goes on where it stood"
        ) from error
