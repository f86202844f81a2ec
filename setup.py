"""What pyproject.toml cannot say: a wheel's tag follows what was built."""

from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel


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
    setup(cmdclass={"bdist_wheel": Wheel})
