"""A thin Learner that reproduces the chapter, what it leaves to look at, and plugs for every other trainer."""

from .. import lazy

__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)
