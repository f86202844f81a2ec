"""Composable, typed data pipelines for training on images, with one filtered interpolation."""

from . import lazy

_load, __dir__, __all__ = lazy.public_names(__name__, __file__)


def __getattr__(name: str) -> object:
    """A public name, loaded when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    return _load(name)


def _warn_if_hidden() -> None:
    """Warn where a checkout in the working folder is imported in place of the onewarp that is installed."""
    from importlib.metadata import PackageNotFoundError, distribution
    from pathlib import Path

    if not Path(__file__).with_name("pyproject.toml").exists():  # no checkout, but an installed package
        return
    here = Path(__file__).resolve().parent
    try:
        installed = Path(str(distribution("onewarp").locate_file("onewarp"))).resolve()
    except PackageNotFoundError:
        return
    if installed.is_dir() and installed != here:
        import warnings

        warnings.warn(
            f"onewarp is imported from the checkout {here}, which hides the one that is installed in {installed} and "
            f"may lack its kernel: start Python in another folder, or run pip install --editable {here}",
            stacklevel=3,
        )


_warn_if_hidden()
