"""What `onewarp doctor` says of a machine: what there is, what is not needed, and what has to be mended."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

import onewarp
from onewarp.cli import main
from onewarp.pipeline.commands import doctor
from onewarp.pipeline.commands.doctor import examine
from onewarp.transforms.warp import native

ROOT = Path(onewarp.__file__).parent


def findings():
    return {finding.name: finding for finding in examine()}


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """installation(url, **more): metadata of an installed onewarp, as pip writes it, before any other."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "onewarp-9.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: onewarp\nVersion: 9.9\n")

    def write(url=None, **more):
        if url is not None:
            (folder / "direct_url.json").write_text(json.dumps({"url": url, **more}))
        return tmp_path

    return write


def test_what_is_there_is_well_and_so_is_what_nobody_needs():
    by_name = findings()
    assert by_name["torch"].detail == version("torch")
    assert by_name["onewarp"].well
    assert str(ROOT) in by_name["onewarp"].detail
    assert all(finding.well for finding in by_name.values() if not finding.there)
    assert all(finding.advice for finding in by_name.values() if not finding.well)


def test_a_package_that_hides_the_installed_one_has_to_be_mended(installation):
    folder = installation()
    assert findings()["onewarp"].detail == f"9.9 in {ROOT}"
    (folder / "onewarp").mkdir()
    finding = findings()["onewarp"]
    assert not finding.well
    assert finding.detail == f"{ROOT} hides the one that is installed, {folder / 'onewarp'}"
    assert finding.advice.endswith(f"or install that one: pip install --editable {ROOT}")


@pytest.mark.parametrize(
    ("url", "more", "argument"),
    [
        (None, {}, "--no-binary onewarp onewarp==9.9"),
        ("file:///src/one%20warp", {"dir_info": {"editable": True}}, "--editable '/src/one warp'"),
        ("file:///src/onewarp", {"dir_info": {}}, "/src/onewarp"),
        ("file:///dist/onewarp-9.9-cp311.whl", {}, "SOURCE, the sources that the wheel was built from"),
        ("https://example.org/onewarp.tar.gz", {}, "https://example.org/onewarp.tar.gz"),
    ],
)
def test_a_missing_extension_is_built_from_where_onewarp_came(installation, monkeypatch, url, more, argument):
    """As without a compiler: the warp on a CPU is torch's, and the line says how to build ours."""
    installation(url, **more)
    monkeypatch.setattr(native, "extension", None)
    finding = findings()["warp cpu"]
    assert (finding.well, finding.there) == (False, False)
    assert finding.advice.endswith(f"pip install --force-reinstall --no-deps --no-cache-dir {argument}")


def test_a_package_that_is_missing_matters_where_it_is_needed(monkeypatch):
    monkeypatch.setattr(doctor, "_PACKAGES", ("torch", "not-there"))
    monkeypatch.setattr(doctor, "_OPTIONAL", {"not-there-either": "only for models by name"})
    needed, optional = (findings()[name] for name in ("not-there", "not-there-either"))
    assert (needed.well, needed.there, needed.advice) == (False, False, "pip install not-there")
    assert (optional.well, optional.there, optional.advice) == (True, False, "only for models by name")


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_doctor_says_what_there_is():
    done = run("doctor", "--json")
    found = {f["name"]: f for f in json.loads(done.stdout)}
    assert found["warp reference"]["well"]
    assert found["torch"]["detail"]
    assert all(f["well"] for f in found.values() if not f["there"])
    for line in run("doctor").stdout.splitlines():
        f = next(f for f in found.values() if line[4:].startswith(f"{f['name']} "))
        assert line[:3] == ("BAD" if not f["well"] else "ok " if f["there"] else "-- ")
