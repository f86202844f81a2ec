"""Floor 2: how data flows, from files to batches."""

from .. import lazy

__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)
