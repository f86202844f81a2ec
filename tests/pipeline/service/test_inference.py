"""Encoded images as the validation pipeline makes them, and as a model sees them, whoever sends them."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from onewarp.errors import DamagedRowError, UsageError
from onewarp.pipeline import get_image_files
from onewarp.pipeline.datablock.sample_rows import sample_rows
from onewarp.pipeline.dataset.blocks import ImageBlock
from onewarp.pipeline.dataset.keys import keys_of
from onewarp.pipeline.dataset.samples import Samples
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.service.inference import Answers, Batcher, Inference, Preparation, reason_for_client
from onewarp.pipeline.service.limits import Limits
from onewarp.transforms import Normalize, Resize, aug_transforms, fuse
from onewarp.transforms.decoding.resizing import Sizing

NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
USUAL = fuse([Resize(256), *aug_transforms(size=224, min_scale=0.75), NORMALIZE])
RECIPES = {
    "usual": (USUAL, Sizing(460)),
    "whole": (fuse([Resize((64, 96), method="pad")]), None),
    "square": (fuse([]), Sizing(100, "pad")),
    "bytes": (fuse([Resize(80, method="squish")], dtype=torch.uint8), Sizing(120, enlarge=True)),
    "bfloat16": (fuse([Resize(48), NORMALIZE], dtype=torch.bfloat16), Sizing(64, "crop")),
}


@pytest.fixture
def start():
    """`start(**settings)`: an `Inference`, which the test's end closes."""
    running = []

    def make(**settings):
        running.append(Inference(**settings))
        return running[-1]

    yield make
    for inference in running:
        inference.close()


def validation_batches(items, recipe, sizing):
    """What `test_dl` is made of: the reader of `Learner.predict`."""
    samples = Samples(items, (ImageBlock(),), (None,))
    rows = sample_rows(samples, keys_of(items), ["valid"] * len(items), sizing)
    return Loader(rows, "valid", 64, recipe, shuffle=False)


@pytest.mark.parametrize("name", RECIPES)
def test_tensors_and_matrices_are_those_of_the_validation_loader_to_the_bit(start, pets, name):
    recipe, sizing = RECIPES[name]
    files = get_image_files(pets)[::41]
    (batch,) = validation_batches(files, recipe, sizing)
    answers = start().submit([f.read_bytes() for f in files], Preparation.of(recipe, sizing, Limits())).wait()
    assert answers.errors == [None] * len(files)
    assert torch.equal(answers.x, batch[0].to(answers.x.dtype))
    assert np.array_equal(answers.matrix, batch.matrix.numpy())


def test_odd_files_come_out_alike_or_are_refused_for_the_same_reason(start, shared):
    folders = ("odd/exif_orientation", "odd/mixed", "odd/broken")
    files = [file for folder in folders for file in sorted((shared / folder).rglob("*")) if file.is_file()]
    assert len(files) > 50
    recipe, sizing = fuse([Resize(32), NORMALIZE]), Sizing(64)
    answers = start().submit([file.read_bytes() for file in files], Preparation.of(recipe, sizing, Limits())).wait()
    good = 0
    for i, file in enumerate(files):
        if (error := answers.errors[i]) is not None:
            with pytest.raises(DamagedRowError) as refused:
                next(iter(validation_batches([file], recipe, sizing)))
            assert error == str(refused.value.__cause__) or "max_pixels" in error, file  # another one for a server
            assert not answers.x[i].any()
            continue
        good += 1
        (batch,) = validation_batches([file], recipe, sizing)
        assert torch.equal(answers.x[i], batch[0][0]), file
        assert np.array_equal(answers.matrix[i], batch.matrix[0].numpy()), file
    assert 0 < good < len(files)


def test_an_image_beyond_a_limit_is_refused_alone(start, encoded):
    limits = Limits(image_bytes=20_000, image_pixels=10_000, output_pixels=5_000)
    preparation = Preparation.of(fuse([Resize(8)]), Sizing(50, enlarge=True), limits)
    images = [encoded(0, 40, 60), b"x" * 20_001, encoded(1, 101, 100), encoded(2, 10, 40), None, b"", encoded(3, 9, 9)]
    answers = start(limits=limits).submit(images, preparation).wait()
    for error, reason in zip(
        answers.errors,
        [None, "max_bytes is 20,000", "max_pixels is 10,000", "presizing makes 50 x 200", "no image", "is empty", None],
        strict=True,
    ):
        assert (error is None) == (reason is None)
        assert reason is None or reason in error
    assert answers.x[0].any()
    assert answers.x[6].any()


def test_what_nobody_asked_for_is_refused(start):
    with pytest.raises(UsageError, match="must have a recipe"):
        start().submit([b""])
    with pytest.raises(UsageError, match="delay"):
        Inference(delay=-1)
    for recipe in ([], [Resize(5000)], [*aug_transforms()]):
        with pytest.raises(UsageError, match=r"at most 16,777,216 pixels|one size"):
            Preparation.of(fuse(recipe), Sizing(460), Limits())


def test_memory_that_others_have_used_is_not_seen_where_there_is_no_answer():
    answers = Answers([b"", b""], torch.ones(2, 3, 4, 4))
    answers.matrix[:] = 1
    answers.refuse(0, "is empty")
    answers.finish(1)
    assert (answers.wait().errors, answers.x[0].any().item(), answers.matrix[0].any()) == (
        ["is empty", None],
        False,
        False,
    )
    assert answers.x[1].all()


class Gate:
    """A model that waits to be let go, and records what it is given at once."""

    recipe, sizing, kind, vocab, batch_size = fuse([Resize(4)]), None, "category", None, 8

    def __init__(self):
        self.batches, self.begun, self.go = [], threading.Event(), threading.Event()

    def predict(self, x):
        self.batches.append(len(x))
        self.begun.set()
        assert self.go.wait(60)
        return x.mean((2, 3)), x.mean((1, 2, 3))


def one_image():
    return Answers([b""], torch.rand(1, 3, 4, 4))


def test_images_of_several_callers_go_in_one_batch():
    model, callers = Gate(), [one_image() for _ in range(6)]
    batcher = Batcher(model, 60)
    batcher.expect(1)
    batcher.put(callers[0], 0)
    assert model.begun.wait(60)  # and while the model is busy, others come
    for caller in callers[1:]:
        batcher.expect(1)
        batcher.put(caller, 0)
    model.go.set()
    for caller in callers:
        assert torch.equal(caller.wait().outputs[0][0], caller.x.mean((2, 3))[0])
    assert model.batches == [1, 5]
    batcher.close()


def test_a_full_batch_goes_though_more_are_on_their_way():
    model, callers = Gate(), [one_image() for _ in range(8)]
    model.go.set()
    batcher = Batcher(model, 1e6)
    batcher.expect(100)
    for caller in callers:
        batcher.put(caller, 0)
    for caller in callers:
        caller.wait()
    assert model.batches == [8]
    batcher.expect(-92)
    batcher.close()


def test_a_lone_image_does_not_wait_for_others(start, encoded):
    model = Gate()
    model.go.set()
    answers = start(model=model, delay=1e6).submit([encoded(seed) for seed in range(11)]).wait()
    assert answers.errors == [None] * 11
    assert sum(model.batches) == 1 + 11  # one was for the server itself


def test_no_image_waits_longer_than_the_delay_for_one_that_is_on_its_way():
    model = Gate()
    model.go.set()
    batcher = Batcher(model, 0.01)
    answers = one_image()
    batcher.expect(2)  # of which one never comes
    batcher.put(answers, 0)
    answers.wait()
    assert model.batches == [1]
    batcher.close()


def test_a_model_that_fails_fails_its_batch_and_not_the_next_one(start, encoded):
    class Moody(Gate):
        def predict(self, x):
            if len(x) == 3:
                raise RuntimeError("at /home/someone/model.py")
            return x.mean((2, 3)), x.mean((1, 2, 3))

    inference = start(model=Moody(), delay=60)
    failed = inference.submit([encoded(seed) for seed in range(3)]).wait()
    assert failed.errors == ["cannot be answered: the server failed (RuntimeError)"] * 3
    assert inference.submit([encoded(0)]).wait().errors == [None]


def test_no_path_of_the_server_is_in_a_reason():
    lost = FileNotFoundError(2, "No such file", "/var/secret")
    wrong = UsageError("cannot be decoded: /var/secret")
    wrong.__cause__ = lost
    for error in (lost, wrong, RuntimeError("/var/secret")):
        assert "secret" not in reason_for_client(error)
    assert reason_for_client(UsageError("is empty")) == "is empty"


def test_damaged_files_are_refused_and_none_hangs(start, encoded):
    """Bytes cut off and changed at random: each is an answer or a refusal, and the rest is as it was."""
    random = np.random.default_rng(0)
    preparation = Preparation.of(fuse([Resize(16)]), Sizing(32), Limits())
    images = []
    for seed in range(120):
        data = bytearray(encoded(seed, 30, 30, ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")[seed % 6]))
        data = data[: random.integers(1, len(data))] if seed % 2 else data
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(256)
        images += [bytes(data), encoded(0)]
    answers = start().submit(images, preparation).wait()
    assert answers.errors[1::2] == [None] * 120
    assert all(torch.equal(x, answers.x[1]) for x in answers.x[1::2])
    assert any(answers.errors[::2])


def test_an_image_turned_by_exif_comes_upright(start, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    preparation = Preparation.of(fuse([]), Sizing(10, "crop"), Limits())
    answers = start().submit([(tmp_path / "a.jpg").read_bytes()], preparation).wait()
    corner = answers.matrix[0] @ [0, 0, 1]
    assert corner.tolist() == [5, 10, 1]
