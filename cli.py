"""The command line: it parses, calls what the packages do, and prints.

Data goes to stdout (`--json` where a program may read it), everything else to stderr. Exit 0: done, 1: failed,
2: wrong usage.
"""

from typing import Any

import click

from .errors import OnewarpError, UsageError


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
