"""torch's random generators, of every process: their state in a checkpoint, and back."""

from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor


def of_every_process(processes: Any) -> dict[str, Tensor]:
    """The state of the generators in every process, by the process's number; `processes` is accelerate's state of them.

    Every process must call it.
    """
    own = {f"rng.{processes.process_index}.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        own[f"rng.{processes.process_index}.cuda"] = torch.cuda.get_rng_state()
    every = gather_object([own]) if processes.num_processes > 1 else [own]
    return {name: state for one in every for name, state in one.items()}


def restore(tensors: dict[str, Tensor], process: int) -> None:
    """Give a process its generators back; one that was not there then keeps those that it has."""
    if f"rng.{process}.cpu" in tensors:
        torch.set_rng_state(tensors[f"rng.{process}.cpu"])
    if torch.cuda.is_available() and f"rng.{process}.cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"rng.{process}.cuda"])


def check(tensors: dict[str, Tensor]) -> None:
    """Raise `ValueError` for the state of a generator that torch would not take."""
    expected = torch.get_rng_state()
    for name, state in tensors.items():
        if (
            name.startswith("rng.")
            and name.endswith(".cpu")
            and (state.dtype, state.shape)
            != (
                expected.dtype,
                expected.shape,
            )
        ):
            raise ValueError(f"{name} is {state.dtype} {list(state.shape)}")
