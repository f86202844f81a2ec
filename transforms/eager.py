"""Calls that `torch.compile` leaves as they are."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def eager(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call`, which is one break in the graph of a compiled function: nothing in it is traced.

    It draws, plans and calls kernels in C++, of which the compiler could make nothing.
    """
    untraced: list[Callable[..., Any]] = []

    @wraps(call)
    def call_eager(*args: Any, **named: Any) -> Any:
        if "torch._dynamo" not in sys.modules:  # nothing is compiled, and importing it takes seconds
            return call(*args, **named)
        if not untraced:
            untraced.append(torch.compiler.disable(call))  # type: ignore[no-untyped-call]
        return untraced[0](*args, **named)

    return call_eager
