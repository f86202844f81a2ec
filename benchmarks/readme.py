"""The tables of the READMEs and the docs, from the results: `python -m onewarp.benchmarks.readme` writes them.

A test holds the pages to what this makes of the JSON, so no figure in them is typed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import augment, learners, load, pets, quality, serve
from .faults import outcomes
from .measuring import results
from .ptx import verdicts
from .resuming import table as resumptions

ROOT = Path(__file__).resolve().parents[1]
HEADLINE = (augment.FUSED, augment.ALONE)
"""The pair that the project exists for comes first."""
ELSEWHERE = (augment.DRAWING,)
"""Rows that are no way to augment."""


def between(page: str, name: str, body: str) -> str:
    """The page with `body` between the marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise UsageError(f"the page must have the marks {begin.strip()} and {end}, but has not: put them in")
    return head + begin + body + end + tail


def speed_table(found: Mapping[str, Any], fidelity: Sequence[Any]) -> str:
    """Markdown: images a second on one core and on all, how many times faster the fused warp is, and PSNR."""
    rows = found["rows"]
    most = max((row["threads"] for row in rows), default=1)
    settings = [f"{side} -> {quality.SIZE}" for side in quality.SIDES]
    head = ["way", "images/s, one core", "fused is faster by"]
    head += [f"images/s, {most} cores"] if most > 1 else []
    head += [f"PSNR, {setting.replace('->', 'to')}" for setting in settings]
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    base = augment.rate(rows, augment.FUSED)
    for name in order(rows):
        one, many = augment.rate(rows, name), augment.rate(rows, name, most)
        times = f"{base / one:,.1f} x" if base and one and name != augment.FUSED else ""
        cells = [bold(name), rate_cell(one, rows, name), times]
        cells += [rate_cell(many, rows, name)] if most > 1 else []
        for setting in settings:
            level = quality.level(fidelity, name, setting)
            cells.append("" if level is None else f"{level:.1f} dB")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def order(rows: Sequence[Any]) -> list[str]:
    """Names of rows: the headline, then by speed, then what was not measured."""
    names = dict.fromkeys(row["name"] for row in rows)
    rest = [name for name in names if name not in (*HEADLINE, *ELSEWHERE)]
    return [*(n for n in HEADLINE if n in names), *sorted(rest, key=lambda n: -(augment.rate(rows, n) or 0))]


def bold(name: str) -> str:
    """The headline stands out."""
    return f"**{name}**" if name in HEADLINE else name


def rate_cell(rate: float | None, rows: Sequence[Any], name: str) -> str:
    """A rate, or why there is none."""
    if rate is not None:
        return f"{rate:,.0f}"
    return next((str(r["status"]) for r in rows if r["name"] == name and r["status"] != "measured"), "")


def quality_table(found: Mapping[str, Any]) -> str:
    """Markdown: mean and least PSNR of each contender for each setting."""
    settings = list(dict.fromkeys(row["setting"] for row in found["rows"]))
    lines = [f"| way | {' | '.join(settings)} |", "|---|" + "--:|" * len(settings)]
    for name in dict.fromkeys(row["name"] for row in found["rows"]):
        cells = []
        for setting in settings:
            row = results.find_row(found["rows"], name=name, setting=setting)
            cells.append("" if row is None else f"{row['psnr']['mean']:.1f} ({row['psnr']['least']:.1f})")
        absent = {row["status"] for row in found["rows"] if row["name"] == name} - {"measured"}
        lines.append(f"| {name}{''.join(f', {status}' for status in absent)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def presize_table(found: Mapping[str, Any]) -> str:
    """Markdown: images a second, times fastai, and mean and least PSNR of each contender for each set of photos."""
    settings = list(dict.fromkeys(row["setting"] for row in found["rows"]))
    head = [f"{setting}, {what}" for setting in settings for what in ("images/s", "times fastai", "dB")]
    lines = [f"| way | {' | '.join(head)} |", "|---|" + "--:|" * len(head)]
    for name in dict.fromkeys(row["name"] for row in found["rows"]):
        cells = []
        for setting in settings:
            row = results.find_row(found["rows"], name=name, setting=setting)
            if row is None:
                cells += ["not measured", "", ""]
                continue
            times, level = row["times_fastai"], row["psnr"]
            cells += [f"{row['images_per_second']['cpu'][1]:,.1f}", "" if times is None else f"{times:.2f}"]
            cells.append(f"{level['mean']:.1f} ({level['least']:.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def load_table(found: Mapping[str, Any]) -> str:
    """Markdown: rows a second by the clock of each reader, and beside a copy within memory."""
    lines = ["| reader | page cache | threads | rows/s | of a copy within memory |", "|---|---|--:|--:|--:|"]
    for one in sorted(found["measured"], key=lambda one: (one["state"] != "sequential", one["workers"])):
        rate, share = one["rows_per_second_clock"][1], one["over_copy_clock"][1]
        lines.append(f"| {one['reader']} | {one['state']} | {one['workers']} | {rate:,.0f} | {share:.3f} |")
    return "\n".join(lines) + "\n"


def goals_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: what was asked beside what was measured, losses too."""
    lines = ["| measure | asked, at least | measured | |", "|---|--:|--:|---|"]
    for result in found:
        for one in result["asked"]:
            holds = "" if one["holds"] else "**missed**"
            lines.append(f"| {one['measure']} | {one['asked']:,} | {one['got']:,} | {holds} |")
    return "\n".join(lines) + "\n"


def caption(found: Mapping[str, Any]) -> str:
    """What a table was measured on."""
    machine, settings = found["machine"], found["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    busy = f", load average {machine['load_average']}" if "load_average" in machine else ""
    return f"\n{machine['processor']}, {machine['cores']} cores{busy}; commit {found['commit']}; {told}; {versions}.\n"


def load_caption(found: Mapping[str, Any]) -> str:
    """What loading was measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"\n{found['machine']}, load average {found['load_average']}; commit {found['commit']}; {versions}.\n"


def pages(folder: Path = results.RESULTS) -> dict[Path, str]:
    """The pages as they have to be."""
    speed, fidelity = results.read("augment", folder=folder), results.read("quality", folder=folder)
    rows = fidelity[0]["rows"] if fidelity else []
    main, method = ROOT / "README.md", ROOT / "benchmarks" / "README.md"
    front = "".join(speed_table(one, rows) + caption(one) for one in speed)
    levels = "".join(quality_table(one) + caption(one) for one in fidelity)
    presized = results.read("presize", folder=folder)
    faults = results.read("faults", folder=folder)
    hostile = results.read("hostile", folder=folder)
    robust = [*results.read("workers", folder=folder), *results.read("recovery", folder=folder), *faults, *hostile]
    loaded = [json.loads(path.read_text()) for path in sorted(folder.glob("load--*.json"))]
    measured = [
        *speed,
        *fidelity,
        *presized,
        *robust,
        *results.read("serve", folder=folder),
        *({"asked": load.goals(one["measured"])} for one in loaded),
    ]
    asked = goals_table(measured) if measured else ""
    detail = between(method.read_text(encoding="utf-8"), "quality", levels)
    detail = between(detail, "presize", "".join(presize_table(one) + caption(one) for one in presized))
    detail = between(detail, "faults", "".join(outcomes.table(one["rows"]) + caption(one) for one in faults))
    served = results.read("serve", folder=folder)
    detail = between(detail, "serve", "".join(serve.table(one) + caption(one) for one in served))
    detail = between(detail, "hostile", "".join(outcomes.table(one["rows"]) + caption(one) for one in hostile))
    resumed = results.read("resuming", folder=folder)
    detail = between(detail, "resuming", "".join(resumptions.table(one["rows"]) + caption(one) for one in resumed))
    detail = between(detail, "load", "".join(load_table(one) + load_caption(one) for one in loaded))
    tried = [json.loads(path.read_text()) for path in sorted(folder.glob("mutants--*.json"))]
    detail = between(detail, "mutants", "".join(verdicts.table(one) for one in tried))
    return {
        main: between(main.read_text(encoding="utf-8"), "table", front),
        method: between(detail, "asked", asked),
        **training(folder),
    }


def training(folder: Path) -> dict[Path, str]:
    """The page of training: both learners' errors, and what augmentation does on the pets."""
    page = ROOT / "docs" / "training.md"
    text = page.read_text(encoding="utf-8")
    trained = results.read("learners", folder=folder)
    text = between(text, "learners", "".join(learners.table(one) + caption(one) for one in trained))
    studies = [json.loads(path.read_text()) for path in sorted(folder.glob("pets-*.json"))]
    return {page: between(text, "pets", "".join(pets.reports(runs) for runs in studies))}


def main() -> int:
    """Write into the pages the tables that results give."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
