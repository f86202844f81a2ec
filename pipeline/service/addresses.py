"""The address of a service, and of a cache behind it: `grpc://host:8815/pets`."""

import re
from typing import NamedTuple

SCHEMES = ("grpc", "grpc+tcp", "grpc+tls")

_ADDRESS = re.compile(
    r"(?P<scheme>grpc|grpc\+tcp|grpc\+tls)://(?P<host>[\w.-]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})"
    r"(?:/(?P<name>[^/?#]*))?/?"
)


class Address(NamedTuple):
    """The parts of an address; `host` of IPv6 without its brackets, `name` of a cache or None."""

    scheme: str
    host: str
    port: int
    name: str | None

    @property
    def location(self) -> str:
        """The address without the name of a cache."""
        return location(self.scheme, self.host, self.port)


def parse_address(text: str) -> Address | None:
    """The parts of an address; None for what is none.

    >>> parse_address("grpc+tls://[::1]:8815/pets")
    Address(scheme='grpc+tls', host='::1', port=8815, name='pets')
    >>> parse_address("grpc://localhost")
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) >= 1 << 16:
        return None
    return Address(found["scheme"], found["host"].strip("[]"), int(found["port"]), found["name"] or None)


def location(scheme: str, host: str, port: int) -> str:
    """The address of a server."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_address(source: object) -> bool:
    """Whether a text is meant as the address of a service, and not as a path.

    >>> is_address("grpc://localhost:8815/pets"), is_address("pets.cache")
    (True, False)
    """
    return isinstance(source, str) and source.partition("://")[0] in SCHEMES and "://" in source
