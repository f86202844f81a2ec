"""A picture of a result: bars, the longest first."""

from collections.abc import Sequence
from pathlib import Path


def bars(named: Sequence[tuple[str, float]], unit: str, title: str, path: Path, logarithmic: bool = False) -> Path:
    """Horizontal bars, with their values written at their ends, into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rising = sorted(named, key=lambda pair: pair[1])
    figure = Figure(figsize=(9, 0.9 + 0.32 * len(rising)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    values = [value for _, value in rising]
    colours = ["tab:orange" if name.startswith("onewarp") else "tab:blue" for name, _ in rising]
    drawn = axes.barh([name for name, _ in rising], values, color=colours)
    axes.bar_label(drawn, [f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in values], padding=3)
    if logarithmic:
        axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel(unit)
    axes.set_title(title)
    figure.savefig(path, dpi=120)
    return path
