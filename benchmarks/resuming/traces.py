"""What a training did, and whether a resumed one did the rest of it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...pipeline.order.ranks import from_environment

EPOCHS = 2


def digest(tensors: Iterable[Tensor]) -> str:
    """The hash of the bytes of some tensors."""
    hashed = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        hashed.update(tensor.detach().as_subclass(Tensor).cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


@dataclass
class Trace:
    """The pixels of each batch, of each sample to train on, the rate of each step, and the weights at the end, as this
    process has them.

    `marks` holds, for the name of each checkpoint that was written, how many batches and steps lay behind it.
    """

    batches: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    weights: str = ""
    samples: list[str] = field(default_factory=list)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def train(self, images: Tensor) -> None:
        """Note a batch that is trained on."""
        self.batches.append(digest([images]))
        self.samples += [digest([image]) for image in images]

    def mark(self, name: str) -> None:
        """Say that a checkpoint was written here."""
        self.marks[name] = len(self.batches), len(self.rates)

    def end(self, model: nn.Module) -> "Trace":
        """Take the weights with which a training ends."""
        self.weights = digest(model.parameters())
        return self


Run = Callable[[str, Path, Path | None], Trace]
"""`run(idiom, folder, start)` trains, from the checkpoint `start` on, and writes checkpoints into `folder`.

Those of the trainers take a fourth argument, which makes the loaders.
"""

COLUMNS = ("batches", "steps", "rates", "weights")


def comparisons(run: Run, idiom: str, folder: Path, most: int | None = None) -> Iterator[dict[str, bool]]:
    """For each checkpoint of a whole run, at most `most` spread over it, what the resumed run has equal to its rest."""
    whole = run(idiom, folder / "whole", None)
    if len(whole.marks) < EPOCHS or not whole.batches:
        raise AssertionError(f"a run of {EPOCHS} epochs must write more checkpoints than {len(whole.marks)}")
    for name in spread(list(whole.marks), most):
        batches, steps = whole.marks[name]
        again = run(idiom, folder / "again", folder / "whole" / name)
        yield {
            "batches": again.batches == whole.batches[batches:],
            "steps": len(again.rates) == len(whole.rates) - steps,
            "rates": again.rates == whole.rates[steps:],
            "weights": again.weights == whole.weights,
        }


def spread(names: Sequence[str], most: int | None) -> Sequence[str]:
    """Some of `names`, evenly, with the first and the last.

    >>> spread("abcdefg", 3), spread("abc", None)
    (['a', 'd', 'g'], 'abc')
    """
    if most is None or most >= len(names):
        return names
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]


def row(name: str, setting: str, run: Run, idiom: str, folder: Path, most: int | None) -> dict[str, Any]:
    """A row of the result: how many resumptions there were, and in how many each thing was equal."""
    head = {"name": name, "setting": setting}
    try:
        found = list(comparisons(run, idiom, folder, most))
    except Exception as error:
        return {**head, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
    equal = {column: sum(one[column] for one in found) for column in COLUMNS}
    if any(count < len(found) for count in equal.values()):
        told = ", ".join(f"{column} {count}" for column, count in equal.items())
        return {**head, "status": "wrong", "reason": f"equal in {told} of {len(found)}"}
    return {**head, "status": "measured", "resumptions": len(found), "equal": equal}


def is_alone() -> bool:
    """Whether this is the only process."""
    return world() == 1


def world() -> int:
    """How many processes train together, as their launcher says."""
    return from_environment("WORLD_SIZE", 1)
