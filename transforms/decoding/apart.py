"""Decoding in a process that can be ended: for files whose header says that they may take long, or much memory.

What a decoder in C has begun cannot be stopped from within. So the process sets itself limits that the system enforces:
seconds of processor time, which do not depend on what else the machine does, and bytes of memory.
"""

import json
import os
import signal
import struct
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import IO

import numpy as np
from PIL import Image

from ...errors import DecodeError, ResourceError
from ..child_process import FROM_OUTSIDE, environment
from .picture import Buffer, Decoding, Picture, decode_here, open_image, reasons

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a POSIX system: the process can be ended, but its memory is not limited
    resource = None

_PATIENCE = 600.0  # seconds for a machine on which much else runs, beside ten times the processor's
_OK, _REFUSED, _NO_MEMORY = b"ok..", b"no..", b"mem."


def decode_apart(data: Buffer, target: int | None, decoding: Decoding) -> Picture:
    """What `decode_pixels` gives, from a process of its own.

    Raises `DecodeError` where the file is refused, kills the process, or needs more processor time or memory than
    `decoding` allows, and `ResourceError` where the process was ended from outside.
    """
    settings = json.dumps([target, asdict(decoding)]).encode()
    command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]  # without torch, so it starts quickly
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            answer, _ = child.communicate(
                struct.pack("<I", len(settings)) + settings + bytes(data), _PATIENCE + 10 * decoding.max_seconds
            )
        except subprocess.TimeoutExpired:
            child.kill()
            raise DecodeError(f"takes longer to decode than max_seconds, {decoding.max_seconds:g}") from None
    return _read_answer(answer, child.returncode, decoding)


def _read_answer(answer: bytes, code: int, decoding: Decoding) -> Picture:
    if code == -signal.SIGPROF:
        raise DecodeError(f"takes longer to decode than max_seconds, {decoding.max_seconds:g}")
    if -code in FROM_OUTSIDE or (code > 0 and not answer):
        raise ResourceError(
            f"the process that decodes a file was ended from outside ({_ending(code)}), as systems do that run out "
            "of memory: free some, or use fewer workers; the same command goes on from here"
        )
    if code < 0:
        raise DecodeError(f"kills the process that decodes it (signal {-code})")
    kind, body = answer[:4], memoryview(answer)[4:]
    if kind == _NO_MEMORY:
        raise DecodeError(f"needs more memory to decode than max_memory, {decoding.max_memory:,} bytes")
    if kind == _REFUSED:
        raise DecodeError(bytes(body).decode())
    return _unpack(body)


def _pack(picture: Picture) -> list[Buffer]:
    said = {field.name: getattr(picture, field.name) for field in fields(picture) if field.name not in _BINARY}
    head = json.dumps([said, picture.raw.shape, len(picture.profile)]).encode()
    return [struct.pack("<I", len(head)), head, picture.profile, np.ascontiguousarray(picture.raw).data.cast("B")]


def _unpack(body: memoryview) -> Picture:
    (length,) = struct.unpack_from("<I", body)
    said, shape, profile = json.loads(bytes(body[4 : 4 + length]))
    begin = 4 + length + profile
    pixels = np.frombuffer(body[begin:], np.uint8).reshape(shape).copy()
    said["size"] = tuple(said["size"])
    return Picture(raw=pixels, profile=bytes(body[4 + length : begin]), **said)


_BINARY = ("raw", "profile")


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def serve() -> None:
    """In the process: decode what comes on stdin, under limits, and answer on stdout."""
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what libraries print is no answer
        _answer(sys.stdin.buffer.read(), out)


def _answer(question: bytes, out: IO[bytes]) -> None:
    (length,) = struct.unpack_from("<I", question)
    target, settings = json.loads(question[4 : 4 + length])
    decoding = Decoding(**{**settings, "background": tuple(settings["background"])})
    Image.init()  # whose plugins are no part of what the file costs
    _limit(decoding.max_seconds, decoding.max_memory)
    data, timeless = memoryview(question)[4 + length :], replace(decoding, max_seconds=1e9)
    try:
        with reasons(decoding):
            parts = [_OK, *_pack(decode_here(open_image(data, timeless), target, timeless))]
    except MemoryError:
        parts = [_NO_MEMORY]
    except DecodeError as error:
        parts = [_REFUSED, str(error).encode()]
    for part in parts:
        out.write(part)


def _limit(seconds: float, memory: int) -> None:
    """So much more processor time and memory than the process has used until now, and no more."""
    used = Path("/proc/self/statm")  # of Linux; elsewhere memory is not limited
    if resource is not None and used.exists():
        held = int(used.read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (held + memory, held + memory))
    signal.setitimer(signal.ITIMER_PROF, seconds)
