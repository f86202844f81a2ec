"""A folder of several parts, and files that do to their process what a broken decoder might."""

import os
import sys

import pytest

POISON = '''
import os, signal, time
from onewarp.pipeline.dataset.sources import FolderSource

class Poisoned(FolderSource):
    """A folder in which some files do to the process that reads them what a broken decoder might."""
    broken = False

    def read(self, place):
        name = os.path.basename(place)
        if "segfault" in name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "scribble" in name:
            type(self).broken = True
        elif self.broken and "3" in name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hang" in name:
            alone = b"crash_search" in open("/proc/self/cmdline", "rb").read()
            time.sleep(3600) if alone else os.kill(os.getpid(), signal.SIGKILL)
        mark = place + ".killed"
        times = os.path.getsize(mark) if os.path.exists(mark) else 0
        alone = b"crash_search" in open("/proc/self/cmdline", "rb").read()
        if "killed" in name or ("once" in name and not times) or ("twice" in name and times < 2 and not alone):
            with open(mark, "ab") as file:
                file.write(b".")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(place)
'''


@pytest.fixture
def many(tmp_path, draw):
    """400 small pictures, which are several parts."""
    for i in range(400):
        draw(tmp_path / "many" / f"{i:03d}.png", i, (8, 12))
    return tmp_path / "many"


@pytest.fixture
def poisoned(tmp_path, monkeypatch):
    """The class of a source that workers can import as well."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "poisoned_source.py").write_text(POISON)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "modules"), *sys.path]))
    import poisoned_source

    yield poisoned_source.Poisoned
    del sys.modules["poisoned_source"]
