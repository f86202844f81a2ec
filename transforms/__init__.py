"""Floor 1: what a typed sample is, and what happens to it."""

from .. import lazy

__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)
