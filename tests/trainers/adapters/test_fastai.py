import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

pytest.importorskip("fastai", reason="fastai comes with the group adapters")

from onewarp.errors import UsageError
from onewarp.pipeline import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    RandomSplitter,
    RegexLabeller,
    get_image_files,
    using_attr,
)
from onewarp.trainers.adapters import FastaiTransform, as_fastai, count_epochs, shared
from onewarp.transforms import Flip, Normalize, Resize, Rotate, fuse

pytestmark = pytest.mark.filterwarnings("default")  # fastai's own


def test_a_fastai_learner_trains_on_our_batches(dls, linear):
    import fastai.callback.progress
    import fastai.callback.schedule  # noqa: F401 - they add to the Learner
    from fastai.basics import Callback, Learner, accuracy

    seen = []

    class Keep(Callback):
        def before_batch(self):
            if self.training:
                seen.append(self.x.clone())

    learn = Learner(as_fastai(dls, "cpu"), linear, metrics=accuracy, cbs=[Keep()])
    before = linear[1].weight.detach().clone()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 1e-2)
    dls.train.set_epoch(0)
    expected = [x for _ in range(2) for x, _ in dls.train]
    assert all(torch.equal(a.as_subclass(torch.Tensor), b) for a, b in zip(seen, expected, strict=True))
    assert not torch.equal(linear[1].weight, before)
    predictions, targets = learn.get_preds()
    assert predictions.shape == (6, 3)
    assert torch.equal(targets.as_subclass(torch.Tensor), torch.cat([y for _, y in dls.valid]))


def test_a_fastai_transform_in_our_pipeline():
    from fastai.vision.augment import Flip

    fused = fuse([Resize(8), FastaiTransform(Flip(p=1.0))])
    x = torch.randint(0, 255, (2, 8, 8, 3), dtype=torch.uint8)
    torch.testing.assert_close(fused(x, split="train"), x.permute(0, 3, 1, 2).flip(3) / 255, atol=1e-5, rtol=0)
    assert type(fused(x, split="train")) is torch.Tensor


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / f"{'ab'[i % 2]}_{i:02d}.png")
    return tmp_path


@pytest.fixture(params=["files", "cache"])
def learner(request, photos, tmp_path_factory):
    """A fastai Learner on our loaders, which read files or a cache; and our loaders."""
    import fastai.callback.progress
    import fastai.callback.schedule
    import fastai.interpret
    import fastai.vision.learner  # noqa: F401 - they add to the Learner, and draw images
    from fastai.basics import Learner, accuracy

    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=using_attr(RegexLabeller(r"(.)_"), "name"),
        splitter=RandomSplitter(seed=1),
        item_tfms=Resize(8),
        batch_tfms=[Flip(), Rotate(90, p=1.0), Normalize((0.5,) * 3, (0.25,) * 3)],
    )
    cache = {"cache": tmp_path_factory.mktemp("cache") / "c"} if request.param == "cache" else {}
    dls = block.dataloaders(photos, bs=3, **cache)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    learn = Learner(
        as_fastai(dls, "cpu"), model, metrics=accuracy, cbs=count_epochs(), path=tmp_path_factory.mktemp("run")
    )
    with learn.no_bar(), learn.no_logging():
        yield learn, dls


def picture(path):
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255
    return (pixels - 0.5) / 0.25


def test_after_the_rate_finder_or_epochs_cut_short_training_goes_on_epoch_by_epoch(learner):
    from fastai.basics import Callback
    from fastai.callback.training import ShortEpochCallback

    learn, dls = learner
    seen = []

    class Keep(Callback):
        def before_batch(self):
            if self.training:
                seen.append(self.x.as_subclass(torch.Tensor).clone())

    learn.lr_find(num_it=9, show_plot=False, suggest_funcs=())
    learn.fit(3, cbs=[Keep(), ShortEpochCallback(0.3)])
    expected = []
    for epoch in range(3):
        dls.train.set_epoch(epoch)
        expected += [x for x, _ in dls.train][: len(seen) // 3]
    assert len(seen) >= 6
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_the_rate_finder_is_refused_among_several_processes(dls, linear, tmp_path):
    """fastai's first process would put the weights back and wait for the others, which go on with other weights."""
    import fastai.callback.schedule  # noqa: F401 - it adds to the Learner
    from fastai.basics import Learner

    learn = Learner(as_fastai(shared(dls, 0, 2), "cpu"), linear, cbs=count_epochs(), path=tmp_path)
    with learn.no_bar(), pytest.raises(UsageError, match="lr_find must run in one process, but there are 2"):
        learn.lr_find(num_it=2, show_plot=False)


def test_what_fastai_predicts_shows_and_interprets_is_of_our_photos(learner, photos):
    from fastai.interpret import ClassificationInterpretation
    from matplotlib import pyplot

    learn, dls = learner
    for loader in (learn.dls.valid, learn.dls.train):
        found = ClassificationInterpretation.from_learner(learn, dl=loader.new(shuffle=False))
        assert found.confusion_matrix().sum() == len(loader.dataset)
        losses, where = found.top_losses(3)
        inputs, predictions, targets, *_ = found[where]
        for x, p, y, loss, place in zip(inputs, predictions, targets, losses, where, strict=True):
            path = photos / found.dl.items[int(place)]
            torch.testing.assert_close(x.as_subclass(torch.Tensor), picture(path), atol=0.02, rtol=0)
            assert found.vocab[int(y)] == path.name[0]
            assert float(-p[int(y)].log()) == pytest.approx(float(loss), rel=1e-3)
        found.plot_top_losses(3)
        assert len([a for a in pyplot.gcf().axes if a.images]) == 3
        pyplot.close("all")
    assert "precision" in capture(found.print_classification_report)
    learn.dls.show_batch(max_n=2)
    shown = [a for a in pyplot.gcf().axes if a.images]
    assert [a.get_title() for a in shown] == ["ab"[int(y)] for y in dls.train.peek()[1][:2]]
    learn.show_results(max_n=2)
    pyplot.close("all")
    some = photos / "a_00.png"
    name, number, chances = learn.predict(some)
    assert torch.allclose(chances, learn.model(picture(some)[None]).softmax(1)[0], atol=5e-3)
    assert (name, int(number)) == ("ab"[int(chances.argmax())], int(chances.argmax()))
    tested = learn.get_preds(dl=learn.dls.test_dl([some, photos / "b_01.png"]))[0]
    assert torch.allclose(tested[0], chances, atol=1e-5)


def test_augmented_predictions_differ_from_pass_to_pass_and_are_of_the_same_samples(learner):
    learn, _ = learner
    plain, targets = learn.get_preds()
    augmented, again = learn.tta(n=2, beta=None)[0]
    assert torch.equal(again, plain)
    assert not torch.allclose(augmented, plain, atol=1e-4)
    one, _ = learn.tta(n=1, beta=None)[0]
    assert not torch.allclose(one, augmented, atol=1e-4)
    assert torch.equal(learn.tta(n=1)[1], targets)


def test_an_exported_learner_predicts_without_the_data(learner, photos):
    from fastai.learner import load_learner

    learn, _ = learner
    learn.export("model.pkl")
    served = load_learner(learn.path / "model.pkl")
    with served.no_bar(), served.no_logging():
        assert served.predict(photos / "a_00.png")[0] == learn.predict(photos / "a_00.png")[0]
    assert (learn.path / "model.pkl").stat().st_size < 100_000
    learn.fit(1)  # the learner itself still has its data


def capture(function):
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()) as text:
        function()
    return text.getvalue()
