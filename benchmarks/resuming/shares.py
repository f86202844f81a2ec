"""Each sample once an epoch over the ranks of each trainer, by the share that its adapter takes of so many ranks.

The adapters are given rank and world size as the trainer gives them; no process is started.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from accelerate.data_loader import prepare_data_loader
from torch import Tensor
from torch.utils.data import DataLoader

from ...pipeline import DataLoaders
from ...trainers.adapters import as_dataloader, as_fastai, data_module, prepare, shared, trainer_parts
from . import data

ROWS, SIZES, WORLDS = (97, 392), (16, 65), (1, 2, 3)
Share = Callable[[DataLoaders, int, int], Iterable[Any]]
"""`share(dls, rank, world_size)` gives the training batches of a rank, through a trainer's adapter."""


def lightning(dls: DataLoaders, rank: int, world_size: int) -> Iterable[Any]:
    """By `setup`, as Lightning's trainer calls it."""
    progress = SimpleNamespace(current=SimpleNamespace(processed=0, ready=0))
    loop = SimpleNamespace(epoch_progress=progress, epoch_loop=SimpleNamespace(batch_progress=progress))
    module = data_module(dls)
    module.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device="cpu"),
        global_rank=rank,
        world_size=world_size,
        fit_loop=loop,
        overfit_batches=0,
    )
    module.setup("fit")
    batches: Iterable[Any] = module.train_dataloader()
    return batches


def huggingface(dls: DataLoaders, rank: int, world_size: int) -> Iterable[Any]:
    """By the function of accelerate with which the Trainer prepares its `DataLoader`."""
    parts = trainer_parts(dls)
    loader = DataLoader(parts["train_dataset"], dls.train.batch_size, collate_fn=parts["data_collator"])
    batches = prepare_data_loader(loader, num_processes=world_size, process_index=rank, put_on_device=False)
    return ((batch["pixel_values"],) for batch in batches)


def accelerate(dls: DataLoaders, rank: int, world_size: int) -> Iterable[Any]:
    """By `prepare`."""
    accelerator = SimpleNamespace(
        process_index=rank,
        num_processes=world_size,
        device="cpu",
        dataloader_config=SimpleNamespace(split_batches=False),
        register_for_checkpointing=lambda part: None,
        _schedulers=[],
    )
    return prepare(dls, accelerator).train


SHARES: dict[str, Share] = {
    "Lightning": lightning,
    "Hugging Face Trainer": huggingface,
    "accelerate": accelerate,
    "fastai": lambda dls, rank, world_size: as_fastai(shared(dls, rank, world_size), "cpu")[0],
    "plain loop": lambda dls, rank, world_size: shared(dls, rank, world_size).train,
    "as_dataloader": lambda dls, rank, world_size: as_dataloader(shared(dls, rank, world_size).train),
}


def rows(names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A row of the result for each trainer and number of ranks."""
    for name in names:
        for world_size in WORLDS:
            head = {"name": name, "setting": f"{world_size} {'ranks' if world_size > 1 else 'rank'}"}
            try:
                repeats = [repeated(SHARES[name], count, bs, world_size) for count in ROWS for bs in SIZES]
            except Exception as error:
                yield {**head, "status": "failed", "reason": f"{type(error).__name__}: {error}"}
                continue
            yield {**head, "status": "measured", "cases": len(repeats), "repeats": sum(repeats)}


def repeated(share: Share, count: int, bs: int, world_size: int) -> int:
    """How many samples come twice in an epoch; raises `AssertionError` where one is missing, or too many come twice.

    Accelerate, which shares out for the Hugging Face Trainer, fills the last step up with repeats, for all trainers.
    """
    dls = data.numbered(count, bs)
    found: Counter[int] = Counter()
    for rank in range(world_size):
        for batch in share(dls, rank, world_size):
            found.update(data.numbers(batch[0].as_subclass(Tensor)))
    repeats = found.total() - len(found)
    filled = -(-count // (bs * world_size)) * bs * world_size - count
    if set(found) != set(range(count)) or repeats > (filled if share is huggingface and world_size > 1 else 0):
        raise AssertionError(
            f"{count} samples in batches of {bs} must come once, but {len(found)} came, {repeats} of them again"
        )
    return repeats
