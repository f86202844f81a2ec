"""One self-contained HTML page: headings, words, tables, and pictures as PNG inside the file."""

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from matplotlib.figure import Figure

STYLE = """
:root { --ink: #1c2733; --soft: #5b6b7b; --line: #dfe5ec; --paper: #ffffff; --ground: #f4f6f9; --accent: #1f5f99; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
header { background: linear-gradient(120deg, #17334f, #1f5f99); color: #fff; padding: 44px 24px 40px; }
header > div { max-width: 1120px; margin: 0 auto; }
header h1 { margin: 0; font-size: 34px; font-weight: 650; letter-spacing: -.01em; }
header p { margin: 8px 0 0; opacity: .88; max-width: 720px; }
main { max-width: 1168px; margin: 0 auto; padding: 8px 24px 64px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 24px 28px 26px;
          margin-top: 24px; }
h2 { margin: 0 0 4px; font-size: 21px; letter-spacing: -.005em; }
section > p { margin: 4px 0 14px; color: var(--soft); max-width: 820px; }
figure { margin: 14px 0 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption { color: var(--soft); font-size: 14px; margin-top: 6px; text-align: center; }
table { border-collapse: collapse; margin-top: 10px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 18px 6px 0; text-align: left; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); font-size: 14px; }
td.number, th.number { text-align: right; }
.tiles { display: flex; flex-wrap: wrap; gap: 14px; margin-top: 24px; }
.tile { flex: 1 1 150px; background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
        padding: 16px 20px; }
.tile b { display: block; font-size: 26px; font-weight: 650; letter-spacing: -.01em; }
.tile span { color: var(--soft); font-size: 14px; }
.wide { overflow-x: auto; }
footer { color: var(--soft); font-size: 14px; margin-top: 26px; text-align: center; }
"""


@dataclass
class Page:
    """A page that grows from top to bottom; `write` leaves it in a file."""

    title: str
    subtitle: str = ""
    _parts: list[str] = field(default_factory=list)
    _open: bool = False

    def tiles(self, values: Sequence[tuple[str, str]]) -> Self:
        """A row of large values, each under its name: `(name, value)`."""
        cells = (f'<div class="tile"><b>{_text(value)}</b><span>{_text(name)}</span></div>' for name, value in values)
        return self._outside(f'<div class="tiles">{"".join(cells)}</div>')

    def section(self, heading: str, words: str = "") -> Self:
        """Begin a section with a heading."""
        self._close()
        self._open = True
        self._parts.append(f"<section><h2>{_text(heading)}</h2>" + (f"<p>{_text(words)}</p>" if words else ""))
        return self

    def figure(self, picture: Figure, alt: str, caption: str = "", dpi: int = 130) -> Self:
        """A picture, inside the file; `alt` says what it shows to those who do not see it."""
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", dpi=dpi, facecolor="white")
        data = base64.b64encode(buffer.getvalue()).decode()
        width = round(picture.get_figwidth() * 96)
        words = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
        image = f'<img alt="{_text(alt)}" width="{width}" src="data:image/png;base64,{data}">'
        self._parts.append(f"<figure>{image}{words}</figure>")
        return self

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Self:
        """A table; numbers stand to the right."""
        rows = [list(row) for row in rows]
        numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
        head = "".join(_cell("th", name, number) for name, number in zip(header, numeric, strict=True))
        body = "".join(
            "<tr>" + "".join(_cell("td", v, number) for v, number in zip(row, numeric, strict=True)) + "</tr>"
            for row in rows
        )
        self._parts.append(f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>')
        return self

    def text(self, words: str) -> Self:
        """Add a paragraph of text."""
        self._parts.append(f"<p>{_text(words)}</p>")
        return self

    def html(self) -> str:
        """The whole page as HTML."""
        self._close()
        subtitle = f"<p>{_text(self.subtitle)}</p>" if self.subtitle else ""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_text(self.title)}</title><style>{STYLE}</style></head><body>"
            f"<header><div><h1>{_text(self.title)}</h1>{subtitle}</div></header><main>"
            + "\n".join(self._parts)
            + "<footer>made by onewarp</footer></main></body></html>\n"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page, aside and renamed; returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        aside.write_text(self.html(), encoding="utf-8")
        os.replace(aside, path)
        return path

    def _outside(self, part: str) -> Self:
        self._close()
        self._parts.append(part)
        return self

    def _close(self) -> None:
        if self._open:
            self._parts.append("</section>")
            self._open = False


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _cell(tag: str, value: Any, number: bool) -> str:
    shown = f"{value:.4f}" if isinstance(value, float) else str(value)
    mark = ' class="number"' if number else ""
    return f"<{tag}{mark}>{_text(shown)}</{tag}>"
