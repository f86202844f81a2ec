"""The extension in C++, loaded here and nowhere else; whoever has another way without it asks here whether it is there.

>>> (extension is None) == bool(absence)
True
"""

from pathlib import Path
from typing import Any

from .sources import checksum

extension: Any = None
"""The module `_cpu`; None where it was not built."""
absence = ""
"""Why there is no extension; empty where there is one."""

try:
    from . import _cpu  # type: ignore[attr-defined]

    if checksum(Path(__file__).parent) in (None, getattr(_cpu, "SOURCES", 0)):
        extension = _cpu
    else:
        absence = "the C++ extension was built from other sources: install onewarp again"
except ImportError as error:
    absence = f"the C++ extension was not built ({error})"
