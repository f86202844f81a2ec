"""The commands of presizing and of caches: they parse, call and print."""

import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ...errors import CacheError, UsageError
from ...transforms.augment import explain as explain_transforms
from ...transforms.decoding.decode import LIMITS, Decoding
from ...transforms.margin import margin, smallest_presize
from ...transforms.types import TensorImage
from ..cache.encodings import ENCODINGS, Encoding
from ..cache.export import export as write_files
from ..cache.inspection import describe
from ..cache.open_cache import OpenCache
from ..cache.reader import Cache
from ..composition.show import displayable, save_picture
from ..loading.cache_rows import rows_of
from ..loading.loader import Loader
from ..presizing.presizer import presize as make_cache
from ..presizing.progress import reporter
from .cache_argument import cache_argument, connection_options, refuse_address
from .doctor import examine
from .fetch import DATASETS
from .fetch import fetch as fetch_dataset
from .loop import measure_loop
from .preview import preview as draw_preview
from .transform_texts import read_block, read_fused

_MOST = 50  # classes of a cache, in words
DEFAULT = "Resize(460) | aug_transforms(size=224, min_scale=0.75)"
TRANSFORMS = click.option(
    "--transforms", "-t", default=DEFAULT, show_default=True, help="A text such as this one, or a pipeline's JSON file."
)


@click.command()
@click.argument("source")
@click.argument("cache")
@click.option("--size", type=int, help="Pixels on the short side, at most.  [default: the block's Resize, or 460]")
@click.option("--label", help="none, parent, regex:PATTERN, column:NAME or column:NAME:DELIM.  [default: none]")
@click.option("--split", help="none, random:FRACTION:SEED, hash:FRACTION, folders or column:NAME.  [default: none]")
@click.option(
    "--block",
    type=click.Path(path_type=Path),
    help="A DataBlock's JSON file: its labels, split, masks, points and boxes, in place of --label and --split.",
)
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import a module first, whose functions --block names."
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
@click.option("--image-column", "image", help="The column of a table with paths or bytes.")
@click.option("--key-column", "key", help="The column of a table with a unique name for each image.")
@click.option(
    "--quality", default=Decoding.quality, show_default=True, help="Decode JPEG at this multiple of SIZE at least."
)
@click.option("--background", default="255,255,255", show_default=True, help="R,G,B behind transparent pixels.")
@click.option("--truncated", type=click.Choice(["refuse", "accept"]), default="refuse", show_default=True)
@click.option("--max-pixels", default=Decoding.max_pixels, show_default=True, help="Refuse larger images.")
@click.option("--max-bytes", default=Decoding.max_bytes, show_default=True, help="Refuse larger files.")
@click.option(
    "--max-memory",
    default=Decoding.max_memory,
    show_default=True,
    help="Refuse files that need more bytes of memory while they are decoded.",
)
@click.option(
    "--max-seconds",
    default=Decoding.max_seconds,
    show_default=True,
    help="Refuse files that take a processor longer.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0, min_open=True),
    help="GiB of pictures that all workers of a machine hold at once.  [default: half of what it has]",
)
@click.option("--max-rejected", type=int, help="Fail when more files than this are rejected.")
@click.option("--scheduler", default="threads", show_default=True, help="threads, processes or tcp://HOST:PORT.")
@click.option("--workers", type=int, help="Threads or processes; all cores if not given.")
@click.option("--rehash", is_flag=True, help="Read every file again, also where size, times and inode are the same.")
@click.option("--overwrite", is_flag=True, help="Replace a cache that was made with other settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def presize(
    source: str,
    cache: str,
    block: Path | None,
    modules: tuple[str, ...],
    background: str,
    budget: float,
    memory: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Decode and resize the images of SOURCE once, into the Parquet cache CACHE.

    SOURCE is a folder of images, or a .csv or .parquet table. Stopped at any point, the same command goes on; run again
    it does what is new or changed.
    """
    refuse_address(cache, "photos go to a server that runs with --writable by onewarp.pipeline.upload_to")
    decoding = Decoding(
        background=_colour(background),
        **{name: options.pop(name) for name in ("quality", "truncated", *LIMITS)},
    )
    import_modules(modules)
    options["memory"] = None if memory is None else int(memory * 2**30)
    options["block"] = None if block is None else read_block(block)
    summary = make_cache(source, cache, decoding=decoding, budget=int(budget * 2**30), quiet=False, **options)
    for entry in summary.rejected:
        click.echo(f"rejected {entry.key}: {entry.reason}", err=True)
    for key, lacks in summary.lacks.items():
        click.echo(f"accepted {key}: {lacks}", err=True)
    counts = {name: getattr(summary, name) for name in ("rows", "decoded", "copied", "kept", "encoding", "seconds")}
    if as_json:
        click.echo(
            json.dumps({**counts, "rejected": [vars(entry) for entry in summary.rejected], "lacks": summary.lacks})
        )
        return
    parts = f"{summary.decoded} decoded, {summary.copied} copied, {summary.kept} kept, {len(summary.rejected)} rejected"
    click.echo(f"{summary.rows} rows in {cache} ({parts}) in {summary.seconds:.1f} s", err=True)


@click.command()
@cache_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(cache: OpenCache, as_json: bool) -> None:
    """What CACHE holds: its rows, targets, classes, splits, sizes and settings."""
    facts = describe(cache)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, words in _in_words(cache, facts).items():
        click.echo(f"{name:<12} {words}")


def _in_words(cache: OpenCache, facts: dict[str, Any]) -> dict[str, str]:
    """What `describe` says, for people: by name, one line each."""
    pixels = dict(facts["pixels"])
    decoders = pixels.pop("decoder", {})
    sizes = {side: f"{n['min']} to {n['max']} px, {n['mean']} on average" for side, n in facts["sizes"].items()}
    splits = ", ".join(f"{name} {count}" for name, count in facts["splits"].items())
    targets = ", ".join(f"{name} ({kind})" for name, kind in facts["targets"].items())
    counts = {f"{name}s": _classes(cache.targets[name]["vocab"], counts) for name, counts in facts["counts"].items()}
    return {
        "cache": cache.place,
        "rows": f"{facts['rows']}, and {facts['rejected']} rejected",
        "targets": targets or "none",
        **counts,
        "splits": splits or "none",
        **sizes,
        "encoding": facts["encoding"],
        "size": f"{facts['bytes'] / 2**20:,.1f} MiB in {facts['parts']} parts",
        "settings": _in_words_of(pixels),
        "decoders": _in_words_of(decoders),
        "format": f"{facts['format']}, fingerprint {facts['fingerprint']}",
    }


def _classes(vocab: Sequence[object], counts: Sequence[int]) -> str:
    each = [f"{name} {count}" for name, count in zip(vocab, counts, strict=True)]
    rest = [f"and {len(each) - _MOST} more (all with --json)"] if len(each) > _MOST else []
    return f"{len(each)} classes: {', '.join([*each[:_MOST], *rest])}"


def _in_words_of(settings: Mapping[str, object]) -> str:
    """Settings in words: `size 460, square none, background 255 255 255`."""
    return ", ".join(f"{name} {_word(value)}" for name, value in settings.items())


def _word(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)


@click.command()
@click.argument("cache")
def verify(cache: str) -> None:
    """Hold every byte of CACHE against its checksum; name the rows and files that are damaged, and exit 1 if any is."""
    refuse_address(cache, "verify reads every byte of its files where they lie")
    stored, damages = _verify(cache)
    for line in damages:
        click.echo(line)
    if count := len(damages):
        verdict = "1 damage was" if count == 1 else f"{count} damages were"
        raise CacheError(f"{verdict} found in {cache}: run presize again, it makes anew what is damaged")
    click.echo(f"all {len(stored)} rows are whole, and so is every other byte", err=True)


@click.command()
@click.argument("cache")
@click.argument("folder")
@click.option("--encoding", type=click.Choice(["jpeg", "png", "webp"]), help="Of the files; the cache's, or png.")
@click.option("--jpeg-quality", "quality", default=95, show_default=True, help="Quality of --encoding jpeg.")
def export(cache: str, folder: str, encoding: Encoding | None, quality: int) -> None:
    """Write the images of CACHE as files into FOLDER/split/label/."""
    refuse_address(cache, "export copies the bytes of its files where they lie")
    stored = Cache.open(cache)
    with reporter(len(stored), "exporting") as report:
        count = write_files(stored, folder, encoding, quality, report.advance)
    click.echo(f"{count} files in {folder}", err=True)


def _verify(path: str) -> tuple[Cache, list[str]]:
    """A cache and a line for each of its damages; where a writer commits meanwhile, the cache of that commit."""
    while True:
        cache = Cache.open(path)
        try:
            return cache, list(cache.verify())
        except CacheError:
            if not cache.is_replaced():
                raise


def import_modules(names: Sequence[str]) -> None:
    """Import the user's modules; those in the working folder are found last."""
    here = os.getcwd()
    if names and here not in sys.path:
        sys.path.append(here)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of the user's own stumbles over
            raise UsageError(f"--import must name a module that can be imported, but {name} cannot: {error}") from error


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError:
        red = -1
    if not (0 <= red <= 255 and 0 <= green <= 255 and 0 <= blue <= 255):
        raise UsageError(f"background must be three numbers from 0 to 255, as 255,255,255, but got {text!r}")
    return red, green, blue


@click.command()
@cache_argument
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("preview.png"), show_default=True)
@TRANSFORMS
@click.option("--photos", default=4, show_default=True, help="How many photos of the cache.")
@click.option("--draws", default=4, show_default=True, help="How many draws of each.")
@click.option("--seed", default=0, show_default=True)
@click.option("--unfused", is_flag=True, help="Beside each draw the same one with a resampling for each operation.")
def preview(cache: OpenCache, out: Path, transforms: str, photos: int, draws: int, seed: int, unfused: bool) -> None:
    """A picture of what augmentation does to the photos of CACHE."""
    click.echo(draw_preview(cache, out, transforms, photos=photos, draws=draws, seed=seed, unfused=unfused))


@click.command()
@click.argument("spec", default=DEFAULT)
@click.option("--presize", default=460, show_default=True, help="The short side, in pixels, at which photos are kept.")
@click.option(
    "--aspect",
    type=click.FloatRange(1),
    default=4 / 3,
    show_default="4/3",
    help="Of the photos: the long side over the short one.",
)
@click.option(
    "--bound",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="The largest share of enlarged pixels that is welcome.",
)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def explain(spec: str, presize: int, aspect: float, bound: float, as_json: bool) -> None:
    """How transforms are done: what fuses, how many resamplings, how large photos should be kept.

    SPEC is a text such as "Resize(460) | aug_transforms(size=224)", or a file with a pipeline's JSON.
    """
    fused = read_fused(spec)
    facts = explain_transforms(fused)
    share, smallest = margin(fused, presize, aspect), smallest_presize(fused, bound, aspect)
    if as_json:
        click.echo(json.dumps({**asdict(facts), "margin": asdict(share), "smallest_presize": smallest}, indent=1))
        return
    click.echo(facts)
    click.echo(
        f"photos kept at {presize} px: {share.outside:.1%} of the pixels lie outside, {share.enlarged:.1%} are enlarged"
    )
    click.echo(f"smallest size with at most {bound:.1%} enlarged: {smallest} px")


@click.command()
@cache_argument
@click.argument("key")
@click.option("--epoch", type=click.IntRange(0), default=0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("replay.png"), show_default=True)
@TRANSFORMS
def replay(cache: OpenCache, key: str, epoch: int, seed: int, out: Path, transforms: str) -> None:
    """The sample KEY of CACHE as it was in an epoch: equal to its copy in the batch."""
    fused = read_fused(transforms)
    x, _ = Loader(rows_of(cache), batch_tfms=fused, seed=seed).replay(key, epoch)
    save_picture(displayable(fused.decode(TensorImage(x.float())).plain()), out)
    click.echo(out)


@click.command()
@click.argument("recipe", required=False)
@click.option(
    "--loop",
    metavar="CACHE",
    help="Measure a loop with RECIPE over this cache, a folder or grpc://HOST:PORT/NAME; say what limits it.",
)
@connection_options
@click.option("--batches", type=click.IntRange(1), show_default="64", help="With --loop: how many are taken.")
@click.option("--batch-size", type=click.IntRange(1), show_default="64", help="With --loop: samples in a batch.")
@click.option("--threads", type=click.IntRange(1), show_default="all cores", help="With --loop: of the loader.")
@click.option(
    "--step-seconds",
    type=click.FloatRange(0),
    show_default="0",
    help="With --loop: a consumer that sleeps so long for each batch, as a training step takes.",
)
@click.option(
    "--cold",
    is_flag=True,
    default=None,
    help="With --loop: rows from the disk, as in a first epoch or where the cache is larger than the memory.",
)
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def doctor(recipe: str | None, loop: str | None, as_json: bool, **options: Any) -> None:
    """What this machine has for onewarp (ok), what is not there and not needed (--), and what has to be mended (BAD).

    Exit 1 where something has to be mended. With --loop it measures a loop over a cache instead. RECIPE is a text such
    as "Resize(460) | aug_transforms(size=224)", or a file with a pipeline's JSON; that of other commands if not given.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if loop is None:
        if recipe is not None or options:
            raise UsageError("loop must name a cache where there is a RECIPE, or an option of a loop")
        raise SystemExit(_examine(as_json))
    measured = measure_loop(loop, read_fused(DEFAULT if recipe is None else recipe), **options)
    click.echo(json.dumps(measured.facts(), indent=1) if as_json else "\n".join(measured.lines()))


def _examine(as_json: bool) -> int:
    """Print what the machine has; the exit status."""
    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], indent=1))
    else:
        width = max(len(f.name) for f in findings)
        for f in findings:
            mark = "BAD" if not f.well else "ok " if f.there else "-- "
            click.echo(f"{mark} {f.name:<{width}}  {f.detail}{f'; {f.advice}' if f.advice else ''}")
    return 0 if all(f.well for f in findings) else 1


@click.command()
@click.argument("name", type=click.Choice([*DATASETS]))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="The folder; one named after the data set if not given."
)
def fetch(name: str, out: Path | None) -> None:
    """Download a data set, check it, and unpack it into a folder. Stopped at any point, the same command goes on."""
    click.echo(fetch_dataset(name, Path(name) if out is None else out))
