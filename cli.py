"""The command line: which commands there are, and how they fail.

The commands themselves lie beside what they command, and are imported when they are called, so that `--help` is quick.
Data goes to stdout (`--json` where a program may read it), everything else to stderr. Exit 0: done, 1: failed,
2: wrong usage. What goes wrong is one line, in the words of the command line.
"""

import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from .errors import OnewarpError, SpecError, UsageError

DATA, TRAIN, SERVE = "pipeline.commands.data_commands", "trainers.train_commands", "trainers.serve_command"
BENCH = "benchmarks.bench_commands"

COMMANDS = {
    "presize": (DATA, "Decode and resize photos once, into a Parquet cache."),
    "inspect": (DATA, "What a cache holds."),
    "verify": (DATA, "Hold every row of a cache against its checksum."),
    "preview": (DATA, "A picture of what augmentation does to the photos of a cache."),
    "export": (DATA, "Write the images of a cache as files."),
    "explain": (DATA, "What fuses, how many resamplings, how large photos should be kept."),
    "replay": (DATA, "One sample as it was in an epoch."),
    "doctor": (DATA, "What this machine has for onewarp, and what is missing."),
    "fetch": (DATA, "Download a data set, check it, unpack it."),
    "train": (TRAIN, "Train on a cache: a model, and a report."),
    "predict": (TRAIN, "What photos show, according to a trained model."),
    "serve": (SERVE, "Caches and a model behind an address, for other machines."),
    "bench": (BENCH, "Measurements beside peers: augment, quality, presize, load, serve, train."),
    "demo": (TRAIN, "The main job, end to end, with a report to look at."),
}
"""By name: the module that holds it, and what it does."""

RESUMABLE = {"presize", "fetch", "train"}
"""The commands that go on where they were stopped."""

LIBRARY_NAMES = {"batch_tfms": "transforms", "item_tfms": "transforms"}
"""What the library calls a setting that commands call otherwise."""


class Commands(click.Group):
    """Commands in the order of the table; what goes wrong is one line, and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[name][0]}", __package__)
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **settings: Any) -> Any:
        """Run the command that the words name; ends the process, unless `standalone_mode` is false."""
        words = list(sys.argv[1:] if args is None else args)

        inherited: Any = super().main

        def run() -> Any:
            return inherited(words, *more, standalone_mode=False, **{"obj": tuple(words), **settings})

        if not standalone_mode:
            return run()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows its escape
                stream.reconfigure(errors="backslashreplace")
        sys.exit(self._status(words, run))

    def _status(self, words: Sequence[str], run: Callable[[], object]) -> int:
        """The exit status of a run; what went wrong is said on stderr."""
        try:
            try:
                status = run()
            except SystemExit as end:
                status = end.code
            sys.stdout.flush()  # here, where a full disk can still be told
            return status if isinstance(status, int) else 0
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            return 2
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "onewarp"
            return _fail(f"{error.format_message().rstrip('.')} (see {path} --help)", 2)
        except click.ClickException as error:
            return _fail(error.format_message(), error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            goes_on = words and words[0] in RESUMABLE
            return _fail("stopped; the same command goes on from here" if goes_on else "stopped", 130)
        except OnewarpError as error:
            wrong_usage = isinstance(error, UsageError | SpecError)
            return _fail(in_options(str(error), _leaf(self, words)), 2 if wrong_usage else 1)
        except BrokenPipeError:  # its reader has what it wanted
            _close_stdout()
            return 1
        except OSError as error:
            _close_stdout()
            reason = error.strerror or str(error)
            return _fail(
                f"the output cannot be written: {reason}" if error.filename is None else f"{error.filename}: {reason}",
                1,
            )


def _fail(message: str, status: int) -> int:
    click.echo("onewarp: " + " ".join(message.split("\n")), err=True)
    return status


def _close_stdout() -> None:
    """Let what is left in the buffer of stdout go nowhere: else Python tries once more when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is no file
        return


def _leaf(command: click.Command, words: Sequence[str]) -> click.Command:
    """The command that the words name, below the groups."""
    for word in words:
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word) or command
    return command


def in_options(message: str, command: click.Command) -> str:
    """A message of the library in the words of a command: its options and arguments in place of settings.

    >>> command = click.Command("c", params=[click.Option(["--bs"]), click.Option(["--pretrained/--no-pretrained"])])
    >>> in_options("bs must be at least 1, but got 0: give bs=8 and pretrained=False", command)
    '--bs must be at least 1, but got 0: give --bs 8 and --no-pretrained'
    """
    spoken = {str(p.name): p for p in command.params}
    spoken |= {theirs: spoken[ours] for theirs, ours in LIBRARY_NAMES.items() if ours in spoken}
    if not spoken:
        return message
    names = "|".join(map(re.escape, spoken))
    message = re.sub(
        rf"(?<![\w.])(?<!\w\()({names})=('[^']*'|\"[^\"]*\"|[\w./:-]*\w)",
        lambda found: _as_option(spoken[found[1]], found[2].strip("'\"")),
        message,
    )
    return re.sub(rf"^({names})(?=,? (?:must|and|or|cannot|needs|has)\b)", lambda m: _as_option(spoken[m[1]]), message)


def _as_option(parameter: click.Parameter, value: str | None = None) -> str:
    """A setting, or a setting with its value, as it is written on the command line."""
    if isinstance(parameter, click.Argument):
        return parameter.human_readable_name
    option = max(parameter.opts, key=len)
    if value is None:
        return option
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return max(parameter.secondary_opts, key=len) if value == "False" and parameter.secondary_opts else option
    return f"{option} {value}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="onewarp")
def main() -> None:
    """Presize photos once into a Parquet cache; turn cached bytes into augmented batches with one interpolation."""
