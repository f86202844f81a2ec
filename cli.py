"""The command line: which commands there are, and how they fail.

The commands themselves lie beside what they command, and are imported when they are called, so that `--help` is quick.
Data goes to stdout (`--json` where a program may read it), everything else to stderr. Exit 0: done, 1: failed,
2: wrong usage.
"""

import importlib
from typing import Any

import click

from .errors import OnewarpError, UsageError

COMMANDS = {
    "presize": ("pipeline", "Decode and resize photos once, into a Parquet cache."),
    "inspect": ("pipeline", "What a cache holds."),
    "verify": ("pipeline", "Hold every row of a cache against its checksum."),
    "preview": ("pipeline", "A picture of what augmentation does to the photos of a cache."),
    "export": ("pipeline", "Write the images of a cache as files."),
    "explain": ("pipeline", "What fuses, how many resamplings, how large photos should be kept."),
    "replay": ("pipeline", "One sample as it was in an epoch."),
    "doctor": ("pipeline", "What this machine has for onewarp, and what is missing."),
    "fetch": ("pipeline", "Download a data set, check it, unpack it."),
    "train": ("trainers", "Train on a cache: a model, and a report."),
    "predict": ("trainers", "What photos show, according to a trained model."),
    "bench": ("benchmarks", "Measurements beside peers: augment, quality, presize, load, train."),
    "demo": ("trainers", "The main job, end to end, with a report to look at."),
}
"""By name: the package whose `commands.py` holds it, and what it does."""


class Commands(click.Group):
    """Commands in the order of the table; what goes wrong is one line, and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[name][0]}.commands", __package__)
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

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
