"""Which versions of other trainers the adapters are made for."""

import re
from importlib.metadata import PackageNotFoundError, version

from ...errors import MissingDependencyError

LEAST = {"fastai": "2.8", "lightning": "2.6", "transformers": "5.0"}


def require(package: str, caller: str) -> None:
    """Raise `MissingDependencyError`, which names the caller, where a trainer is not installed or too old."""
    least = LEAST[package]
    try:
        found = version(package)
    except PackageNotFoundError:
        raise MissingDependencyError(
            f"{caller} must have {package}, which is not installed: pip install {package}"
        ) from None
    if _numbers(found) < _numbers(least):
        raise MissingDependencyError(
            f"{caller} must have {package} {least} or later, but {found} is installed: pip install '{package}>={least}'"
        )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:2]]
