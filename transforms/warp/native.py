"""The extension in C++, loaded here and nowhere else; whoever has another way without it asks here whether it is there.

>>> (extension is None) == bool(absence)
True
"""

from typing import Any

extension: Any = None
"""The module `_cpu`; None where it was not built."""
absence = ""
"""Why there is no extension; empty where there is one."""

try:
    from . import _cpu  # type: ignore[attr-defined]

    extension = _cpu
except ImportError as error:
    absence = f"the C++ extension was not built ({error})"
