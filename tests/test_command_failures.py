"""Every command under wrong use, bad files, full disks, closed pipes and foreign letters: one line, the right status.

The commands run in one process that has imported everything and forks for each, so that stdout can be what a shell
makes it.
"""

import json
import re
import shutil
import subprocess
import sys

import click
import pytest

from onewarp.cli import COMMANDS, main
from onewarp.pipeline import parent_label
from onewarp.pipeline.presizing.presizer import presize
from onewarp.trainers.run import Settings
from onewarp.trainers.run import train as run_train
from onewarp.trainers.synthetic_photos import draw_photos

SMALL = "Resize(32) | aug_transforms(size=32)"
TRAIN = ["--model", "small_resnet", "--no-pretrained", "--epochs", "1", "--lr", "1e-3", "--bs", "4", "-t", SMALL]

FAILURES = [
    # words, exit status, what the line says
    ("presize", 2, "Missing argument 'SOURCE'"),
    ("presize nowhere out", 1, "does not exist"),
    ("presize empty out", 1, "must hold image files"),
    ("presize photos file", 2, "CACHE must be a folder"),
    ("presize photos file/out", 2, "CACHE must be a folder"),
    ("presize photos /sys/out", 1, "/sys"),
    ("presize photos out --size 0", 2, "--size must be"),
    ("presize photos out --size x", 2, "'--size'"),
    ("presize photos out --label parents", 2, "--label must be none, parent"),
    ("presize photos out --label regex:(", 2, "regular expression"),
    ("presize photos out --label regex:(nothing)", 1, "was not found in"),
    ("presize photos out --split half", 2, "--split must be"),
    ("presize photos out --encoding gif", 2, "'--encoding'"),
    ("presize photos out --jpeg-quality 101", 2, "--jpeg-quality must be from 1 to 100"),
    ("presize photos out --quality 0", 2, "--quality"),
    ("presize photos out --background red", 2, "--background must be three numbers"),
    ("presize photos out --max-pixels 0", 2, "--max-pixels"),
    ("presize photos out --workers 0", 2, "--workers must be 1 or more"),
    ("presize photos out --scheduler fast", 2, "--scheduler must be threads"),
    ("presize photos out --block file", 2, "JSON"),
    ("presize photos out --block nowhere", 2, "--block must be a file"),
    ("inspect nowhere", 1, "nowhere"),
    ("inspect file", 1, "file"),
    ("inspect empty", 1, "empty"),
    ("verify nowhere", 1, "nowhere"),
    ("preview nowhere", 1, "nowhere"),
    ("preview cache -o p.xyz", 2, "--out must end in a format of pictures"),
    ("preview cache -o file/p.png", 1, "file"),
    ("preview cache -o /sys/p.png", 1, "/sys/p.png"),
    ("preview cache -o full.png", 1, "full.png: No space left on device"),
    ("preview cache --photos 0", 2, "--photos must be at least 1"),
    ("preview cache -t Rotat()", 2, "did you mean Rotate"),
    ("preview cache -t file", 2, "unknown name 'x'"),
    ("export nowhere out", 1, "nowhere"),
    ("export cache photos", 2, "must be an empty folder"),
    ("export cache file", 1, "file"),
    ("export cache /sys/out", 1, "/sys/out"),
    ("explain Rotat()", 2, "unknown name 'Rotat' in 'Rotat()'"),
    ("explain bad.json", 2, "JSON"),
    ("explain --presize 0", 2, "--presize"),
    ("explain --aspect 0", 2, "'--aspect'"),
    ("explain --bound 2", 2, "'--bound'"),
    ("replay nowhere key", 1, "nowhere"),
    ("replay cache nokey", 2, "nokey"),
    ("replay cache {key} --epoch -1", 2, "'--epoch'"),
    ("replay cache {key} -o file/p.png", 1, "file/p.png"),
    ("doctor --jsn", 2, "'--jsn'"),
    ("fetch birds", 2, "birds"),
    ("fetch pets -o file", 2, "file"),
    ("fetch pets -o /sys/out", 1, "/sys/out"),
    ("train nowhere", 1, "nowhere"),
    ("train plain", 2, "must have labels"),
    ("train cache --lr fast", 2, "--lr must be a positive number or auto"),
    ("train cache --lr -1", 2, "--lr must be a positive number or auto"),
    ("train cache --bs 0", 2, "'--bs'"),
    ("train cache --epochs 0", 2, "'--epochs'"),
    ("train cache -o file", 2, "--out must be a folder"),
    ("train cache -o /sys/out", 1, "/sys/out"),
    ("train cache -o out --model resnet34x --no-pretrained", 2, "--model must be a name that timm knows"),
    ("train cache -o out --model small_resnet", 1, "--no-pretrained"),
    ("train cache -o out --model small_resnet --no-pretrained --weights nowhere", 1, "nowhere"),
    ("train cache -o out --model small_resnet --no-pretrained --weights file", 1, "file"),
    ("predict nowhere x.jpg", 1, "nowhere"),
    ("predict file x.jpg", 1, "file"),
    ("predict cache x.jpg", 1, "cache"),
    ("predict run empty", 2, "holds none"),
    ("predict run bad.jpg", 1, "rejected bad.jpg"),
    ("predict run nowhere.jpg", 1, "rejected nowhere.jpg"),
    ("predict run bad.jpg --top-k 0", 2, "'--top-k'"),
    ("serve", 2, "give --model"),
    ("serve nowhere", 1, "does not exist"),
    ("serve cache other/cache", 2, "two are called 'cache'"),
    ("serve cache --listen nonsense", 2, "--listen must be like"),
    ("serve cache --listen grpc://0.0.0.0:8815", 2, "give --tls"),
    ("serve cache --token-file nowhere", 2, "--token-file must be"),
    ("serve cache --max-rows 0", 2, "'--max-rows'"),
    ("verify grpc://localhost:1/cache", 2, "CACHE must be a folder"),
    ("inspect cache --token-file file", 2, "--token-file must be for the address of a service"),
    ("train cache --augment server", 2, "--augment must be client"),
    ("bench nonsense", 2, "No such command"),
    ("bench augment --photos empty", 2, "photos must lie in a folder"),
    ("bench quality --photos nowhere", 2, "photos must lie in a folder"),
    ("bench presize --photos empty --phone empty", 2, "photos"),
    ("bench load --photos empty", 2, "photos"),
    ("bench serve --photos empty", 2, "photos"),
    ("demo --data empty -o out", 2, "must be a folder of photos"),
    ("demo --data nowhere -o out", 1, "nowhere"),
    ("demo -o file", 2, "--out must be a folder"),
    ("nonsense", 2, "No such command 'nonsense'"),
    ("--nonsense", 2, "--nonsense"),
]

OUTPUTS = [  # commands that print, and work
    "inspect cache",
    "inspect cache --json",
    "explain",
    "explain --json",
    "doctor",
    "preview cache -o p.png -t {recipe} --photos 1 --draws 1",
    "replay cache {key} -o p.png -t {recipe}",
    "fetch --help",
    "bench augment --help",
    "demo --help",
    "--help",
]

FORKS = """
import importlib, io, json, os, sys
from onewarp.cli import COMMANDS, main
for module in {module for module, _ in COMMANDS.values()}:
    importlib.import_module(f"onewarp.{module}")
for line in sys.stdin:
    words, output = json.loads(line)
    process = os.fork()
    if process == 0:
        if output == "closed":
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open("/dev/full" if output == "full" else "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(writer, 1)
        os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        encoding = "ascii" if output == "ascii" else "utf-8"
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding=encoding)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding=encoding, write_through=True)
        status = 70
        try:
            main(words, prog_name="onewarp")
        except SystemExit as end:
            status = end.code or 0
            sys.stdout.flush()
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(json.dumps([status, open("stdout", errors="replace").read(), open("stderr", errors="replace").read()]))
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the commands above meet: photos of foreign letters, caches, a run, and what is wrong."""
    root = tmp_path_factory.mktemp("folder")
    drawn = draw_photos(root / "drawn", per_class=2)
    for name, there in zip(("🐱 mèo", "[red]dog"), sorted(drawn.iterdir()), strict=False):
        shutil.copytree(there, root / "photos" / name)
    presize(root / "photos", root / "cache", size=32, label=parent_label, split="hash:0.5")
    presize(root / "photos", root / "plain", size=32)
    run_train(root / "cache", SMALL, Settings("small_resnet", 1, 1e-3, False, bs=4), root / "run")
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    (root / "bad.json").write_text('{"kind": ')
    (root / "bad.jpg").write_bytes(b"no picture")
    (root / "full.png").symlink_to("/dev/full")
    (root / "stdout").touch()
    return root


@pytest.fixture(scope="module")
def shell(folder):
    """Runs words as a shell would in `folder`: the exit status, stdout and stderr."""
    server = subprocess.Popen(
        [sys.executable, "-c", FORKS], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    key = next(path for path in (folder / "photos").rglob("*.*")).relative_to(folder / "photos").as_posix()
    named = {"{key}": [key], "{recipe}": [SMALL], "{small}": TRAIN}

    def run(line, output="file"):
        words = [word for part in line.split() for word in named.get(part, [part])]
        server.stdin.write(json.dumps([words, output]) + "\n")
        server.stdin.flush()
        return json.loads(server.stdout.readline())

    with server:
        yield run
        server.stdin.close()


def test_every_command_is_in_the_tables():
    told = {line.split()[0] for line, *_ in FAILURES}
    assert set(COMMANDS) <= told
    measures = main.get_command(click.Context(main), "bench").commands
    assert {f"bench {name}" for name in measures} - {"bench train"} <= {
        " ".join(line.split()[:2]) for line, *_ in FAILURES
    }


@pytest.mark.parametrize(("words", "code", "message"), FAILURES, ids=[line for line, *_ in FAILURES])
def test_what_goes_wrong_is_one_line(shell, words, code, message):
    status, _, stderr = shell(words)
    assert (status, "Traceback" in stderr) == (code, False), stderr
    assert message in stderr
    lines = [line for line in stderr.splitlines() if line.startswith(("onewarp: ", "rejected "))]
    assert len(lines) == 1, stderr
    assert stderr.splitlines()[-1] == lines[0]
    assert not re.search(r"(?<![-\w])[a-z_]+=", lines[0]), "a setting as Python spells it"


@pytest.mark.parametrize("words", OUTPUTS)
def test_a_full_disk_a_closed_pipe_and_an_ascii_terminal(shell, words):
    status, stdout, stderr = shell(words, "ascii")
    assert (status, "Traceback" in stderr) == (0, False), stderr
    assert stdout
    status, _, stderr = shell(words, "full")
    assert (status, "Traceback" in stderr) == (1, False), stderr
    assert stderr.splitlines()[-1] == "onewarp: the output cannot be written: No space left on device"
    status, _, stderr = shell(words, "closed")
    assert (status, "Traceback" in stderr) == (1, False), stderr
    assert not [line for line in stderr.splitlines() if line.startswith("onewarp: ")]


def test_foreign_letters_are_printed_as_they_are(shell):
    status, stdout, _ = shell("inspect cache")
    assert status == 0
    assert "🐱 mèo" in stdout
    assert "[red]dog" in stdout
