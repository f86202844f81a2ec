"""The command `onewarp bench`: it measures, writes JSON and a picture, and prints a table."""

import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from ..pipeline.presizing.progress import reporter
from . import augment, quality, serve, versions
from .measuring import photos, plot, results
from .measuring.photos import photo_files

PHOTOS = click.option(
    "--photos",
    type=click.Path(path_type=Path),
    default=photos.PETS,
    show_default="shared/data/pets/images beside the repository",
    help="A folder of photos.",
)
OUT = click.option("--out", type=click.Path(path_type=Path), help="Write JSON and a picture into this folder.")
Command = TypeVar("Command", bound=Callable[..., Any])

AGAINST = click.option(
    "--against",
    is_eager=True,  # since the number of rounds goes by it
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Compare with another version of onewarp alone: a checkout with an environment.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON on stdout in place of a table.")


@click.group()
def bench() -> None:
    """Measurements beside peers; see benchmarks/README.md for the method."""


def rounds(usual: int) -> Callable[[Command], Command]:
    """The option of a command that takes `usual` rounds, and those of a comparison with --against."""

    def choose(context: click.Context, _: click.Parameter, number: int | None) -> int:
        return number or (usual if context.params.get("against") is None else versions.ROUNDS)

    words = f"[default: {usual}; {versions.ROUNDS} with --against]"
    return click.option("--rounds", type=click.IntRange(min=1), callback=choose, help=words)


@bench.command(name="augment")
@PHOTOS
@OUT
@JSON
@AGAINST
@rounds(4)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=int, multiple=True, help="Numbers of threads; 1 and all cores if not given.")
@click.option("--processes", default=2, show_default=True, help="Where memory lies differs from one to another.")
@click.option("--seconds", default=0.4, show_default=True, help="A turn of a contender lasts at least so long.")
@click.option("--batch", default=augment.BATCH, show_default=True)
def bench_augment(
    device: str,
    photos: Path,
    out: Path | None,
    as_json: bool,
    against: Path | None,
    threads: tuple[int, ...],
    processes: int,
    rounds: int,
    seconds: float,
    batch: int,
) -> None:
    """Images a second from photos in memory to augmented batches; exit 1 where the gate stops one."""
    if against is not None:
        compare_versions("augment", against, photos, rounds, seconds, out, as_json)
        return
    if device == "cuda":
        raise SystemExit(suite_of_gpu(out))
    photo_files(photos)  # refused here, before processes are started
    found = augment.measure(photos, threads or all_threads(), rounds, seconds, batch, processes)
    tell(found, out, as_json, speeds(found), "images/s, one core", logarithmic=True)
    if any(row["status"] == "wrong" for row in found["rows"]):
        raise SystemExit(1)


def suite_of_gpu(out: Path | None) -> int:
    """The suite of the GPU, which has its own gate, contenders and table."""
    from . import on_gpu

    return on_gpu.main([] if out is None else ["--out", str(out)])


def all_threads() -> tuple[int, ...]:
    """One thread, and as many as there are cores, if there are more."""
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
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Of our warp.")
@click.option("--count", default=24, show_default=True, help="Photos.")
def bench_quality(device: str, photos: Path, out: Path | None, as_json: bool, count: int) -> None:
    """PSNR of each chain of operations beside the spline through the photo, under the chain's own map."""
    with reporter(3 * count, "quality", quiet=as_json) as progress:
        found = quality.measure(photos, count, progress, device)
    told: list[tuple[str, str, float | None]] = []
    first = f"{quality.SIDES[0]} -> {quality.SIZE}"
    for row in found["rows"]:
        level = row["psnr"] if row["status"] == "measured" else None
        words = row["reason"] if level is None else f"{level['mean']:.2f} (at least {level['least']:.2f})"
        bar = level["mean"] if level and row["setting"] == first else None
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
    """Check, write and print a result; rows with bars stand in a picture, too."""
    results.check(found)
    if out is not None:
        path = results.write(found, out)
        named = [(name, bar) for name, _, bar in told if bar]
        title = f"{found['suite']}: {found['machine']['processor']}"
        if named:
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


@bench.command(name="presize")
@PHOTOS
@click.option("--phone", type=click.Path(path_type=Path), default=photos.PHONE, help="A folder with a phone's photos.")
@OUT
@JSON
@AGAINST
@rounds(7)
@click.option("--size", default=460, show_default=True)
@click.option("--limit", default=48, show_default=True, help="Photos at most.")
@click.option("--simd", help="The Python of an environment with pillow-simd.")
def bench_presize(
    photos: Path,
    phone: Path,
    out: Path | None,
    as_json: bool,
    against: Path | None,
    rounds: int,
    size: int,
    limit: int,
    simd: str | None,
) -> None:
    """Decoding and resizing, one core."""
    if against is not None:
        compare_versions("presize", against, photos, rounds, versions.SECONDS, out, as_json)
        return
    with result_file(out, "presize") as path:
        arguments = [
            "--web",
            str(photos),
            "--phone",
            str(phone),
            "--size",
            str(size),
            "--rounds",
            str(rounds),
            "--limit",
            str(limit),
        ]
        run_suite("presize", [*arguments, "--out", str(path), *(["--simd", simd] if simd else [])], as_json, path)


@bench.command(name="load")
@PHOTOS
@OUT
@JSON
@AGAINST
@rounds(3)
@click.option("--work", type=click.Path(path_type=Path), help="Keep the written formats here, and find them again.")
@click.option("--rows", default=1536, show_default=True)
@click.option("--workers", multiple=True, type=int, default=(1,), show_default=True)
def bench_load(
    photos: Path,
    out: Path | None,
    as_json: bool,
    against: Path | None,
    rounds: int,
    work: Path | None,
    rows: int,
    workers: tuple[int, ...],
) -> None:
    """Reading rows, and from rows to augmented batches."""
    if against is not None:
        compare_versions("load", against, photos, rounds, versions.SECONDS, out, as_json)
        return
    photo_files(photos)
    with result_file(out, "load") as path, tempfile.TemporaryDirectory() as folder:
        arguments = ["run", str(photos), str(work or folder), "--rows", str(rows), "--rounds", str(rounds)]
        for several in workers:
            arguments += ["--workers", str(several)]
        run_suite("load", [*arguments, "--out", str(path)], as_json, path)


@bench.command(name="serve")
@PHOTOS
@OUT
@JSON
@rounds(9)
@click.option("--threads", default=2, show_default=True, help="Of the loaders.")
def bench_serve(photos: Path, out: Path | None, as_json: bool, rounds: int, threads: int) -> None:
    """The service over loopback: beside a bare Flight server, local loaders, and replicas of itself."""
    photo_files(photos)
    found = serve.measure(photos, rounds, threads)
    told = [(row["name"], f"{serve.figure(row)}, {row['times']:.2f} x", None) for row in found["rows"]]
    tell(found, out, as_json, told, "rows/s or milliseconds, beside its standard")


@bench.command(name="train")
@OUT
@JSON
def bench_train(out: Path | None, as_json: bool) -> None:
    """The Learner beside fastai's, step by step; exit 1 where they part."""
    from . import train

    found = train.parity()
    text = json.dumps({**asdict(found), "holds": found.holds}, indent=1)
    if out is not None:
        with result_file(out, "train") as path:
            path.write_text(text + "\n")
    if as_json:
        click.echo(text)
    else:
        table = Table("largest difference", "", title="the Learner beside fastai's")
        for name, value in asdict(found).items():
            table.add_row(name, f"{value:.2e}" if isinstance(value, float) else str(value))
        Console().print(table)
    if not found.holds:
        raise SystemExit(1)


def compare_versions(
    suite: str, against: Path, photos: Path, rounds: int, seconds: float, out: Path | None, as_json: bool
) -> None:
    """Measure this version beside another one."""
    with reporter(rounds * len(versions.WORK[suite]), f"{suite}, two versions", quiet=as_json) as progress:
        found = versions.measure(suite, against, photos, rounds, seconds, progress)
    tell(found, out, as_json, versions.table(found), "times as fast")


@contextmanager
def result_file(out: Path | None, suite: str) -> Iterator[Path]:
    """The file for a suite's JSON: in `out`, or one that goes again."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) if out is None else out
        there.mkdir(parents=True, exist_ok=True)
        yield there / f"{results.slug(results.about(suite, 'cpu', {}))}.json"


def run_suite(suite: str, arguments: list[str], as_json: bool, path: Path) -> None:
    """Run a suite's own command, which says on stdout or stderr what it finds; with `as_json` stdout has only JSON."""
    command: click.Command = importlib.import_module(f".{suite}", __package__).main
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        command.main(arguments, standalone_mode=False)
    if as_json:
        click.echo(path.read_text().rstrip())
