"""A small archive, served on loopback by a server that can be told to break off."""

import hashlib
import io
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from onewarp.errors import UsageError
from onewarp.pipeline.commands.fetch import CHUNK, Archive, FetchError, fetch


def tar(members: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(info)
    return buffer.getvalue()


class Server(BaseHTTPRequestHandler):
    content = b""
    break_after: int | None = None

    def do_GET(self):
        cls = type(self)
        asked = self.headers.get("Range", "")
        cls.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = cls.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cls.break_after is not None:
            body, cls.break_after = body[: cls.break_after], None
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    class Fresh(Server):
        asked: ClassVar[list[str]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        Fresh.url = f"http://127.0.0.1:{http.server_port}/images.tar.gz"
        yield Fresh
        http.shutdown()
        thread.join()


def datasets(server, content=None):
    digest = hashlib.md5(server.content if content is None else content).hexdigest()
    return {"small": (Archive(server.url, f"md5:{digest}"),)}


def test_it_is_downloaded_checked_and_unpacked_once(server, tmp_path):
    server.content = tar({"images/a.jpg": b"a", "images/b.jpg": b"b"})
    assert fetch("small", tmp_path / "set", datasets(server)) == tmp_path / "set"
    assert (tmp_path / "set" / "images" / "b.jpg").read_bytes() == b"b"
    fetch("small", tmp_path / "set", datasets(server))
    assert server.asked == [""]


def test_a_download_goes_on_where_it_broke_off(server, tmp_path):
    noise = os.urandom(300_000)
    server.content = tar({"images/a.jpg": noise})
    server.break_after = 150_000
    with pytest.raises(FetchError, match="it goes on where it stopped"):
        fetch("small", tmp_path, datasets(server))
    assert not (tmp_path / "images").exists()
    fetch("small", tmp_path, datasets(server))
    assert server.asked == ["", f"bytes={2 * CHUNK}-"]
    assert (tmp_path / "images" / "a.jpg").read_bytes() == noise


def test_another_checksum_is_refused(server, tmp_path):
    server.content = tar({"images/a.jpg": b"a"})
    with pytest.raises(FetchError, match=r"must have the checksum md5:.*, but what came has another"):
        fetch("small", tmp_path, datasets(server, b"something else"))
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("name", ["../escaped.txt", "images/../../escaped.txt"])
def test_paths_that_leave_the_folder_are_refused(server, tmp_path, name):
    server.content = tar({"images/a.jpg": b"a", name: b"out"})
    with pytest.raises(FetchError, match=r"must stay in its folder, but .*escaped\.txt"):
        fetch("small", tmp_path / "set", datasets(server))
    assert not (tmp_path / "escaped.txt").exists()
    assert [p.name for p in (tmp_path / "set").iterdir()] == [".archives"]


def test_links_that_leave_the_folder_are_refused(server, tmp_path):
    server.content = tar({}, link=("images", "../.."))
    with pytest.raises(FetchError, match="must stay in its folder"):
        fetch("small", tmp_path / "set", datasets(server))


def test_what_is_no_archive_is_refused(server, tmp_path):
    server.content = b"<html>not here</html>"
    with pytest.raises(FetchError, match="must be a tar file"):
        fetch("small", tmp_path, datasets(server))


def test_wrong_names_and_folders(tmp_path):
    with pytest.raises(UsageError, match="data set must be one of pets, but got 'cars'"):
        fetch("cars", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        fetch("pets", tmp_path / "file")
