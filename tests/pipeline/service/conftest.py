"""Servers in this process, over caches of small pictures, and over one that grows."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from pyarrow import flight

from onewarp.pipeline import connect, presize, upload_to
from onewarp.pipeline.presizing.growth import GrowingCache
from onewarp.pipeline.presizing.growth_settings import GrowthSettings
from onewarp.pipeline.presizing.spool import Photo
from onewarp.pipeline.service.exchange import ImageExchange
from onewarp.pipeline.service.inference import Inference
from onewarp.pipeline.service.intake import Intake
from onewarp.pipeline.service.limits import Limits
from onewarp.pipeline.service.replicas import Credentials, Replicas
from onewarp.pipeline.service.served_caches import ServedCaches
from onewarp.pipeline.service.server import Server, Service
from onewarp.transforms import Normalize, Resize, fuse
from onewarp.transforms.decoding.resizing import Sizing


@pytest.fixture
def serve() -> Iterator[Callable[..., SimpleNamespace]]:
    """serve(name=folder, ..., **settings of Service): a server, as `address`, `service` and `connect(name, ...)`."""
    servers: list[Server] = []

    def start(folders: dict[str, Path], location: str = "grpc://127.0.0.1:0", **settings: Any) -> SimpleNamespace:
        tls = {name: settings.pop(name) for name in ("certificate", "client_ca") if name in settings}
        service = Service(ServedCaches(folders, settings.pop("growing", frozenset())), **settings)
        server = Server(service, location, **tls)
        servers.append(server)
        scheme = location.partition("://")[0]
        address = f"{scheme}://127.0.0.1:{server.port}"

        def connect_to(name: str = "", **options: Any) -> Any:
            return connect(f"{address}/{name}", **{"timeout": 20, **options})

        return SimpleNamespace(address=address, service=service, server=server, connect=connect_to)

    yield start
    for server in servers:
        if server._service is not None:
            server.stop(grace=5)


@pytest.fixture
def cache(pictures: Path, tmp_path: Path) -> Callable[..., Path]:
    """cache(encoding): the folder of a cache of the twelve pictures, with labels and splits."""

    def make(encoding: str = "jpeg", **settings: Any) -> Path:
        folder = tmp_path / f"{encoding}.cache"
        options = {"label": "parent", "split": "random:0.25:1", "encoding": encoding, **settings}
        presize(pictures, folder, 24, **options)
        return folder

    return make


@pytest.fixture
def photos(pictures: Path) -> list[Photo]:
    """The twelve pictures as photos with keys."""
    files = sorted(path for path in pictures.rglob("*") if path.is_file())
    return [Photo(path.relative_to(pictures).as_posix(), path.read_bytes()) for path in files]


@pytest.fixture
def grown(tmp_path: Path) -> GrowingCache:
    """A cache that grows, with labels by folder."""
    return GrowingCache("grown", tmp_path / "grown", GrowthSettings(16, "parent", "hash:0.5"))


@pytest.fixture
def serve_growing(serve: Callable[..., SimpleNamespace]) -> Iterator[Callable[..., SimpleNamespace]]:
    """serve_growing(*caches, limits): a server of caches that grow, with a `client` of it and `upload(name)` to it."""
    clients = []

    def start(*caches: GrowingCache, limits: Limits | None = None) -> SimpleNamespace:
        limits = limits or Limits()
        folders = {cache.name: cache.folder for cache in caches}
        served = serve(folders, growing=frozenset(folders), limits=limits)
        served.service.intake = Intake(caches, limits, served.service.caches.renew)
        served.client = flight.connect(served.address)
        clients.append(served.client)
        served.upload = lambda name="grown": upload_to(f"{served.address}/{name}", timeout=20)
        return served

    yield start
    for client in clients:
        client.close()


class Exchanger:
    """A server of images: `open` begins an exchange, `errors` has what each one raised, None where it ended well."""

    def __init__(self, serve, default, settings):
        self.inference, self.errors = Inference(**settings), []
        self._answer = ImageExchange(self.inference, default)
        self.server = serve({}, exchange=self._record, limits=self.inference.limits)
        self.replicas = Replicas([self.server.address], Credentials(), 20)

    def _record(self, *call):
        error = None
        try:
            self._answer(*call)
        except BaseException as wrong:
            error = wrong
            raise
        finally:
            self.errors.append(error)

    def open(self, command):
        """What a client writes to, and reads from."""
        self.client = flight.connect(self.server.address)  # whose calls end when it is collected
        return self.client.do_exchange(flight.FlightDescriptor.for_command(command))

    def stop(self):
        """End the server, when all exchanges have ended."""
        self.server.server.stop()


@pytest.fixture
def exchanger(serve):
    """exchanger(default, **settings of Inference): a server of images, ended by the test's end."""
    running = []

    def start(default=None, **settings):
        running.append(Exchanger(serve, default, settings))
        return running[-1]

    yield start
    for one in running:
        one.inference.close()


class Brightest:
    """A model that says which channel is the brightest."""

    recipe, sizing = fuse([Resize(16), Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))]), Sizing(32)
    kind, vocab, batch_size = "category", ("red", "green", "blue"), 4

    def predict(self, x):
        probabilities = x.mean((2, 3)).softmax(1)
        return probabilities, probabilities.argmax(1)


@pytest.fixture
def brightest():
    return Brightest()


@pytest.fixture(scope="session")
def encoded():
    """encoded(seed, height, width, form): the bytes of an image of noise, in which channel `seed % 3` is brightest."""

    def make(seed, height=40, width=60, form="JPEG"):
        noise = torch.randint(0, 128, (height, width, 3), generator=torch.Generator().manual_seed(seed))
        noise[..., seed % 3] += 120
        file = io.BytesIO()
        Image.fromarray(noise.byte().numpy()).save(file, form)
        return file.getvalue()

    return make
