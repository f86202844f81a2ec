"""Settings as types: those of the constructor, no more, no less, and of the same types."""

import inspect
from typing import get_type_hints

from onewarp.pipeline import DataLoaders
from onewarp.pipeline.datablock.dataloaders import DataLoadersSettings
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.loader_settings import CommonSettings, LoaderSettings


def parameters(function):
    """The types of a function's parameters by name, without its `**settings`."""
    hints = get_type_hints(function)
    named = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return {name: hints[name] for name in named if name in hints}


def test_the_settings_of_a_loader_are_those_of_its_constructor():
    expected = parameters(Loader.__init__)
    for name in ("cache", "reading", "checking"):  # of which rows are made
        del expected[name]
    assert get_type_hints(LoaderSettings) == expected


def test_a_loader_keeps_each_of_its_settings(dense_rows):
    loader = Loader(dense_rows())
    assert loader._settings.keys() == get_type_hints(LoaderSettings).keys() - {"warm"}  # which is done, once
    other = loader.with_settings(batch_size=5, tail="drop", keys=True)
    assert (other.batch_size, other.tail, len(next(iter(other)))) == (5, "drop", 3)
    assert other.rows is loader.rows


def test_what_loaders_of_a_data_set_take_is_shared_or_their_own():
    own = parameters(DataLoaders.of)
    expected = {name: own[name] for name in ("bs", "val_bs", "seed", "shuffle")}
    assert get_type_hints(DataLoadersSettings) == expected | get_type_hints(CommonSettings)
