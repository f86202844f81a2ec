"""onewarp's modules where its dependencies are not installed: enough for what needs torch, triton and numpy alone."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


def reachable() -> str | None:
    """Makes the modules of `onewarp.transforms` importable one by one; says what is missing for all of them.

    Where the package cannot be imported whole, an empty one takes its place, which leads to the same files. Dispatch
    by type needs plum: a stand-in lets the transforms be made, which is all that a plan takes.
    """
    whole = __package__.rpartition(".")[0]
    try:
        importlib.import_module(f"{whole}.transforms")
    except ImportError as error:
        for name in [name for name in sys.modules if name.startswith(f"{whole}.transforms")]:
            del sys.modules[name]
        empty = ModuleType(f"{whole}.transforms")
        empty.__path__ = [str(ROOT / "transforms")]
        sys.modules[empty.__name__] = empty
        try:
            importlib.import_module("plum")
        except ImportError:
            plum = ModuleType("plum")
            plum.__dict__.update(Function=_Dispatch, Signature=_Dispatch)
            sys.modules["plum"] = plum
        return str(error)
    return None


class _Dispatch:
    """In place of plum's classes: nothing here dispatches."""

    def __init__(self, *arguments: object) -> None:
        raise ImportError("dispatch by type needs plum-dispatch, which is not installed here")
