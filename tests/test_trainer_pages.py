"""The programs of the trainers' pages are taken from them and run, each page in a process of its own.

They find what the pages name, and nothing is replaced: a cache `photos.cache` and a folder `photos`.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import onewarp
from onewarp.pipeline import presize
from onewarp.trainers.synthetic_photos import draw_photos

PAGES = {path.stem: path for path in sorted((Path(onewarp.__file__).parent / "docs" / "trainers").glob("*.md"))}
LIBRARIES = {"lightning": "lightning", "huggingface": "transformers", "fastai": "fastai"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    draw_photos(folder / "photos", per_class=4)
    presize(folder / "photos", folder / "photos.cache", 64, label="parent", split="random:0.25:1")
    return folder


@pytest.mark.parametrize("name", [name for name in PAGES if name != "README"])
def test_the_page_runs(name, folder):
    if name in LIBRARIES and importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} comes with the group adapters")
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGES[name].read_text(encoding="utf-8"), re.DOTALL))
    assert 5 <= program.count("\n") <= 45
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=folder,
        env=os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_page_is_in_the_list_and_says_what_is_asked():
    table = PAGES["README"].read_text(encoding="utf-8")
    for name, path in PAGES.items():
        if name != "README":
            assert f"({path.name})" in table
            for words in ("Resumed", "Several processes", "Not taken"):
                assert f"**{words}**" in path.read_text(encoding="utf-8"), (name, words)
