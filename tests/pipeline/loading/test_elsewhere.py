"""Systems other than Linux lack modules and calls: what is without them works, and what it costs is stated."""

import subprocess
import sys

SCRIPT = """
import os, sys
import distributed, torch, PIL.Image, simplejpeg, pyarrow.parquet  # what others need of the system is theirs
sys.modules["fcntl"] = sys.modules["resource"] = None
for name in ("posix_fadvise", "preadv", "sched_getaffinity"):
    delattr(os, name)

from onewarp.pipeline import Loader, presize
from onewarp.pipeline.presizing.lock import write_lock

print(presize(sys.argv[1], sys.argv[2], 8).rows)
loader = Loader(sys.argv[2], batch_size=5, reading="pread", keys=True)
print(sum(len(keys) for _, _, keys in loader))
"""


def test_without_the_modules_and_calls_of_linux_a_cache_is_made_and_read(pictures, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(pictures), str(tmp_path / "C")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stdout.split(), run.returncode) == (["12", "12"], 0), run.stderr
