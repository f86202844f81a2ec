"""Public names are loaded when they are first asked for, and not before."""

import importlib
import json
import subprocess
import sys

import pytest

STUB = "from . import part as part\nfrom .part import thing as thing\n"
INIT = "from onewarp import lazy\n\n__getattr__, __dir__, __all__ = lazy.public_names(__name__, __file__)\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of one module and one name of it."""
    folder = tmp_path / "lazily_loaded"
    folder.mkdir()
    for name, text in {"__init__.py": INIT, "__init__.pyi": STUB, "part.py": "thing = object()\n"}.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("lazily_loaded")
    for name in ("lazily_loaded", "lazily_loaded.part"):
        sys.modules.pop(name, None)


def test_a_name_is_loaded_when_it_is_asked_for_and_kept(package):
    assert package.__all__ == dir(package) == ["part", "thing"]
    assert "lazily_loaded.part" not in sys.modules
    assert package.thing is sys.modules["lazily_loaded.part"].thing is vars(package)["thing"]
    assert package.part is sys.modules["lazily_loaded.part"]


def test_what_is_no_public_name_is_said_to_be_missing(package):
    with pytest.raises(AttributeError, match="module 'lazily_loaded' has no attribute 'nothing'") as caught:
        package.nothing  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("nothing", package)
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'lazily_loaded'"):
        exec("from lazily_loaded import nothing")


@pytest.mark.parametrize("name", ["", ".pipeline", ".trainers", ".trainers.adapters", ".transforms", ".benchmarks.ptx"])
def test_a_package_alone_loads_nothing_of_what_it_exports(name):
    package = f"onewarp{name}"
    code = f"import json, sys, {package}; print(json.dumps(sorted(sys.modules)))"
    found = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    parents = {package.rsplit(".", n)[0] for n in range(package.count(".") + 1)}
    assert {name for name in found if name.partition(".")[0] == "onewarp"} == parents | {"onewarp.lazy"}
    assert not {"torch", "numpy", "PIL", "plum", "kornia", "simplejpeg", "accelerate", "triton"} & set(found)
