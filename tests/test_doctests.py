"""Every example in a docstring is run, and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

import onewarp

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(onewarp.__path__, "onewarp.") if not m.name.startswith("onewarp.tests")
)
OPTIONAL = {"lightning": "lightning", "huggingface": "transformers", "fastai": "fastai"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    if ".adapters." in name and (library := name.rpartition(".")[2]) in OPTIONAL:
        pytest.importorskip(OPTIONAL[library])
    assert doctest.testmod(importlib.import_module(name)).failed == 0
