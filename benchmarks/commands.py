"""The command `onewarp bench`: it measures, writes JSON and a picture, and prints a table."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..pipeline.progress import reporter
from . import augment, photos, plot, quality, results

PHOTOS = click.option(
    "--photos",
    type=click.Path(path_type=Path),
    default=photos.PETS,
    show_default="shared/data/pets/images beside the repository",
    help="A folder of photos.",
)
OUT = click.option("--out", type=click.Path(path_type=Path), help="Write JSON and a picture into this folder.")
JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout in place of a table.")


@click.group()
def bench() -> None:
    """Measurements beside peers; see benchmarks/README.md for the method."""


@bench.command(name="augment")
@PHOTOS
@OUT
@JSON
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=int, multiple=True, help="Numbers of threads; 1 and all cores if not given.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--seconds", default=0.3, show_default=True, help="A turn of a contender lasts at least so long.")
@click.option("--batch", default=augment.BATCH, show_default=True)
def bench_augment(
    device: str,
    photos: Path,
    out: Path | None,
    as_json: bool,
    threads: tuple[int, ...],
    rounds: int,
    seconds: float,
    batch: int,
) -> None:
    """Images a second from photos in memory to augmented batches; exit 1 where the gate stops one."""
    if device == "cuda":
        raise SystemExit(on_gpu(out))
    found = augment.measure(photos, threads or all_threads(), rounds, seconds, batch)
    tell(found, out, as_json, speeds(found), "images/s, one core", logarithmic=True)
    if any(row["status"] == "wrong" for row in found["rows"]):
        raise SystemExit(1)


def on_gpu(out: Path | None) -> int:
    """The suite of the GPU, which has its own gate, contenders and table."""
    from . import gpu

    return gpu.main([] if out is None else ["--out", str(out)])


def all_threads() -> tuple[int, ...]:
    """One, and all cores."""
    cores = int(results.machine()["cores"])
    return (1, cores) if cores > 1 else (1,)


def speeds(found: Any) -> list[tuple[str, str, float | None]]:
    """Name, words and bar of every row."""
    told: list[tuple[str, str, float | None]] = []
    for row in found["rows"]:
        name = row["name"] if row["threads"] == 1 else f"{row['name']} x{row['threads']}"
        if row["status"] == "measured":
            low, middle, high = row["images_per_second"]["cpu" if row["threads"] == 1 else "clock"]
            bar = middle if row["threads"] == 1 and row["name"] != augment.DRAWING else None
            told.append((name, f"{middle:,.0f} ({low:,.0f} .. {high:,.0f})", bar))
        else:
            told.append((name, row["reason"], None))
    return told


@bench.command(name="quality")
@PHOTOS
@OUT
@JSON
@click.option("--device", type=click.Choice(["cpu"]), default="cpu", show_default=True)
@click.option("--count", default=24, show_default=True, help="Photos.")
def bench_quality(device: str, photos: Path, out: Path | None, as_json: bool, count: int) -> None:
    """PSNR of each chain of operations beside the spline through the photo, under the chain's own map."""
    with reporter(3 * count, "quality", quiet=as_json) as progress:
        found = quality.measure(photos, count, progress)
    told: list[tuple[str, str, float | None]] = []
    for row in found["rows"]:
        level = row["psnr"] if row["status"] == "measured" else None
        words = row["reason"] if level is None else f"{level['mean']:.2f} (at least {level['least']:.2f})"
        bar = level["mean"] if level and row["setting"] == "460 -> 224" else None
        told.append((f"{row['name']}, {row.get('setting', '')}", words, bar))
    tell(found, out, as_json, told, "dB")


def tell(
    found: Any,
    out: Path | None,
    as_json: bool,
    told: Sequence[tuple[str, str, float | None]],
    unit: str,
    logarithmic: bool = False,
) -> None:
    """Check, write and print a result."""
    results.check(found)
    if out is not None:
        path = results.write(found, out)
        named = [(name, bar) for name, _, bar in told if bar]
        title = f"{found['suite']}: {found['machine']['processor']}"
        plot.bars(named, unit, title, path.with_suffix(".png"), logarithmic)
        click.echo(f"wrote {path}", err=True)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table = Table("way", unit, title=f"{found['suite']}, {found['device']}")
    for name, words, _ in told:
        table.add_row(name, words)
    asked = Table("measure", "asked", "measured", "")
    for one in found["asked"]:
        asked.add_row(one["measure"], f"{one['asked']:,}", f"{one['got']:,}", "" if one["holds"] else "missed")
    console = Console()
    console.print(table)
    console.print(asked)


@bench.command(name="presize", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_presize(arguments: tuple[str, ...]) -> None:
    """Decoding and resizing; arguments as of `python -m onewarp.benchmarks.presize`."""
    from . import presize

    presize.main(list(arguments), standalone_mode=False)


@bench.command(name="load", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_load(arguments: tuple[str, ...]) -> None:
    """Loading; arguments as of `python -m onewarp.benchmarks.load`: run PHOTOS WORK --out RESULTS.json."""
    from . import load

    load.main(list(arguments), standalone_mode=False)


@bench.command(name="train")
def bench_train() -> None:
    """The Learner beside fastai's, step by step; exit 1 where they part."""
    from . import train

    raise SystemExit(train.main())
