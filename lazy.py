"""A package's public names, each loaded when it is first asked for (PEP 562), as its `__init__.pyi` lists them."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def public_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of the package whose `__init__` is `file`.

    They follow from the lines `from .module import name as name` of the stub beside it, which type checkers read too.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    homes = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    def load(name: str) -> Any:
        """A public name's value, kept in the package from then on."""
        here = sys.modules[package]
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=here)
        home = homes[name]
        value = (
            import_module(f".{name}", package) if home is None else getattr(import_module(f".{home}", package), name)
        )
        setattr(here, name, value)
        return value

    names = sorted(homes)
    return load, names.copy, names
