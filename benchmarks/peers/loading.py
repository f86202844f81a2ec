"""Readers of presized photos: each writes its own format once, and then gives shuffled batches of tensors.

A row counts when its bytes are in the batch's tensor. Every reader shuffles, has batches of 64, and drops a last
short one; each is used as its own documentation says for speed.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

BATCH = 64
Epochs = Callable[[], Iterator[Any]]
"""An epoch: its batches, each a tensor or an array of 64 rows in memory."""


@dataclass(frozen=True)
class Photos:
    """The same photos for all: files as they are, and their 460 px rows."""

    files: Path
    paths: list[Path]
    labels: list[int]
    rows: NDArray[np.uint8]

    def jpegs(self) -> Iterator[bytes]:
        """The rows as JPEG of quality 95, 4:2:0."""
        import simplejpeg

        for row in self.rows:
            yield simplejpeg.encode_jpeg(np.ascontiguousarray(row), 95, colorsubsampling="420")


@dataclass(frozen=True)
class Reader:
    """How a format is written to a folder, and opened with a number of threads or processes."""

    write: Callable[[Photos, Path], None]
    open: Callable[[Photos, Path, int], Epochs]


def _shuffle(n: int, state: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = state.permutation(n)
    for start in range(0, n - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


def write_npy(photos: Photos, folder: Path) -> None:
    """All rows as one array in a file of numpy's."""
    np.save(folder / "rows.npy", photos.rows)


def open_npy(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Rows of a memory-mapped array, copied into one batch that is used again."""
    rows, state = np.load(folder / "rows.npy", mmap_mode="r"), np.random.default_rng(0)
    batch = torch.empty((BATCH, *rows.shape[1:]), dtype=torch.uint8).numpy()

    def epoch() -> Iterator[Any]:
        for some in _shuffle(len(rows), state):
            for i, row in enumerate(some):
                np.copyto(batch[i], rows[row])
            yield batch

    return epoch


def write_arrow(photos: Photos, folder: Path) -> None:
    """An Arrow IPC file of fixed-size binary values."""
    import pyarrow as pa

    flat = pa.py_buffer(photos.rows.tobytes())
    kind = pa.binary(int(photos.rows[0].nbytes))
    table = pa.table({"pixels": pa.FixedSizeBinaryArray.from_buffers(kind, len(photos.rows), [None, flat])})
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=128)


def open_arrow(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Rows of the memory-mapped file, copied into one batch that is used again."""
    import pyarrow as pa

    column = pa.ipc.open_file(pa.memory_map(str(folder / "rows.arrow"))).read_all().column("pixels")
    length, state = column.type.byte_width, np.random.default_rng(0)
    chunks = [np.frombuffer(c.buffers()[1], np.uint8).reshape(-1, length) for c in column.chunks]
    batch = torch.empty((BATCH, length), dtype=torch.uint8).numpy()

    def epoch() -> Iterator[Any]:
        for some in _shuffle(len(column), state):
            for i, row in enumerate(some.tolist()):
                np.copyto(batch[i], chunks[row // 128][row % 128])
            yield batch

    return epoch


def write_lmdb(photos: Photos, folder: Path) -> None:
    """A database with one value for each row, by its number."""
    import lmdb

    with lmdb.open(str(folder), map_size=photos.rows.nbytes * 2) as env, env.begin(write=True) as transaction:
        for i, row in enumerate(photos.rows):
            transaction.put(f"{i:08}".encode(), row.tobytes())


def open_lmdb(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Values as buffers, copied into one batch that is used again."""
    import lmdb

    env, state = lmdb.open(str(folder), readonly=True, lock=False, readahead=False), np.random.default_rng(0)
    batch = torch.empty((BATCH, photos.rows[0].size), dtype=torch.uint8).numpy()

    def epoch() -> Iterator[Any]:
        for some in _shuffle(len(photos.rows), state):
            with env.begin(buffers=True) as transaction:
                for i, row in enumerate(some.tolist()):
                    np.copyto(batch[i], np.frombuffer(transaction.get(f"{row:08}".encode()), np.uint8))
            yield batch

    return epoch


def write_huggingface(photos: Photos, folder: Path) -> None:
    """A data set with the pixels as binary values."""
    import datasets

    kinds = datasets.Features({"pixels": datasets.Value("binary"), "label": datasets.Value("int64")})
    columns = {"pixels": [row.tobytes() for row in photos.rows], "label": photos.labels}
    datasets.Dataset.from_dict(columns, features=kinds).save_to_disk(str(folder / "saved"))


def write_huggingface_jpeg(photos: Photos, folder: Path) -> None:
    """A data set with an image column."""
    import datasets

    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"image": [{"bytes": data, "path": None} for data in photos.jpegs()], "label": photos.labels}
    datasets.Dataset.from_dict(columns, features=kinds).save_to_disk(str(folder / "saved"))


def open_huggingface(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Rows by lists of numbers, copied into one batch that is used again."""
    import datasets

    rows, state = datasets.load_from_disk(str(folder / "saved")).with_format("arrow"), np.random.default_rng(0)
    batch = torch.empty((BATCH, photos.rows[0].size), dtype=torch.uint8).numpy()

    def epoch() -> Iterator[Any]:
        for some in _shuffle(len(rows), state):
            for i, value in enumerate(rows[some.tolist()]["pixels"]):
                np.copyto(batch[i], np.frombuffer(value.as_buffer(), np.uint8))
            yield batch

    return epoch


def open_huggingface_jpeg(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Rows by lists of numbers, decoded by Pillow as `datasets` does, copied into one batch that is used again.

    Its torch format in a DataLoader was half as fast.
    """
    import datasets

    rows, state = datasets.load_from_disk(str(folder / "saved")), np.random.default_rng(0)
    batch = torch.empty((BATCH, *photos.rows.shape[1:]), dtype=torch.uint8).numpy()

    def epoch() -> Iterator[Any]:
        for some in _shuffle(len(rows), state):
            for i, image in enumerate(rows[some.tolist()]["image"]):
                np.copyto(batch[i], np.asarray(image.convert("RGB")))
            yield batch

    return epoch


def torch_loader(rows: Any, workers: int, images: Callable[[Any], Any]) -> Epochs:
    """A data set of torch's kind in its DataLoader, with worker processes for more than one worker."""
    processes = workers if workers > 1 else 0
    loader = torch.utils.data.DataLoader(
        rows, BATCH, shuffle=True, drop_last=True, num_workers=processes, persistent_workers=processes > 0
    )

    def epoch() -> Iterator[Any]:
        for batch in loader:
            yield images(batch)

    return epoch


def write_webdataset(photos: Photos, folder: Path) -> None:
    """Tar files with raw pixels."""
    _write_tars(folder, ({"rows.bin": row.tobytes()} for row in photos.rows), photos.labels)


def write_webdataset_jpeg(photos: Photos, folder: Path) -> None:
    """Tar files with JPEGs."""
    _write_tars(folder, ({"rows.jpg": data} for data in photos.jpegs()), photos.labels)


def _write_tars(folder: Path, rows: Iterator[dict[str, bytes]], labels: list[int]) -> None:
    import webdataset

    with webdataset.ShardWriter(str(folder / "rows-%04d.tar"), maxcount=128, verbose=0) as sink:
        for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
            sink.write({"__key__": f"{i:08}", **row, "cls": label})


def open_webdataset(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Shards shuffled, then rows in a buffer of 128."""
    shape = photos.rows.shape[1:]
    return _open_tars(
        folder, workers, lambda data: torch.from_numpy(np.frombuffer(data, np.uint8).copy().reshape(shape)), "rows.bin"
    )


def open_webdataset_jpeg(photos: Photos, folder: Path, workers: int) -> Epochs:
    """The same with Pillow decoding, as `decode("rgb8")` does."""
    from PIL import Image

    def decode(data: bytes) -> torch.Tensor:
        return torch.from_numpy(np.array(Image.open(io.BytesIO(data)).convert("RGB")))

    return _open_tars(folder, workers, decode, "rows.jpg")


def _open_tars(folder: Path, workers: int, decode: Callable[[bytes], torch.Tensor], name: str) -> Epochs:
    import webdataset

    shards = [str(path) for path in sorted(folder.glob("*.tar"))]
    rows = webdataset.WebDataset(shards, shardshuffle=len(shards), nodesplitter=None, empty_check=False)
    rows = rows.shuffle(128).map(lambda sample: (decode(sample[name]),)).batched(BATCH, partial=False)
    processes = workers if workers > 1 else 0
    loader = webdataset.WebLoader(rows, batch_size=None, num_workers=processes, persistent_workers=processes > 0)

    def epoch() -> Iterator[Any]:
        for (batch,) in loader:
            yield batch

    return epoch


def write_ffcv(photos: Photos, folder: Path) -> None:
    """Pixels as they are, in FFCV's format."""
    _write_beton(photos, folder, write_mode="raw")


def write_ffcv_jpeg(photos: Photos, folder: Path) -> None:
    """The same format with JPEG of quality 95."""
    _write_beton(photos, folder, write_mode="jpg", jpeg_quality=95)


def _write_beton(photos: Photos, folder: Path, **settings: Any) -> None:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    class Rows:
        def __len__(self) -> int:
            return len(photos.rows)

        def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], int]:
            return photos.rows[i], photos.labels[i]

    writer = DatasetWriter(
        str(folder / "rows.beton"), {"image": RGBImageField(**settings), "label": IntField()}, num_workers=1
    )
    writer.from_indexed_dataset(Rows())


def open_ffcv(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Order RANDOM, the operating system's cache."""
    from ffcv.fields.rgb_image import SimpleRGBImageDecoder
    from ffcv.transforms import ToTensor

    return beton_loader(folder, workers, [SimpleRGBImageDecoder(), ToTensor()])


def beton_loader(folder: Path, workers: int, images: list[Any]) -> Epochs:
    """FFCV's loader over `folder`, with these operations for images."""
    from ffcv.fields.decoders import IntDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import ToTensor

    loader = Loader(
        str(folder / "rows.beton"),
        batch_size=BATCH,
        num_workers=workers,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={"image": images, "label": [IntDecoder(), ToTensor()]},
    )

    def epoch() -> Iterator[Any]:
        for batch, _ in loader:
            yield batch

    return epoch


def write_nothing(photos: Photos, folder: Path) -> None:
    """Write no format: the files themselves are read."""


def open_imagefolder(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Files decoded by Pillow, resized to 460 x 460, one tensor."""
    from torchvision import datasets
    from torchvision.transforms import v2

    to_row = v2.Compose([v2.Resize((460, 460)), v2.PILToTensor()])
    return torch_loader(datasets.ImageFolder(str(photos.files), to_row), workers, lambda batch: batch[0])


def open_fastai(photos: Photos, folder: Path, workers: int) -> Epochs:
    """Files through a DataBlock with the chapter's `Resize(460)`, no batch transforms."""
    from fastai.vision.all import Resize

    return fastai_loader(photos, workers, Resize(460), [])


def fastai_loader(photos: Photos, workers: int, item_tfms: Any, batch_tfms: Any) -> Epochs:
    """fastai's training loader over the files."""
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, get_image_files, parent_label

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=lambda items: (list(range(len(items))), [0]),
        get_y=parent_label,
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    processes = workers if workers > 1 else 0
    loaders = block.dataloaders(photos.files, bs=BATCH, num_workers=processes, device=torch.device("cpu"))

    def epoch() -> Iterator[Any]:
        for x, _ in loaders.train:
            yield x

    return epoch


READERS = {
    "npy memory-mapped": Reader(write_npy, open_npy),
    "Arrow IPC memory-mapped": Reader(write_arrow, open_arrow),
    "LMDB": Reader(write_lmdb, open_lmdb),
    "Hugging Face": Reader(write_huggingface, open_huggingface),
    "Hugging Face JPEG": Reader(write_huggingface_jpeg, open_huggingface_jpeg),
    "WebDataset": Reader(write_webdataset, open_webdataset),
    "WebDataset JPEG": Reader(write_webdataset_jpeg, open_webdataset_jpeg),
    "FFCV": Reader(write_ffcv, open_ffcv),
    "FFCV JPEG": Reader(write_ffcv_jpeg, open_ffcv),
    "ImageFolder": Reader(write_nothing, open_imagefolder),
    "fastai from files": Reader(write_nothing, open_fastai),
}
