"""What libtiff says of a file: Pillow drops its warnings, and lets its errors run to the terminal without a name.

Pillow has loaded the library, so it is asked through `ctypes`, with handlers of the file's own (libtiff 4.5). The
errors of what Pillow decodes while a thread listens are that thread's; those that other users of libtiff in the process
cause go where they went before.
"""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

# Of tags that no pixel depends on. Private tags (GeoTIFF's among them) are unknown to libtiff by right.
HARMLESS = re.compile(
    r"Unknown field with tag|thus tag is not read from file|ASCII value for|contains null byte in value"
)

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)
_OwnHandler = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, ctypes.c_char_p, *[ctypes.c_void_p] * 2)
_thread = threading.local()


@contextmanager
def listening() -> Iterator[list[str]]:
    """The errors of libtiff in this thread, but for harmless ones, each as one line."""
    _library()
    before, _thread.said = getattr(_thread, "said", None), []
    try:
        yield _thread.said
    finally:
        _thread.said = before


def check(data: bytes | bytearray | memoryview, pixels: bool, most: int) -> str | None:
    """The first warning or error of libtiff about a file's directories, and about the `pixels` of the first; None where
    it is whole. No more than `most` bytes are held.

    Pillow reads uncompressed files without libtiff, and drops the warnings of the others.
    """
    library = _library()
    if library is None or not hasattr(os, "memfd_create"):
        return None
    said: list[str] = []

    def handle(_: int, __: int, module: bytes | None, form: int, arguments: int) -> int:
        _add(said, _line(module, form, arguments))
        return 1  # no other handler is asked

    handler = _OwnHandler(handle)  # held until the file is closed
    descriptor = os.memfd_create("tiff")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        options = ctypes.c_void_p(library.TIFFOpenOptionsAlloc())
        for name in ("Warning", "Error"):
            getattr(library, f"TIFFOpenOptionsSet{name}HandlerExtR")(options, handler, None)
        opened = ctypes.c_void_p(library.TIFFFdOpenExt(os.dup(descriptor), b"image", b"rm", options))
        library.TIFFOpenOptionsFree(options)
        if opened:
            if pixels:
                _read_pixels(library, opened, said, most)
            while not said and library.TIFFReadDirectory(opened):  # those of further pages
                pass
            library.TIFFClose(opened)
    finally:
        os.close(descriptor)
    return said[0] if said else None if opened else "it cannot be opened"


def _read_pixels(library: Any, opened: ctypes.c_void_p, said: list[str], most: int) -> None:
    kind = "Tile" if library.TIFFIsTiled(opened) else "Strip"
    size = getattr(library, f"TIFF{kind}Size")(opened)
    if not 0 < size <= most:
        said.append(f"a {kind.lower()} of {size:,} bytes")
        return
    buffer = ctypes.create_string_buffer(size)
    for number in range(getattr(library, f"TIFFNumberOf{kind}s")(opened)):
        if getattr(library, f"TIFFReadEncoded{kind}")(opened, number, buffer, -1) < 0 or said:
            said.append(f"{kind.lower()} {number} cannot be read")
            return


@cache
def _library() -> Any:
    """The libtiff that Pillow uses, with our handlers; None where Pillow has none, or has it inside itself."""
    try:
        with open("/proc/self/maps") as maps:
            path = next((line.split(maxsplit=5)[5].strip() for line in maps if "/libtiff" in line), None)
        library = None if path is None else ctypes.CDLL(path)
    except OSError:
        return None
    if library is None:
        return None
    if not hasattr(library, "TIFFOpenOptionsAlloc"):  # before 4.5
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    library.TIFFOpenOptionsAlloc.restype = library.TIFFFdOpenExt.restype = pointer
    library.TIFFStripSize.restype = library.TIFFTileSize.restype = size
    for kind in ("Strip", "Tile"):
        read = getattr(library, f"TIFFReadEncoded{kind}")
        read.restype, read.argtypes = size, [pointer, ctypes.c_uint32, pointer, size]
    library.TIFFSetErrorHandlerExt(_on_error)
    library.TIFFSetErrorHandler(None)  # the one that prints
    return library


def _line(module: bytes | None, form: int, arguments: int) -> str:
    text = ctypes.create_string_buffer(1024)
    _libc.vsnprintf(text, ctypes.c_size_t(len(text)), ctypes.c_void_p(form), ctypes.c_void_p(arguments))
    return f"{(module or b'libtiff').decode(errors='replace')}: {text.value.decode(errors='replace')}"


def _add(said: list[str], line: str) -> None:
    if not HARMLESS.search(line) and len(said) < 10:
        said.append(line)


def _handle(_: int | None, module: bytes | None, form: int, arguments: int) -> None:
    said = getattr(_thread, "said", None)
    if said is None:
        print(f"{_line(module, form, arguments)}.", file=sys.stderr)
    else:
        _add(said, _line(module, form, arguments))


_libc = ctypes.CDLL(None)
_on_error = _Handler(_handle)  # held here: the library keeps no reference
