"""A trainer that is not installed or too old is one line that says what to do."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

import onewarp
from onewarp.errors import MissingDependencyError
from onewarp.trainers.adapters import as_fastai, count_epochs, data_module, resumable, trainer_parts
from onewarp.trainers.adapters.libraries import LEAST

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own

CALLS = [
    ("lightning", lambda dls: data_module(dls)),
    ("transformers", lambda dls: trainer_parts(dls)),
    ("fastai", lambda dls: as_fastai(dls)),
    ("fastai", lambda dls: count_epochs()),
    ("fastai", lambda dls: resumable(dls, "run.ckpt")),
]


@pytest.mark.parametrize(("package", "call"), CALLS)
def test_one_that_is_not_there_or_too_old_is_named_with_the_command_that_installs_it(package, call, dls, monkeypatch):
    of_others = importlib.metadata.version

    def version(name):
        if name != package:
            return of_others(name)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr("onewarp.trainers.adapters.libraries.version", version)
    found = None
    with pytest.raises(MissingDependencyError, match=rf"^\w+ must have {package}, .* pip install {package}$"):
        call(dls)
    found = "1.9.post2"
    with pytest.raises(
        MissingDependencyError, match=rf"^\w+ must have {package} {LEAST[package]} or later, but 1\.9\.post2 is .* pip"
    ):
        call(dls)
    pytest.importorskip(package, reason=f"{package} comes with the group adapters")
    found = f"{LEAST[package]}.0rc1"
    assert call(dls) is not None


def test_the_least_versions_are_those_that_are_tested():
    project = tomllib.loads((Path(onewarp.__file__).parent / "pyproject.toml").read_text())
    tested = dict(line.split(">=") for line in project["dependency-groups"]["adapters"])
    assert {package: tested[package] for package in LEAST} == LEAST
