"""A generator of its own for code that knows only torch's global one.

Libraries of augmentations draw by `torch.rand(...)` and `x.uniform_()`, from the generator that all threads of a
process share. Seeding that one from a loader's thread changes the consumer's numbers, and the consumer changes the
loader's. Within `GeneratorMode` every operator of the calling thread draws from a generator of the mode instead, which
gives the numbers that the global one would give after `torch.manual_seed`; other threads see nothing of it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import UsageError


class GeneratorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operators of this thread draw from generators that start at `seed`, one a device.

    Raises `UsageError` for an operator that can draw from nothing but the global generator, as `native_dropout`.

    >>> state = torch.get_rng_state()
    >>> with GeneratorMode(3):
    ...     first = torch.rand(2)
    >>> torch.equal(first, torch.rand(2, generator=torch.Generator().manual_seed(3)))
    True
    >>> torch.equal(state, torch.get_rng_state())
    True
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        return with_generator(func)(*args, **{**kwargs, "generator": self._generator(args, kwargs)})

    def _generator(self, args: Sequence[Any], kwargs: dict[str, Any]) -> torch.Generator:
        """The generator of the device on which the numbers are wanted."""
        tensor = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
        device = torch.device(kwargs.get("device") or ("cpu" if tensor is None else tensor.device))
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


@cache
def with_generator(func: Any) -> Any:
    """The overload of a random operator that takes a `generator`; `UsageError` where there is none."""
    names = _arguments(func)
    if "generator" in names:
        return func
    packet = func.overloadpacket
    for name in packet.overloads():
        overload = getattr(packet, name)
        if _arguments(overload) == names | {"generator"}:
            return overload
    raise UsageError(
        f"{func} draws from torch's global generator and takes no other, so its numbers cannot follow from the "
        f"sample's key here: call it in a process of its own, by Foreign of onewarp.trainers.adapters"
    )


def _arguments(func: Any) -> set[str]:
    return {argument.name for argument in func._schema.arguments}
