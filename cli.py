"""The command line: it parses, calls what the packages do, and prints.

Data goes to stdout (`--json` where a program may read it), everything else to stderr. Exit 0: done, 1: failed,
2: wrong usage.
"""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .errors import CacheError, OnewarpError, UsageError
from .pipeline.cache import Cache
from .pipeline.encodings import ENCODINGS
from .pipeline.exporting import export as write_files
from .pipeline.inspecting import describe
from .pipeline.presizing import presize as make_cache
from .pipeline.progress import reporter
from .transforms.decoding import Decoding


class Commands(click.Group):
    """Commands in the order in which they are written; what goes wrong is one line, and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the file."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except OnewarpError as error:
            click.echo(f"onewarp: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except KeyboardInterrupt:
            click.echo("onewarp: stopped; the same command goes on from here", err=True)
            ctx.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="onewarp")
def main() -> None:
    """Presize photos once into a Parquet cache; turn cached bytes into augmented batches with one interpolation."""


# ---- presize, and what is done with a cache -------------------------------------------------------------------------


@main.command()
@click.argument("source")
@click.argument("cache")
@click.option("--size", default=460, show_default=True, help="Pixels on the short side, at most.")
@click.option("--label", default="none", show_default=True, help="none, parent, regex:PATTERN or column:NAME.")
@click.option(
    "--split",
    default="none",
    show_default=True,
    help="none, random:FRACTION:SEED, hash:FRACTION, folders or column:NAME.",
)
@click.option(
    "--encoding",
    type=click.Choice(["auto", *ENCODINGS]),
    default="auto",
    show_default=True,
    help="How pixels are kept; auto is raw where that fits into the budget, else jpeg.",
)
@click.option("--budget", default=16.0, show_default=True, help="GiB that raw pixels may take with --encoding auto.")
@click.option("--jpeg-quality", default=95, show_default=True, help="Quality of --encoding jpeg.")
@click.option("--square", type=click.Choice(["crop", "squish", "pad"]), help="Make every image SIZE x SIZE.")
@click.option("--enlarge", is_flag=True, help="Make the short side exactly SIZE.")
@click.option("--image-column", help="The column of a table with paths or bytes.")
@click.option("--key-column", help="The column of a table with a unique name for each image.")
@click.option("--quality", default=1.0, show_default=True, help="Decode JPEG at this multiple of SIZE at least.")
@click.option("--background", default="255,255,255", show_default=True, help="R,G,B behind transparent pixels.")
@click.option("--truncated", type=click.Choice(["refuse", "accept"]), default="refuse", show_default=True)
@click.option("--max-pixels", default=Decoding.max_pixels, show_default=True, help="Refuse larger images.")
@click.option("--max-bytes", default=Decoding.max_bytes, show_default=True, help="Refuse larger files.")
@click.option("--max-seconds", default=Decoding.max_seconds, show_default=True, help="Refuse files that take longer.")
@click.option("--max-rejected", type=int, help="Fail when more files than this are rejected.")
@click.option("--scheduler", default="threads", show_default=True, help="threads, processes or tcp://HOST:PORT.")
@click.option("--workers", type=int, help="Threads or processes; all cores if not given.")
@click.option("--overwrite", is_flag=True, help="Replace a cache that was made with other settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def presize(source: str, cache: str, background: str, budget: float, as_json: bool, **options: Any) -> None:
    """Decode and resize the images of SOURCE once, into the Parquet cache CACHE.

    SOURCE is a folder of images, or a .csv or .parquet table. Stopped at any point, the same command goes on; run again
    it does what is new or changed.
    """
    decoding = Decoding(
        background=_colour(background),
        **{name: options.pop(name) for name in ("quality", "truncated", "max_pixels", "max_bytes", "max_seconds")},
    )
    options |= {"image": options.pop("image_column"), "key": options.pop("key_column")}
    summary = make_cache(source, cache, decoding=decoding, budget=int(budget * 2**30), quiet=False, **options)
    for entry in summary.rejected:
        click.echo(f"rejected {entry.key}: {entry.reason}", err=True)
    counts = {name: getattr(summary, name) for name in ("rows", "decoded", "copied", "kept", "encoding", "seconds")}
    if as_json:
        click.echo(json.dumps({**counts, "rejected": [vars(entry) for entry in summary.rejected]}))
        return
    made = f"{summary.decoded} decoded, {summary.copied} copied, {summary.kept} kept, {len(summary.rejected)} rejected"
    click.echo(f"{summary.rows} rows in {cache} ({made}) in {summary.seconds:.1f} s", err=True)


@main.command()
@click.argument("cache")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(cache: str, as_json: bool) -> None:
    """What CACHE holds."""
    said = describe(Cache.open(cache))
    if as_json:
        click.echo(json.dumps(said))
        return
    table = Table("", cache, box=None, show_header=False)
    for name, value in said.items():
        table.add_row(name, ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value))
    Console(soft_wrap=False).print(table)


@main.command()
@click.argument("cache")
def verify(cache: str) -> None:
    """Hold every row of CACHE against its checksum; name the damaged ones, and exit 1 if there are any."""
    opened = Cache.open(cache)
    damaged = 0
    for line in opened.verify():
        damaged += 1
        click.echo(line)
    if damaged:
        raise CacheError(
            f"{damaged} of {len(opened)} rows of {cache} are damaged: run presize again, it makes them anew"
        )
    click.echo(f"all {len(opened)} rows are whole", err=True)


@main.command()
@click.argument("cache")
@click.argument("folder")
@click.option("--encoding", type=click.Choice(["jpeg", "png", "webp"]), help="Of the files; the cache's, or png.")
@click.option("--jpeg-quality", "quality", default=95, show_default=True, help="Quality of --encoding jpeg.")
def export(cache: str, folder: str, encoding: Any, quality: int) -> None:
    """Write the images of CACHE as files into FOLDER/split/label/."""
    opened = Cache.open(cache)
    with reporter(len(opened), "exporting") as report:
        count = write_files(opened, folder, encoding, quality, report.advance)
    click.echo(f"{count} files in {folder}", err=True)


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError:
        red = -1
    if not (0 <= red <= 255 and 0 <= green <= 255 and 0 <= blue <= 255):
        raise UsageError(f"background must be three numbers from 0 to 255, as 255,255,255, but got {text!r}")
    return red, green, blue
