"""Plugs for other trainers: the same batches, in the same order, resumable, each sample once over all processes."""

from ... import lazy

__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)
