"""The extension in C++, loaded here and nowhere else; whoever has another way without it asks here whether it is there.

>>> (extension is None) == bool(absence)
True
"""

from typing import Any

extension: Any = None
"""The module `_cpu`; None where it was not built."""
absence = ""
"""Why there is no extension; empty where there is one."""

REVISION = 2
"""What is passed to the extension: the number of `kRevision` in cpu.cpp, which one that is built anew has too."""

try:
    from . import _cpu  # type: ignore[attr-defined]

    if getattr(_cpu, "REVISION", 1) == REVISION:
        extension = _cpu
    else:
        absence = "the C++ extension was built from other sources: install onewarp again"
except ImportError as error:
    absence = f"the C++ extension was not built ({error})"
