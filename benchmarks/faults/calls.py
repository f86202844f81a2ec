"""The system calls of a child process, decided by its parent: let go, failed with an error, or the child's last.

Linux asks the parent before it carries out a call (seccomp_unotify(2), Linux 5.5), so a call fails in the kernel's name
whoever makes it: Python, Arrow's C++, safetensors' Rust. The child needs no privilege, no tracer and no other library.
"""

import ctypes
import errno
import fcntl
import os
import platform
import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError

LET_GO, KILL = 0, -1
"""Answers beside the numbers of errors."""

# Number on x86-64, name, and what tells the file: a descriptor or a path, at which argument.
_TABLE = """
0 read fd 0;      1 write fd 0;      2 open path 0;      3 close fd 0;        4 stat path 0;      5 fstat fd 0
6 lstat path 0;   9 mmap fd 4;      17 pread64 fd 0;     18 pwrite64 fd 0;   19 readv fd 0
20 writev fd 0;   21 access path 0;  40 sendfile fd 0;   73 flock fd 0;       74 fsync fd 0;      75 fdatasync fd 0
76 truncate path 0; 77 ftruncate fd 0; 82 rename path 0; 83 mkdir path 0;     84 rmdir path 0;    85 creat path 0
86 link path 0;   87 unlink path 0;  88 symlink path 1;  90 chmod path 0;     91 fchmod fd 0;     217 getdents64 fd 0
221 fadvise64 fd 0; 257 openat at 1; 258 mkdirat at 1;   262 newfstatat at 1; 263 unlinkat at 1;  264 renameat at 1
265 linkat at 1;  269 faccessat at 1; 280 utimensat at 1; 285 fallocate fd 0; 295 preadv fd 0;    296 pwritev fd 0
316 renameat2 at 1; 326 copy_file_range fd 2; 327 preadv2 fd 0; 328 pwritev2 fd 0; 332 statx at 1; 439 faccessat2 at 1
"""
_ROWS = (row.split() for row in re.split("[;\n]", _TABLE) if row.strip())
CALLS = {int(number): (name, kind, int(at)) for number, name, kind, at in _ROWS}
CHANGES = frozenset(
    (
        *("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "fsync"),
        *(
            "fdatasync",
            "truncate",
            "ftruncate",
            "fallocate",
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            "symlink",
        ),
        *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "creat", "chmod", "fchmod", "utimensat"),
    )
)
"""The calls that change what is on the disk, beside `openat` of a file that is made by it."""

CHANGING = CHANGES | {"open", "openat"}
"""The calls of which some change what is on the disk."""

_SECCOMP, _SET_FILTER, _LISTENER, _NO_NEW_PRIVILEGES = 317, 1, 1 << 3, 38
_ASK, _ALLOW, _X86_64 = 0x7FC00000, 0x7FFF0000, 0xC000003E
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_MMAP, _AT_CWD = 9, 0xFFFFFF9C


@dataclass(frozen=True)
class Call:
    """One system call before it is carried out: its name, the path of its file, and the process that makes it."""

    name: str
    path: Path
    process: int
    creates: bool = False

    @property
    def changes(self) -> bool:
        """Whether it changes what is on the disk."""
        return self.name in CHANGES or self.creates


Decide = Callable[[Call], int]


def refuse_elsewhere() -> None:
    """Raise `UsageError` where there are no such system calls."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise UsageError(
            f"faults must be tried on Linux on x86-64, but this is {platform.system()} {platform.machine()}"
        )


def ask_first(channel: socket.socket, names: Iterable[str] | None = None) -> None:
    """From now on these calls of this process, all of the table if none are named, wait for the answer of whoever has
    the other end of `channel`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    program = _program([n for n, (name, _, _) in CALLS.items() if names is None or name in names])
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, 0), 16)
    buffer = ctypes.create_string_buffer(program, len(program))
    struct.pack_into("P", head, 8, ctypes.addressof(buffer))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(_SECCOMP, _SET_FILTER, _LISTENER, ctypes.byref(head))
    if listener < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    socket.send_fds(channel, [b"."], [listener])
    libc.syscall(3, listener)  # close: it waits until the parent serves, as every call from here on


def _program(numbers: Sequence[int]) -> bytes:
    """The filter (bpf(4)) that asks for calls of these numbers, but not for memory that is mapped without a file."""
    allow = 3 + len(numbers)
    ask, mapped = allow + 1, allow + 2
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 0, allow - 2, _X86_64), (_LOAD, 0, 0, 0)]  # the machine; the call's number
    for number in numbers:
        lines.append((_EQUAL, (mapped if number == _MMAP else ask) - len(lines) - 1, 0, number))
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ASK)]
    lines += [(_LOAD, 0, 0, 16 + 8 * 4), (_EQUAL, 0, 1, 0xFFFFFFFF), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ASK)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


class Listener:
    """The parent's end: it answers each call of the child under `folders` as `decide` says, and lets all others go."""

    def __init__(self, channel: socket.socket, folders: Sequence[Path], decide: Decide) -> None:
        _, (self.descriptor,), _, _ = socket.recv_fds(channel, 1, 1)
        self._folders, self._decide = folders, decide

    def answer(self) -> bool:
        """Answer the call that waits; False where the child is to be killed, which then makes no further call."""
        data = bytearray(80)
        try:
            fcntl.ioctl(self.descriptor, _RECEIVE, data)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # whoever asked is gone
                return True
            raise
        number, process, _, call, _, _, *arguments = struct.unpack("QIIiIQ6Q", data)
        found = _describe(process, call, arguments)
        beneath = found is not None and any(found.path == top or top in found.path.parents for top in self._folders)
        answer = self._decide(found) if found is not None and beneath else LET_GO
        if answer == KILL:
            return False
        flags = _CONTINUE if answer == LET_GO else 0
        with suppress(FileNotFoundError):
            fcntl.ioctl(self.descriptor, _SEND, bytearray(struct.pack("QqiI", number, 0, -answer, flags)))
        return True

    def close(self) -> None:
        """Whoever still waits is told that there is no such call."""
        os.close(self.descriptor)


def _describe(process: int, number: int, arguments: Sequence[int]) -> Call | None:
    name, kind, at = CALLS[number]
    try:
        if kind == "fd":
            path = os.readlink(f"/proc/{process}/fd/{arguments[at] & 0xFFFFFFFF}")
        else:
            path = _text(process, arguments[at])
            folder = arguments[0] & 0xFFFFFFFF if kind == "at" else _AT_CWD
            if not path.startswith("/"):
                path = os.path.join(os.readlink(f"/proc/{process}/{_place(folder)}"), path)
    except (OSError, ValueError):  # no such file is open, or the process is gone: the system will say so
        return None
    flags = {"open": 1, "openat": 2}.get(name)
    return Call(name, Path(path), process, flags is not None and bool(arguments[flags] & os.O_CREAT))


def _place(folder: int) -> str:
    return "cwd" if folder == _AT_CWD else f"fd/{folder}"


def _text(process: int, address: int) -> str:
    """The path at an address of a process."""
    text = b""
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        while b"\0" not in text:
            memory.seek(address + len(text))
            text += memory.read(4096 - (address + len(text)) % 4096)
    return os.fsdecode(text.partition(b"\0")[0])
