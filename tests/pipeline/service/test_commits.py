"""A commit ends as it should, whoever listens."""

import threading

import pytest

from onewarp.errors import CacheError, ServiceError, UsageError
from onewarp.pipeline.cache.reader import Cache
from onewarp.pipeline.loading.cache_rows import CacheRows
from onewarp.pipeline.presizing.presizer import presize
from onewarp.pipeline.presizing.spool import Photo
from onewarp.pipeline.service.commits import Commits


@pytest.fixture
def committed():
    """The names of caches that have new rows."""
    return []


@pytest.fixture
def commits(committed):
    return Commits(committed.append)


def test_what_a_commit_says_ends_with_the_rows_the_rejected_and_the_fingerprint(grown, photos, commits, committed):
    grown.add([*photos, Photo("cat/bad.png", b"no picture")])
    *progress, rejected, end = commits.begin(grown, False)
    assert progress[-1]["progress"]["done"] == 13
    assert [key for key, _ in rejected["rejected"]] == ["cat/bad.png"]
    assert (end["summary"]["rows"], end["summary"]["rejected"], end["summary"]["encoding"]) == (12, 1, "raw")
    assert end["summary"]["fingerprint"] == CacheRows(Cache.open(grown.folder)).fingerprint
    assert committed == ["grown"]


def test_a_commit_goes_on_when_nobody_listens(grown, photos, commits, committed):
    grown.add(photos)
    listener = iter(commits.begin(grown, False))
    next(listener)
    listener.close()
    assert commits.wait(60)
    assert (len(Cache.open(grown.folder)), committed) == (12, ["grown"])


def test_whoever_asks_while_a_commit_runs_gets_one_that_has_all_that_is_there(grown, photos, commits, monkeypatch):
    grown.add(photos[:6])
    begun, go_on = threading.Event(), threading.Event()
    commit_it = type(grown).commit

    def wait(*arguments):
        begun.set()
        assert go_on.wait(60)
        return commit_it(*arguments)

    monkeypatch.setattr(type(grown), "commit", wait)
    first = commits.begin(grown, False)
    assert begun.wait(60)
    grown.add(photos)
    others = [commits.begin(grown, False) for _ in range(5)]
    verifying = [commits.begin(grown, True) for _ in range(5)]
    assert len({first, *others, *verifying}) == 3
    go_on.set()
    assert [[*commit][-1]["summary"]["rows"] for commit in (others[0], verifying[0])] == [12, 12]
    assert [*first][-1]["summary"]["rows"] in (6, 12)
    assert commits.wait(60)


def test_an_error_comes_to_all_who_listen_without_a_path(grown, photos, commits, committed, pictures, tmp_path):
    presize(pictures, grown.folder, 16, label="parent", split="hash:0.5")
    grown.add(photos[1:])
    commit = commits.begin(grown, False)
    for _ in range(2):
        with pytest.raises(CacheError, match="has 1 rows whose photos did not come") as error:
            list(commit)
        assert str(tmp_path) not in str(error.value)
    (grown.folder / "_cache.json").unlink()
    for path in grown.folder.glob("part-*"):
        path.unlink()
    (grown.folder / "mine.txt").write_text("")
    with pytest.raises(UsageError, match=r"cache grown holds mine\.txt") as error:
        list(commits.begin(grown, False))
    assert str(tmp_path) not in str(error.value)
    assert commits.wait(60)
    assert committed == []


def test_what_fails_after_a_commit_is_an_error_and_the_next_commit_runs(grown, photos):
    failures = [RuntimeError("the server has ended")]

    def fail_once(name):
        if failures:
            raise failures.pop()

    commits = Commits(fail_once)
    grown.add(photos)
    with pytest.raises(RuntimeError, match="has ended"):
        list(commits.begin(grown, False))
    assert [*commits.begin(grown, False)][-1]["summary"]["kept"] == 12


def test_whoever_knows_the_name_of_a_commit_listens_again_also_after_its_end(grown, photos, commits):
    grown.add(photos[:6])
    first = [*commits.begin(grown, False)]
    grown.add(photos)
    again = [*commits.begin(grown, False, first[0]["commit"])]
    assert again[-1] == first[-1]
    other = [*commits.begin(grown, False, "a name that is not known")]
    assert (first[-1]["summary"]["rows"], other[-1]["summary"]["rows"]) == (6, 12)


def test_commits_that_go_on_when_a_server_ends_are_stopped_and_the_next_one_goes_on(
    grown, commits, draw, tmp_path, files_in
):
    for i in range(300):
        draw(tmp_path / "many" / "cat" / f"{i:03d}.png", i, (8, 12))
    many = sorted((tmp_path / "many" / "cat").iterdir())
    grown.add([Photo(f"cat/{path.name}", path.read_bytes()) for path in many])
    running = commits.begin(grown, False)
    waiting = commits.begin(grown, False)
    assert not commits.close(0)
    assert commits.wait(0)
    for commit in (running, waiting):
        with pytest.raises(ServiceError, match="commit cache grown again"):
            list(commit)
    assert [*commits.begin(grown, False)][-1]["summary"]["rows"] == 300
    presize(tmp_path / "many", tmp_path / "made", 16, label="parent", split="hash:0.5")
    assert files_in(grown.folder) == files_in(tmp_path / "made")
