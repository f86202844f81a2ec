"""How a launch of Triton's is compiled for a named GPU, specialised as Triton does it, and run on PTX."""

import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from ...transforms.warp import gpu
from .arithmetic import FLOATS, Array
from .chains import Chains
from .memory import Memory, address_of
from .parse import Kernel, parse
from .threads import Grid, Threads

MOST_LANES = 16384
"""Threads that go through the code together: more need more memory, fewer more steps."""


@dataclass
class Interpreter:
    """While it is entered, Triton's launches and the GPU's warp take tensors in host memory, and run interpreted PTX.

    The PTX is compiled for `target`, such as "sm_90".

    `moved` moves the results of approximate instructions by as many times their largest documented error. What the
    function `changed` makes of a kernel is run in its place, and only those programs that `programs` leaves of a
    kernel's. Code that takes more than `most_steps` for some programs is a fault.

    Afterwards `visits` has, for each kernel's PTX, how many threads did each of its instructions, `compiled` what
    Triton knows of it, and `chain` is the longest that there was in a launch (`chains.py`), if `chained`. Where
    `outputs` is a list, each launch adds copies of its tensors, as it leaves them.

    Raises `Fault` for what no correct kernel does, `Unknown` for what has no meaning here.
    """

    target: str
    moved: float = 0.0
    changed: Callable[[Kernel], Kernel] = lambda kernel: kernel
    programs: Callable[[str, Array], Array] = lambda _, programs: programs
    most_steps: int = 10**9
    chained: bool = False
    steps: int = 0
    chain: int = 0
    launches: Counter[str] = field(default_factory=Counter)
    visits: dict[str, Array] = field(default_factory=dict)
    compiled: dict[str, Any] = field(default_factory=dict)
    outputs: list[torch.Tensor] | None = None

    def __enter__(self) -> Self:
        target = GPUTarget("cuda", int(self.target.removeprefix("sm_")), 32)
        asked = {
            "get_current_target": lambda: target,
            "get_current_device": lambda: self.target,  # Triton keeps what it has compiled by device
            "get_current_stream": lambda device: 0,
        }
        triton.runtime.driver.set_active(SimpleNamespace(**asked))  # as much of a driver as is asked before a launch
        self._before = JITFunction.run, gpu.IN_HOST_MEMORY
        JITFunction.run, gpu.IN_HOST_MEMORY = self._launcher(JITFunction.run), True
        return self

    def __exit__(self, *_: object) -> None:
        JITFunction.run, gpu.IN_HOST_MEMORY = self._before
        with suppress(RuntimeError):  # without a GPU there is no driver to go back to
            triton.runtime.driver.reset_active()

    def _launcher(self, compile_only: Callable[..., Any]) -> Callable[..., Any]:
        """What `kernel[grid](...)` does instead."""

        def run(function: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> Any:
            compiled = compile_only(function, *arguments, grid=grid, warmup=True, **options)
            if not warmup:
                named = {name: value for name, value in options.items() if name in function.signature.parameters}
                bound = function.signature.bind(*arguments, **named).arguments
                kinds = compiled.src.signature
                taken = [bound[name] for name, kind in kinds.items() if kind != "constexpr"]
                size = tuple(grid(bound) if callable(grid) else grid)
                self.compiled[compiled.asm["ptx"]] = compiled
                self.launch(self.changed(parse(compiled.asm["ptx"])), taken, size)
            return compiled

        return run

    def launch(self, kernel: Kernel, arguments: list[Any], grid: tuple[int, ...]) -> None:
        """Run a kernel: `arguments` are numbers, None and tensors in host memory, in the order of its parameters.

        Parameters beyond them are what Triton adds: pointers to scratch memory, of which there is none.
        """
        arguments = arguments + [None] * (len(kernel.parameters) - len(arguments))
        values, contents = bind_arguments(kernel, arguments)
        memory = Memory(np.array([len(array) for array in contents]), fresh=False)
        for number, array in enumerate(contents):
            memory.contents(number)[:] = array
        size = (*grid, 1, 1)[:3]
        programs, at_once = self.programs(kernel.name, np.arange(math.prod(size))), max(1, MOST_LANES // kernel.threads)
        visits = self.visits.setdefault(kernel.text, np.zeros(len(kernel.code), np.int64))
        with np.errstate(all="ignore"):
            for first in range(0, len(programs), at_once):
                chosen = Grid((size[0], size[1], size[2]), programs[first : first + at_once])
                threads = Threads(kernel, memory, values, chosen, self.moved, Chains() if self.chained else None)
                try:
                    threads.run(self.most_steps)
                finally:
                    visits += threads.visits
                    self.steps = max(self.steps, threads.steps)
                    self.chain = max(self.chain, threads.chains.longest if threads.chains else 0)
        self.launches[kernel.name] += 1
        for number, array in enumerate(contents):
            if memory.dirty[number + 1]:
                array[:] = memory.contents(number)
        if self.outputs is not None:
            tensors = {id(value): value for value in arguments if isinstance(value, torch.Tensor)}
            self.outputs += [value.clone() for value in tensors.values()]

    def summary(self) -> str:
        """How many launches of what, and how many instructions threads did."""
        launches = ", ".join(f"{count} of {name}" for name, count in sorted(self.launches.items()))
        done = sum(int(visits.sum()) for visits in self.visits.values())
        code = sum(len(visits) for visits in self.visits.values())
        return f"{self.target}: launches: {launches}; {len(self.visits)} kernels of {code} instructions, {done} done"


def bind_arguments(kernel: Kernel, arguments: list[Any]) -> tuple[dict[str, int], list[Array]]:
    """The bits of parameters, and the allocations they point into: the whole storage of each tensor."""
    values: dict[str, int] = {}
    storages: dict[int, int] = {}
    contents: list[Array] = []
    for (name, kind), value in zip(kernel.parameters, arguments, strict=True):
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            key = storage.data_ptr() or -1 - len(contents)
            if key not in storages:
                storages[key] = len(contents)
                contents.append(torch.empty(0, dtype=torch.uint8).set_(storage).numpy())
            values[name] = address_of(storages[key]) + int(value.storage_offset()) * value.element_size()
        elif kind in FLOATS:
            values[name] = int.from_bytes(np.array(value, FLOATS[kind]).tobytes(), "little")
        else:
            values[name] = int(value or 0) & (2**64 - 1)
    for name, variable in kernel.variables.items():
        if variable.space == "global":
            values[name] = address_of(len(contents))
            contents.append(np.frombuffer(variable.contents, np.uint8))
    return values, contents
