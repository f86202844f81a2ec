"""Plugs for other trainers: the same batches, in the same order, resumable, each sample once over all processes."""

from .accelerate import prepare
from .datasets import Augment, OrderSampler
from .fastai import as_fastai, count_epochs
from .fastai_resuming import resumable
from .foreign import AlbumentationsTransform, FastaiTransform, TorchvisionTransform
from .huggingface import trainer_parts
from .lightning import data_module
from .torch import Collate, Positions, as_dataloader, as_numpy, shared

__all__ = [
    "AlbumentationsTransform",
    "Augment",
    "Collate",
    "FastaiTransform",
    "OrderSampler",
    "Positions",
    "TorchvisionTransform",
    "as_dataloader",
    "as_fastai",
    "as_numpy",
    "count_epochs",
    "data_module",
    "prepare",
    "resumable",
    "shared",
    "trainer_parts",
]
