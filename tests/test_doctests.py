"""Every example in a docstring is run, and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

import onewarp

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(onewarp.__path__, "onewarp.") if not m.name.startswith("onewarp.tests")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # an adapter of a library that is not installed
        assert ".adapters." in name, error
        return
    assert doctest.testmod(module).failed == 0
