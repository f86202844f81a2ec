"""`onewarp serve`: caches and a model behind an address."""

from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..pipeline.cache.encodings import ENCODINGS
from ..pipeline.presizing.growth_settings import GrowthSettings
from ..pipeline.service.access import read_tokens
from ..pipeline.service.addresses import parse_address
from ..pipeline.service.exchange import ImageExchange
from ..pipeline.service.inference import Inference, Model
from ..pipeline.service.intake import Intake
from ..pipeline.service.limits import Limits
from ..pipeline.service.process import Listening, folders_of, is_loopback, run
from ..pipeline.service.served_caches import ServedCaches
from ..pipeline.service.server import Service
from ..pipeline.service.supervisor import Supervisor


def _limits(command: Any) -> Any:
    """An option for each limit."""
    for limit in reversed(fields(Limits)):
        name, says = limit.name, limit.metadata["says"]
        command = click.option(
            f"--max-{name.replace('_', '-')}",
            f"max_{name}",
            type=click.IntRange(1),
            default=limit.default,
            show_default=True,
            help=f"Most {says}.",
        )(command)
    return command


def _growth(command: Any) -> Any:
    """An option for each setting of a cache that grows, of which none is given by default."""
    for option in reversed(
        [
            click.option("--size", type=int, help="Pixels on the short side, at most.  [default: 460]"),
            click.option(
                "--label",
                help="none, parent, regex:PATTERN, or column:label and column:label:DELIM, where labels come with "
                "photos.  [default: none]",
            ),
            click.option(
                "--split",
                help="none, random:FRACTION:SEED, hash:FRACTION, folders, or column:split, where splits come with "
                "photos.  [default: none]",
            ),
            click.option(
                "--encoding", type=click.Choice(["auto", *ENCODINGS]), help="How pixels are kept.  [default: auto]"
            ),
            click.option("--square", type=click.Choice(["crop", "squish", "pad"]), help="Make images SIZE x SIZE."),
            click.option("--enlarge", is_flag=True, default=None, help="Make the short side exactly SIZE."),
            click.option("--jpeg-quality", type=int, help="Quality of --encoding jpeg.  [default: 95]"),
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.argument("caches", nargs=-1, metavar="[CACHE|NAME=CACHE]...")
@click.option(
    "--listen", default="grpc://127.0.0.1:8815", show_default=True, help="The address; port 0 for a free one."
)
@click.option("--tls", nargs=2, type=click.Path(path_type=Path), metavar="CERTIFICATE KEY", help="PEM files of TLS.")
@click.option(
    "--client-ca", type=click.Path(path_type=Path), help="PEM of the authority that clients must be signed by."
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="Tokens, one a line, of which every call needs one."
)
@click.option("--model", type=click.Path(path_type=Path), help="A file of learn.export, to predict with.")
@click.option(
    "--delay",
    type=click.FloatRange(0),
    default=0.005,
    show_default=True,
    help="Seconds that an image waits for others to fill the model's batch.",
)
@click.option(
    "--writable",
    multiple=True,
    metavar="NAME",
    help="Let clients put photos into the cache of this name, which may have no rows yet. How it is made is said by "
    "--size to --jpeg-quality, as to presize, the first time at least.",
)
@_growth
@click.option("--replicas", type=click.IntRange(1), default=1, show_default=True, help="Processes, on ports in a row.")
@click.option("--advertise", multiple=True, metavar="URI", help="Where clients find this or another replica.")
@click.option(
    "--metrics", metavar="HOST:PORT", help="Where Prometheus reads /metrics, and probes /healthz and /readyz."
)
@click.option("--grace", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds for the end.")
@_limits
def serve(
    caches: tuple[str, ...],
    listen: str,
    tls: tuple[Path, Path] | None,
    client_ca: Path | None,
    token_file: Path | None,
    model: Path | None,
    delay: float,
    writable: tuple[str, ...],
    replicas: int,
    advertise: tuple[str, ...],
    metrics: str | None,
    grace: float,
    **others: Any,
) -> None:
    """Serve each CACHE over Arrow Flight, under the name of its folder or under NAME, and predictions of a model.

    The line that it prints says where it answers. SIGTERM or Ctrl-C: what is in flight ends, what comes is refused.
    """
    listening = Listening(listen, tls, client_ca)
    listening.refuse_open(token_file is not None)
    for uri in advertise:
        if (place := parse_address(uri)) is None or place.name is not None or not place.port:
            raise UsageError(f"advertise must be an address like grpc://host:8815, but got {uri!r}")
    if not caches and model is None:
        raise UsageError("caches must be one at least, unless there is a model to serve: give --model")
    growth = {field.name: others[field.name] for field in fields(GrowthSettings) if others[field.name] is not None}
    if growth and not writable:
        raise UsageError(f"{next(iter(growth))} needs a cache that grows: give --writable NAME")
    if replicas > 1:
        _run_replicas(listening, replicas, advertise, metrics, grace)
        return
    folders = folders_of(caches)
    limits = Limits(**{limit.name: others[f"max_{limit.name}"] for limit in fields(Limits)})
    with closing(Inference(limits, model=None if model is None else _read_model(model), delay=delay)) as inference:
        tokens = [] if token_file is None else read_tokens(token_file)
        served = ServedCaches(folders, frozenset(writable))
        intake = Intake.open(folders, writable, growth, limits, served.renew) if writable else None
        service = Service(served, limits, tokens, advertise, exchange=ImageExchange(inference), intake=intake)
        run(service, listening, click.echo, metrics=metrics, grace=grace)


def _read_model(path: Path) -> Model:
    """The model in a file, or in the folder that `onewarp train` left; its libraries are loaded for it alone."""
    from .inference_model import load_model
    from .run import MODEL

    return load_model(path / MODEL if path.is_dir() else path)


def _run_replicas(
    listening: Listening, count: int, advertise: tuple[str, ...], metrics: str | None, grace: float
) -> None:
    """Run the same command `count` times, on ports in a row."""
    if listening.port == 0:
        raise UsageError("listen must have a port where there are replicas: they take those behind it, too")
    if listening.port + count > 1 << 16:
        raise UsageError(f"listen must leave ports for {count} replicas, but the last one is 65535")
    context = click.get_current_context()
    addresses = [listening.on(listening.port + i) for i in range(count)]
    if not advertise and is_loopback(listening.host):
        advertise = tuple(addresses)
    commands = []
    for i, address in enumerate(addresses):
        words = _words(context, {"listen": address, "replicas": 1, "advertise": advertise, "metrics": _on(metrics, i)})
        commands.append(["serve", *words])
    if Supervisor(commands, click.echo, _warn, grace).run():
        raise SystemExit(1)


def _warn(line: str) -> None:
    click.echo(f"onewarp: {line}", err=True)


def _on(metrics: str | None, offset: int) -> str | None:
    """The address of metrics on the port of a replica."""
    host, colon, port = (metrics or "").rpartition(":")
    return f"{host}{colon}{int(port) + offset}" if metrics and port.isdecimal() else metrics


def _words(context: click.Context, changes: dict[str, Any]) -> list[str]:
    """The command line of a context with some options changed; what has its default is left out."""
    words: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        value = changes.get(str(parameter.name), context.params.get(str(parameter.name)))
        if isinstance(parameter, click.Argument):
            arguments += map(str, value or ())
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            words += [parameter.opts[-1]] if value else []
        elif value is not None and value != parameter.get_default(context) and value != ():
            values = value if parameter.multiple else [value]
            for one in values:
                words += [parameter.opts[-1], *map(str, one if isinstance(one, tuple) else [one])]
    return [*words, "--", *arguments]
