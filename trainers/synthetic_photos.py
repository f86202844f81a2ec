"""A small labelled set of photo-like pictures, drawn: what the demo learns from when there are no photos at hand.

Six classes, each a shape (leaf, pebble, starfish) with a texture (spotted, striped). Colours, ground, light, size,
place, blur and noise are drawn from the same distributions for all classes, so that only shape and texture together
tell them apart. Every picture follows from (seed, class, number) alone.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Field = NDArray[np.float32]
Shape = Callable[[Field, Field, Generator], Field]

ORIENTATION = 0x0112  # the EXIF tag
TURNED_BACK = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def draw_photos(folder: str | Path, per_class: int = 70, seed: int = 0) -> Path:
    """Write `per_class` JPEGs for each class into `folder/<class>/<number>.jpg`; returns the folder.

    Files that are there already are kept. One in ten is stored turned, with the EXIF orientation that turns it back.
    """
    folder = Path(folder)

    def draw(which: tuple[int, str, int]) -> None:
        number, name, index = which
        path = folder / name / f"{index:03}.jpg"
        if not path.exists():
            _write(photo(name, np.random.default_rng([seed, number, index])), path, index)

    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        wanted = ((number, name, index) for number, name in enumerate(CLASSES) for index in range(per_class))
        for _ in pool.map(draw, wanted):
            pass
    return folder


def photo(name: str, rng: Generator) -> NDArray[np.uint8]:
    """One picture `uint8[h, w, 3]` of a class, 200 to 480 px a side."""
    shape, texture = CLASSES[name]
    short = int(rng.integers(200, 320))
    long = int(min(short * rng.uniform(1.0, 1.6), 480))
    height, width = (short, long) if rng.random() < 0.4 else (long, short) if rng.random() < 0.5 else (short, short)
    x, y, scale = _place(height, width, rng)
    bend = 0.05 * _noise(height, width, 5, rng)
    depth = shape(x + bend, y + bend[::-1, ::-1], rng)  # > 0 inside, about 1 in the middle
    cover = np.clip(depth * scale * 0.5 + 0.5, 0, 1)
    light = rng.uniform(0, 2 * np.pi)
    skin = _skin(texture(x, y, rng), height, width, rng) * _relief(depth, scale, light)[..., None]
    ground = _ground(height, width, rng) * (1 - 0.55 * _shadow(cover, light, scale))[..., None]
    image = ground + cover[..., None] * (skin - ground)
    return _develop(image, rng)


# Shapes: depth below the surface in units of the object's radius ------------------------------------------------


def leaf(x: Field, y: Field, rng: Generator) -> Field:
    """Where two circles overlap: pointed at both ends."""
    offset = rng.uniform(0.75, 1.0)
    radius = np.sqrt(1 + offset**2)
    depth = radius - np.sqrt(x**2 + (np.abs(y) + offset) ** 2)
    return _field(depth / (radius - offset))


def pebble(x: Field, y: Field, rng: Generator) -> Field:
    """An ellipse with a few bumps."""
    angle = np.arctan2(y, x)
    bumps = sum(rng.uniform(-0.05, 0.05) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    return _field(1 + bumps - np.hypot(x, y * rng.uniform(1.05, 1.35)))


def starfish(x: Field, y: Field, rng: Generator) -> Field:
    """A star of five rounded arms."""
    angle = np.arctan2(y, x)
    arms = 0.68 + rng.uniform(0.26, 0.34) * np.cos(5 * angle + rng.uniform(0, 6.3))
    return _field((arms - np.hypot(x, y)) * 1.3)


# Textures: 0 to 1 over the object's own coordinates ---------------------------------------------------------------


def spots(x: Field, y: Field, rng: Generator) -> Field:
    """Round spots, one in each cell of a grid, out of its middle."""
    cells = rng.uniform(3.2, 5.0)
    u, v = (x + 4) * cells, (y + 4) * cells
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    where = rng.uniform(0.3, 0.7, (2, 64, 64))
    radius = rng.uniform(0.24, 0.36, (64, 64))
    at = (row % 64, column % 64)
    distance = np.hypot(u - column - where[0][at], v - row - where[1][at])
    return _field(np.clip((radius[at] - distance) * 8 + 0.5, 0, 1))


def stripes(x: Field, y: Field, rng: Generator) -> Field:
    """Wavy bands across the object."""
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    wave = along + 0.06 * np.sin(across * rng.uniform(3, 6) + rng.uniform(0, 6.3))
    return _field(np.clip(np.sin(wave * rng.uniform(11, 17)) * 2.5 + 0.5, 0, 1))


CLASSES: dict[str, tuple[Shape, Shape]] = {
    f"{adjective}_{shape.__name__}": (shape, texture)
    for shape in (leaf, pebble, starfish)
    for adjective, texture in (("spotted", spots), ("striped", stripes))
}


# Light, ground and camera ----------------------------------------------------------------------------------------


def _field(value: object) -> Field:
    return np.asarray(value, np.float32)


def _place(height: int, width: int, rng: Generator) -> tuple[Field, Field, float]:
    """The object's own coordinates at each pixel, turned, and pixels per unit."""
    scale = min(height, width) * rng.uniform(0.33, 0.45)
    centre = np.array([height, width]) * rng.uniform(0.43, 0.57, 2)
    turn = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) + 0.5
    v, u = (rows - centre[0]) / scale, (columns - centre[1]) / scale
    x, y = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    return _field(x), _field(y), float(scale)


def _noise(height: int, width: int, cells: float, rng: Generator, octaves: int = 4, stretch: float = 1.0) -> Field:
    """Smooth noise of about unit deviation: octaves of random grids, enlarged, each half as strong."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(2, int(cells * 2**octave * stretch))
        columns = max(2, int(cells * 2**octave * width / height / stretch))
        grid = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return _field(total / (total.std() + 1e-6))


def _colour(rng: Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Field:
    """A colour `[3]` in 0..1 of any hue."""
    hue, s, v = rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return _field(v * (1 - s + s * wheel))


def _skin(pattern: Field, height: int, width: int, rng: Generator) -> Field:
    """Two colours by the pattern, the one light and the other dark, with fine grain."""
    dark, light = _colour(rng, (0.35, 0.8), (0.2, 0.45)), _colour(rng, (0.15, 0.6), (0.7, 0.95))
    if rng.random() < 0.5:
        dark, light = light, dark
    grain = 1 + 0.07 * _noise(height, width, 14, rng)
    return _field((light + pattern[..., None] * (dark - light)) * grain[..., None])


def _relief(depth: Field, scale: float, light: float) -> Field:
    """Brightness of a domed surface under a light from the side."""
    inside = np.clip(depth, 0.02, 1)
    dome = np.sqrt(1 - (1 - inside) ** 2) * 0.8
    slope_y, slope_x = np.gradient(dome * scale)
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    facing = (0.75 - 0.66 * (slope_x * np.cos(light) + slope_y * np.sin(light))) / length
    shine = np.clip(facing, 0, 1) ** 24
    return _field(0.42 + 0.72 * np.clip(facing, 0, 1.1) + 0.35 * shine)


def _shadow(cover: Field, light: float, scale: float) -> Field:
    """The object's shadow on the ground, away from the light, soft."""
    away = np.array([np.sin(light), np.cos(light)]) * scale * 0.16
    moved = np.roll(cover, tuple(np.round(away).astype(int)), (0, 1))
    blurred = Image.fromarray((moved * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(scale * 0.07))
    return _field(np.asarray(blurred) / 255)


def _ground(height: int, width: int, rng: Generator) -> Field:
    """Sand, wood or cloth in two near colours, lit unevenly."""
    first = _colour(rng, (0.05, 0.5), (0.3, 0.8))
    second = np.clip(first * rng.uniform(0.6, 0.85) + _colour(rng, (0, 0.5), (0, 0.15)), 0, 1)
    kind = rng.integers(3)
    if kind == 0:  # sand
        pattern = 0.5 + 0.22 * _noise(height, width, 5, rng) + 0.16 * _noise(height, width, 60, rng, octaves=2)
    elif kind == 1:  # wood
        rings = _noise(height, width, 3, rng, stretch=3.0)
        pattern = 0.5 + 0.3 * np.sin(rings * 5) + 0.1 * _noise(height, width, 20, rng, stretch=5.0)
    else:  # cloth
        rows, columns = np.mgrid[0:height, 0:width]
        pitch = rng.uniform(1.6, 2.6)
        weave = np.sin(rows / pitch) * np.sin(columns / pitch)
        pattern = 0.5 + 0.12 * weave + 0.25 * _noise(height, width, 2, rng)
    ground = first + np.clip(pattern, 0, 1)[..., None] * (second - first)
    return _field(ground * (1 + 0.16 * _noise(height, width, 1, rng, octaves=1))[..., None])


def _develop(image: Field, rng: Generator) -> NDArray[np.uint8]:
    """Exposure, vignette, a little blur and noise, to bytes."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - rng.uniform(0.05, 0.2) * (rows**2 + columns**2)
    tint = rng.uniform(0.94, 1.06, 3)
    lit = np.clip(image * vignette[..., None] * tint * rng.uniform(0.9, 1.35), 0, 1) ** rng.uniform(0.85, 1.1)
    seen = Image.fromarray((lit * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    noisy = np.asarray(seen, np.float32) + rng.normal(0, rng.uniform(1, 5), (height, width, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _write(pixels: NDArray[np.uint8], path: Path, index: int) -> None:
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    if index % 10 == 3:
        orientation = (3, 6, 8)[index // 10 % 3]
        picture = picture.transpose(TURNED_BACK[orientation])
        exif[ORIENTATION] = orientation
    aside = path.with_name(f".{path.name}.part")
    picture.save(aside, "JPEG", quality=90, exif=exif)
    aside.replace(path)
