"""The reference reader of every format that is accepted: what it says of a file, and the pixels that it finds in it.

Each is a command of the format's own library, from a Debian package: libjpeg-turbo-progs, pngcheck, webp, giflib-tools,
netpbm (of which pngtopam reads PNG by libpng), libtiff-tools, libavif-bin, libopenjp2-tools, icoutils.
"""

import io
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..transforms.decoding.libtiff import HARMLESS

Pixels = NDArray[Any]


class RefusalError(Exception):
    """A reference reader refuses a file, or warns of it."""


def missing_tools() -> list[str]:
    """The commands that are not installed, of those that the readers need."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def read_jpeg(data: bytes) -> Pixels:
    """By djpeg, for which a warning is an error."""
    return _netpbm(_run(["djpeg", "-strict", "-pnm"], data))


def read_png(data: bytes) -> Pixels:
    """By pngcheck, which shares no code with libpng, and pngtopam, which is libpng."""
    with _file(data, "png") as path:
        try:
            _run(["pngcheck", path])
        except RefusalError as error:
            if _BEHIND not in str(error):
                raise
        return _netpbm(_run(["pngtopam", "-alphapam", path]))


def read_gif(data: bytes) -> Pixels:
    """By giftext and gif2rgb (giflib), for files of one picture that fills its canvas."""
    with _file(data, "gif") as path:
        _run(["giftext", path], quiet=True)
        width, height = struct.unpack_from("<HH", data, 6)
        return np.frombuffer(_run(["gif2rgb", "-1", path]), np.uint8).reshape(height, width, 3)


def read_webp(data: bytes) -> Pixels:
    """By webpinfo and dwebp."""
    with _file(data, "webp") as path:
        said = _run(["webpinfo", path]).decode(errors="replace")
        if "No error detected" not in said or "arning" in said:
            raise RefusalError(said.strip().splitlines()[-1])
        opaque = "Alpha: 1" not in said  # then what there is of it does not count
        return _netpbm(_run(["dwebp", "-quiet", "-ppm" if opaque else "-pam", path, "-o", "-"]))


def read_bmp(data: bytes) -> Pixels:
    """By bmptopnm, which takes a bitmap of one colour for one of two, and reads no runs that leave out pixels."""
    try:
        pixels = _netpbm(_run(["bmptopnm", "-quiet"], data))
    except RefusalError as error:
        if "does not process deltas" not in str(error):
            raise
        pixels = _netpbm(_run(["bmptopnm", "-quiet"], _without_runs(data)))
    header, bits = struct.unpack("<I10xH", data[14:30])
    first, second = (data[14 + header + 4 * i :][:3] for i in range(2))
    if bits == 1 and first == second:
        pixels = np.broadcast_to(np.frombuffer(first[::-1], np.uint8), (*pixels.shape[:2], 3))
    return pixels


def _without_runs(data: bytes) -> bytes:
    """A bitmap of 8 bits in runs as one without; a pixel that is left out has the first colour."""
    (start,), (width, height) = struct.unpack("<I", data[10:14]), struct.unpack("<ii", data[18:26])
    if data[30] != 1:
        raise RefusalError("runs of 4 bits that leave out pixels are read by nobody here")
    rows = np.zeros((height, -(-width // 4) * 4), np.uint8)
    x = y = 0
    codes = iter(data[start:])
    try:
        while True:
            count, value = next(codes), next(codes)
            if count:
                rows[y, x : x + count] = value
                x += count
            elif value == 0:
                x, y = 0, y + 1
            elif value == 1:
                break
            elif value == 2:
                x, y = x + next(codes), y + next(codes)
            else:
                rows[y, x : x + value] = [next(codes) for _ in range(value)]
                x += value
                if value % 2:
                    next(codes)
    except (StopIteration, IndexError, ValueError):
        raise RefusalError("its runs leave the picture, or the file") from None
    return data[:30] + struct.pack("<II", 0, rows.size) + data[38:start] + rows.tobytes()


def read_dib(data: bytes) -> Pixels:
    """By bmptopnm, behind the file header that a DIB lacks."""
    header, bits, colours = struct.unpack("<I", data[:4])[0], *struct.unpack("<HxxxxxxxxxxxxxxxxI", data[14:36])
    palette = 4 * (colours or (1 << bits if bits <= 8 else 0))
    if 14 + header + palette > len(data) + 14:
        raise RefusalError("the palette is longer than the file")
    return read_bmp(b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, 14 + header + palette) + data)


def read_pnm(data: bytes) -> Pixels:
    """By pamtopnm (netpbm), which reads all of its formats."""
    return _netpbm(_run(["pamtopnm"], data))


def read_tiff(data: bytes) -> Pixels:
    """By tiffinfo, which reads all data, and tiff2rgba (libtiff)."""
    with _file(data, "tif") as path:
        _run(["tiffinfo", "-D", path], harmless=HARMLESS.pattern)
        out = path + ".out"
        try:
            _run(["tiff2rgba", "-c", "none", "-r", "100000", path, out], harmless=HARMLESS.pattern)
            return _plain_tiff(Path(out).read_bytes())
        finally:
            Path(out).unlink(missing_ok=True)


def read_avif(data: bytes) -> Pixels:
    """By avifdec; a file that does not say how many bits its channels have is read too, as its AV1 stream says so.

    Such files are written by older encoders, and Pillow takes them for that reason.
    """
    command = ["avifdec", "--jobs", "1", "--png-compress", "0"]
    with _file(data, "avif") as path:
        out = path + ".png"
        try:
            try:
                _run([*command, path, out], quiet=True)
            except RefusalError as error:
                if "missing mandatory pixi property" not in str(error):
                    raise
                _run([*command, "--no-strict", path, out], quiet=True)
            return _netpbm(_run(["pngtopam", "-alphapam", out]))
        finally:
            Path(out).unlink(missing_ok=True)


def read_jpeg2000(data: bytes) -> Pixels:
    """By opj_decompress (OpenJPEG), which must not warn."""
    with _file(data, "j2k" if data[:4] == b"\xff\x4f\xff\x51" else "jp2") as path:
        out = path + ".pnm"
        try:
            said = _run(["opj_decompress", "-i", path, "-o", out], quiet=True).decode(errors="replace")
            if "WARNING" in said or "ERROR" in said:
                raise RefusalError(said)
            if not os.path.exists(out):
                raise RefusalError("nothing comes out")
            return _netpbm(Path(out).read_bytes())
        finally:
            Path(out).unlink(missing_ok=True)


def read_ico(data: bytes) -> Pixels:
    """By icotool: the largest picture in it, of the deepest colours."""
    with _file(data, "ico") as path, tempfile.TemporaryDirectory() as folder:
        _run(["icotool", "-x", "-o", folder, path], harmless=_ICON)
        found = {tuple(map(int, re.findall(r"\d+", name.stem)[-3:])): name for name in Path(folder).iterdir()}
        if not found:
            raise RefusalError("nothing comes out")
        largest = max(found, key=lambda size: (size[0] * size[1], size[2]))
        return _netpbm(_run(["pngtopam", "-alphapam", str(found[largest])]))


TOOLS = (
    *("djpeg", "pngcheck", "pngtopam", "giftext", "gif2rgb", "webpinfo", "dwebp", "bmptopnm", "pamtopnm"),
    *("tiffinfo", "tiff2rgba", "avifdec", "opj_decompress", "icotool"),
)

READERS: dict[str, Callable[[bytes], Pixels]] = {
    "JPEG": read_jpeg,
    "MPO": read_jpeg,
    "PNG": read_png,
    "GIF": read_gif,
    "WEBP": read_webp,
    "BMP": read_bmp,
    "DIB": read_dib,
    "PPM": read_pnm,
    "TIFF": read_tiff,
    "AVIF": read_avif,
    "JPEG2000": read_jpeg2000,
    "ICO": read_ico,
}


_BEHIND = "additional data after IEND"  # of the picture nothing is missing, and libpng says nothing
_ICON = r"[xy]_pels_per_meter field in bitmap should be zero|skipping \d+ bytes of garbage"  # between the pictures


def _run(command: Sequence[str], data: bytes | None = None, quiet: bool = False, harmless: str = "$^") -> bytes:
    """What a command prints; it refuses the file where it fails, or says anything on stderr.

    `quiet` is for commands that talk when all is well: what both streams say is returned.
    """
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C"})
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    said = "\n".join(line for line in lines if not re.search(harmless, line))
    if done.returncode != 0 or (said and not quiet):
        heard = said if said and "ERROR: " not in said else done.stdout[-500:].decode(errors="replace") + said
        raise RefusalError(heard.strip() or f"{command[0]} ends with {done.returncode}")
    return done.stdout + done.stderr if quiet else done.stdout


@contextmanager
def _file(data: bytes, suffix: str) -> Iterator[str]:
    """The path of a file with these bytes, for as long as it is needed."""
    with tempfile.NamedTemporaryFile(suffix=f".{suffix}") as file:
        file.write(data)
        file.flush()
        yield file.name


def _netpbm(data: bytes) -> Pixels:
    """The first picture of a PBM, PGM, PPM or PAM file, `[h, w, channels]` in 8 bits."""
    stream = io.BytesIO(data)
    magic = stream.readline().strip()
    if magic == b"P7":
        head = {}
        while (line := stream.readline().strip()) != b"ENDHDR":
            if not line:
                raise RefusalError("no picture")
            name, value = line.split(maxsplit=1)
            head[name] = value
        width, height, depth, top = (int(head[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    else:
        count = {b"P4": 2, b"P5": 3, b"P6": 3}[magic]
        numbers: list[int] = []
        while len(numbers) < count:
            numbers += [int(word) for word in stream.readline().split(b"#")[0].split()]
        width, height, top = numbers[0], numbers[1], numbers[2] if count == 3 else 1
        depth = 3 if magic == b"P6" else 1
    if magic == b"P4":
        rows = np.frombuffer(stream.read(), np.uint8)[: height * -(-width // 8)].reshape(height, -1)
        pixels: Pixels = (1 - np.unpackbits(rows, axis=1)[:, :width, None]) * np.uint8(255)
        return pixels
    kind = np.dtype(">u2") if top > 255 else np.dtype(np.uint8)
    values = np.frombuffer(stream.read(height * width * depth * kind.itemsize), kind)
    scaled: Pixels = np.round(values.reshape(height, width, depth).astype(float) * (255 / top)).astype(np.uint8)
    return scaled


def _plain_tiff(data: bytes) -> Pixels:
    """The pixels of what tiff2rgba writes: one uncompressed strip of RGBA, alpha multiplied in."""
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack_from(order + "H", data, start)
    tags = {}
    for i in range(count):
        tag, kind, number, value = struct.unpack_from(order + "HHII", data, start + 2 + 12 * i)
        if kind == 3 and number == 1:
            (value,) = struct.unpack_from(order + "H", data, start + 10 + 12 * i)
        tags[tag] = (number, value)
    width, height = tags[256][1], tags[257][1]
    number, place = tags[273]
    places = [place] if number == 1 else list(struct.unpack_from(f"{order}{number}I", data, place))
    number, place = tags[279]
    sizes = [place] if number == 1 else list(struct.unpack_from(f"{order}{number}I", data, place))
    whole = b"".join(data[begin : begin + size] for begin, size in zip(places, sizes, strict=True))
    return np.frombuffer(whole, np.uint8).reshape(height, width, -1)
