"""The tree of exceptions is whole, and stands in one file."""

import ast
import inspect
import re
from pathlib import Path

import onewarp
from onewarp import errors

ROOT = Path(onewarp.__file__).parent
FLOORS = ("transforms", "pipeline", "trainers", "benchmarks")


def tree_in(text):
    """The exceptions of a drawn tree: name to (parent, other bases)."""
    found, above = {}, []
    for line in re.findall(r"```\n(.*?)```", text, re.DOTALL)[0].splitlines():
        depth = re.match(r"[│├└─ ]*", line).end() // 4
        name, others = re.match(r"(\w+)\s*(?:\((\w+)\))?", line[depth * 4 :]).groups()
        above[depth:] = [name]
        found[name] = (above[depth - 1] if depth else "Exception", others)
    return found


def test_the_tree_of_exceptions_is_drawn_whole():
    classes = {n: v for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, Exception)}
    assert errors.__all__ == sorted(classes)
    drawn = {n: tuple(b.__name__ for b in v.__bases__) for n, v in classes.items()}
    assert {n: tuple(b for b in bases if b) for n, bases in tree_in(errors.__doc__).items()} == drawn


def test_no_exception_of_the_tree_is_defined_elsewhere():
    for path in [*(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py")), ROOT / "cli.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            bases = {getattr(base, "id", "") for base in node.bases} if isinstance(node, ast.ClassDef) else set()
            assert not bases & set(errors.__all__), f"{path}: {node.name} belongs into errors.py"
