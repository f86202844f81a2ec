"""Small whole files of every format that is accepted, drawn and written here: what mutations start from."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image


def originals() -> dict[str, tuple[str, bytes]]:
    """Of each kind of file: its format, as `references.READERS` names it, and its bytes."""
    y, x = np.mgrid[:41, :53]
    smooth = np.stack([x * 4 % 256, y * 5 % 256, (x * y) % 256], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 24, smooth.shape, np.uint8)
    photo = Image.fromarray(np.minimum(smooth, 231) + noise)
    alpha = photo.convert("RGBA")
    alpha.putalpha(Image.fromarray((x * 4 % 256).astype(np.uint8)))
    grey, palette = photo.convert("L"), photo.quantize(37)
    files = {kind: (reader, _file(reader, photo, **more)) for kind, (reader, more) in _PHOTOS.items()}
    for kind, reader, image in (
        ("JPEG CMYK", "JPEG", photo.convert("CMYK")),
        ("JPEG grey", "JPEG", grey),
        ("PNG grey 16 bit", "PNG", Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)),
        ("PNG palette", "PNG", palette),
        ("PNG one bit", "PNG", grey.convert("1")),
        ("PNG alpha", "PNG", alpha),
        ("GIF", "GIF", palette),
        ("WebP alpha", "WEBP", alpha),
        ("BMP palette", "BMP", palette),
        ("BMP one bit", "BMP", grey.convert("1")),
        ("PGM", "PPM", grey),
        ("PBM", "PPM", grey.convert("1")),
    ):
        files[kind] = (reader, _file(reader, image))
    for coding in ("group3", "group4"):
        files[f"TIFF {coding}"] = ("TIFF", _file("TIFF", grey.convert("1"), compression=coding))
    files["GIF interlaced"] = ("GIF", _file("GIF", palette, interlace=True))
    files["ICO"] = ("ICO", _file("ICO", alpha.resize((48, 48)), sizes=[(48, 48), (16, 16)]))
    files["MPO"] = ("MPO", _file("MPO", photo, save_all=True, append_images=[photo]))
    files["PNG interlaced"] = ("PNG", _adam7_png(np.asarray(photo)))
    files["BMP runs"] = ("BMP", _bmp_of_runs(files["BMP palette"][1], np.asarray(palette)))
    files["ICO bitmap"] = ("ICO", _icon(alpha))
    return files


_PHOTOS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG baseline": ("JPEG", {"quality": 90}),
    "JPEG restarts": ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    "JPEG progressive": ("JPEG", {"quality": 90, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"quality": 80}),
    "WebP lossless": ("WEBP", {"lossless": True}),
    "BMP": ("BMP", {}),
    "DIB": ("DIB", {}),
    "PPM": ("PPM", {}),
    "AVIF": ("AVIF", {"subsampling": "4:4:4", "quality": 80}),
    "JPEG 2000": ("JPEG2000", {}),
    "JPEG 2000 lossy": ("JPEG2000", {"irreversible": True, "quality_layers": [20, 5]}),
    "JPEG 2000 codestream": ("JPEG2000", {"no_jp2": True}),
    "TIFF": ("TIFF", {}),
    **{
        f"TIFF {coding.removeprefix('tiff_')}": ("TIFF", {"compression": coding})
        for coding in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
    },
}


def _file(kind: str, image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _adam7_png(pixels: Any) -> bytes:
    """Which Pillow cannot write: seven passes over `uint8[h, w, 3]`."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [row for top, left, down, right in passes for row in pixels[top::down, left::right]]
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png_of([(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")])


def png_of(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of chunks, each a name and what is in it, with their lengths and checksums."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _bmp_of_runs(bmp: bytes, colours: Any) -> bytes:
    """A BMP file with a palette, its rows as runs of one colour (RLE8), which Pillow cannot write."""
    (start,) = struct.unpack_from("<I", bmp, 10)
    packed = b""
    for row in colours[::-1]:
        edges = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        packed += b"".join(bytes((end - begin, row[begin])) for begin, end in itertools.pairwise(edges)) + b"\0\0"
    header = bytearray(bmp[:start])
    struct.pack_into("<II", header, 30, 1, len(packed) + 2)
    return bytes(header) + packed + b"\0\1"


def _icon(image: Image.Image) -> bytes:
    """An icon that holds a BMP file without its first header, and a mask."""
    dib = bytearray(_file("DIB", image))
    struct.pack_into("<i", dib, 8, 2 * image.height)
    dib += bytes(-(-image.width // 32) * 4 * image.height)
    entry = struct.pack("<BBBBHHII", image.width, image.height, 0, 0, 1, 32, len(dib), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + bytes(dib)
