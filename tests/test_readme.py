"""The README's programs and commands are taken from the page and run, one after the other, in one folder.

What is replaced stands in REPLACED, and nothing else is: a program that needs another change is a fault of the page.
"""

import os
import re
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import onewarp
from onewarp.cli import main

ROOT = Path(onewarp.__file__).parent
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL)

REPLACED = {
    "folders of photos": ("pets/images", "photos"),  # hold seven pets of each of two breeds
    "pretrained weights": "timm.create_model",  # makes the model that is asked for, its weights drawn at random
}
ELSEWHERE = {"pip install": "test_installing.py", "onewarp doctor": "test_cli.py", "make": "what CI runs"}
"""Lines that are not run here, and what tries them."""


@pytest.fixture(scope="module")
def page(pets, tmp_path_factory):
    """All blocks in the order of the page have run in this folder; by number what was said, or the names left."""
    timm = pytest.importorskip("timm")
    folder, done = tmp_path_factory.mktemp("readme"), {}
    for name in REPLACED["folders of photos"]:
        (folder / name).mkdir(parents=True)
        for breed in ("Birman", "Bombay"):
            for photo in sorted(pets.glob(f"{breed}_*.jpg"))[:7]:
                shutil.copy(photo, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make = timm.create_model
        patch.setattr(REPLACED["pretrained weights"], lambda name, pretrained, **kw: make(name, pretrained=False, **kw))
        for kind in ("sh", "python"):  # the second program reads what the commands made
            for number, (language, text) in enumerate(BLOCKS):
                if language == kind:
                    done[number] = program(folder, number, text) if kind == "python" else commands(text)
    return folder, done


def program(folder, number, text):
    file = folder / f"program_{number}.py"
    file.write_text(text)
    return runpy.run_path(str(file), run_name="__main__")


def commands(text):
    said = []
    for line in text.splitlines():
        if not any(words in line for words in ELSEWHERE):
            program, *words = shlex.split(line, comments=True)
            assert program == "onewarp", line
            done = CliRunner().invoke(main, words)
            assert done.exit_code == 0, (line, done.output)
            said.append(done.output)
    return said


def test_the_programs_do_what_the_page_says(page):
    folder, done = page
    first, second = (done[number] for number, (language, _) in enumerate(BLOCKS) if language == "python")
    assert len(first["learn"].recorder.rows) == 3  # fine_tune(2): one epoch of the head, two of all
    assert list(first["learn"].dls.vocab) == second["ow"].Cache.open(folder / "photos.cache").vocab
    assert (folder / "pets.cache").is_dir()
    assert second["x"].shape == (len(second["y"]), 3, 224, 224)


def test_the_commands_leave_what_the_page_says(page):
    folder, done = page
    assert (folder / "preview.png").is_file()
    inspected = [said for number, said in done.items() if isinstance(said, list) and len(said) == 3]
    assert "2 classes" in inspected[0][1]


def test_the_other_lines_are_there():
    targets = subprocess.run(["make", "-C", ROOT, "-pn"], capture_output=True, text=True, env=os.environ).stdout
    for line in "\n".join(text for language, text in BLOCKS if language == "sh").splitlines():
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", targets, re.MULTILINE), line
    for words in re.findall(r"`onewarp (\w[\w ]*)`", PAGE):
        told = CliRunner().invoke(main, [*words.split(), "--help"])
        assert told.exit_code == 0, words
        assert "Usage:" in told.output
