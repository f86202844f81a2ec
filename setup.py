"""What pyproject.toml cannot say: a wheel's tag follows what was built, and the extension knows its sources."""

from pathlib import Path
from runpy import run_path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

WARP = Path(__file__).parent / "transforms" / "warp"


class Extension(build_ext):  # type: ignore[misc]
    """The extension in C++, which says of which sources it was built."""

    def run(self) -> None:
        """Build it."""
        checksum = run_path(str(WARP / "sources.py"))["checksum"](WARP)
        for extension in self.extensions:
            extension.define_macros.append(("ONEWARP_SOURCES", str(checksum)))
        super().run()


class Wheel(bdist_wheel):  # type: ignore[misc]
    """A wheel without the C++ extension (no compiler was found) is pure Python by its tag.

    So it is never taken for the one that has the extension, neither from pip's cache nor from a folder of wheels.
    """

    def run(self) -> None:
        """Build first, then name the wheel."""
        self.run_command("build")
        build = self.get_finalized_command("build")
        if self.distribution.has_ext_modules() and not any(Path(build.build_lib).rglob("_cpu*")):
            self.distribution.ext_modules = []
            self.root_is_pure, self.py_limited_api = True, False
        super().run()


if __name__ == "__main__":
    setup(cmdclass={"bdist_wheel": Wheel, "build_ext": Extension})
