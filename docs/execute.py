"""Execute a page: the cells of a script (`# %%`, `# %% [markdown]`) become Markdown, with their output and figures.

`python docs/execute.py docs/chapter.py PHOTOS` writes `docs/chapter.md` and `docs/figures/chapter-*`.
"""

import ast
import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
DPI = 68


def main(script: Path, photos: Path) -> None:
    """Run every cell in one namespace, and write the page after each, so that a failure shows where it was."""
    parts = CELL.split(script.read_text())[1:]
    names: dict[str, Any] = {"PETS": photos}
    page: list[str] = []
    figures = script.parent / "figures"
    figures.mkdir(exist_ok=True)
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        if "markdown" in kind:
            page.append(re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE))
        else:
            page.append(f"```python\n{text.strip()}\n```")
            page += run(text.strip(), names, figures, f"{script.stem}-{len(page)}")
        text = "\n\n".join(page) + "\n"
        script.with_suffix(".md").write_text(text.replace(str(photos), "pets/images"))  # not this machine's path


def run(code: str, names: dict[str, Any], figures: Path, stem: str) -> list[str]:
    """What a cell prints, and what its last expression is: a picture, or its repr."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, stem, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), stem, "eval"), names)
    found = [f"```text\n{printed.getvalue().rstrip()}\n```"] if printed.getvalue().strip() else []
    for index, figure in enumerate(value if isinstance(value, tuple | list) else [value]):
        if isinstance(figure, Figure):
            photos = len(figure.axes[0].images) > 0 and figure.axes[0].images[0].get_array().ndim == 3
            name = f"{stem}-{index}.{'jpg' if photos else 'png'}"
            figure.savefig(figures / name, dpi=DPI)
            found.append(f"![figure](figures/{name})")
        elif figure is value and value is not None:
            found.append(f"```text\n{value!r}\n```")
    if isinstance(value, tuple | list) and not any(isinstance(v, Figure) for v in value):
        found.append(f"```text\n{value!r}\n```")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
