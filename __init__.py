"""Composable, typed data pipelines for training on images, with one filtered interpolation."""

from pathlib import Path


def _warn_if_hidden() -> None:
    """Warn where a checkout in the working folder is imported in place of the onewarp that is installed."""
    from importlib.metadata import PackageNotFoundError, distribution

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


if Path(__file__).with_name("pyproject.toml").exists():  # a checkout, not an installed package
    _warn_if_hidden()
