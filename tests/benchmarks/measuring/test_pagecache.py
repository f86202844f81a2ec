import os

import pytest

from onewarp.benchmarks.measuring import pagecache


@pytest.mark.parametrize("state", pagecache.STATES)
def test_the_state_of_the_page_cache_changes_no_file(tmp_path, state):
    contents = {tmp_path / name: os.urandom(200_000) for name in ("a", "b")}
    for path, content in contents.items():
        path.write_bytes(content)
    pagecache.put(contents, state)
    assert {path: path.read_bytes() for path in contents} == contents
    assert len(list(tmp_path.iterdir())) == 2
