"""For a loop with accelerate: each process its share of every epoch, on its device.

```python
accelerator = Accelerator()
model, optimizer = accelerator.prepare(model, optimizer)
dls = prepare(dls, accelerator)             # in the place of accelerator.prepare(dataloader)
for x, y in dls.train:
    loss = criterion(model(x), y)
    accelerator.backward(loss)
    ...
accelerator.save_state("checkpoint")        # the loaders' positions are in it
```
"""

from typing import Any

from ...pipeline import DataLoaders
from .torch import shared


def prepare(dls: DataLoaders, accelerator: Any) -> DataLoaders:
    """The loaders of this process, making batches on its device; `save_state` and `load_state` keep where they stand.

    No sample is repeated: where the last batches of the processes differ in size or number, it is `tail="drop"` or
    `"pad"` that makes them equal, as DDP needs them.
    """
    mine = shared(dls, accelerator.process_index, accelerator.num_processes, device=accelerator.device)
    accelerator.register_for_checkpointing(_Position(mine))
    return mine


class _Position:
    """Where the training loader stands, for accelerate's checkpoints."""

    def __init__(self, dls: DataLoaders) -> None:
        self._dls = dls

    def state_dict(self) -> dict[str, Any]:
        return self._dls.train.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._dls.train.load_state_dict(state)
