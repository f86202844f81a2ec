import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onewarp.benchmarks import learners
from onewarp.benchmarks.measuring import results
from onewarp.benchmarks.pets import Recipe
from onewarp.pipeline import CategoryBlock, DataBlock, FuncSplitter, ImageBlock
from onewarp.trainers import Learner, error_rate
from onewarp.transforms import Flip, Resize, Rotate


def brightness(picture):
    return int(np.asarray(picture)[0, 0, 0])


@pytest.fixture
def learn():
    pictures = [Image.fromarray(np.full((8, 8, 3), 8 * i, np.uint8)) for i in range(30)]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        splitter=FuncSplitter(lambda picture: brightness(picture) % 32 == 0),
        get_y=lambda picture: "dark" if brightness(picture) < 120 else "light",
        batch_tfms=[Resize(8), Flip(), Rotate(p=1.0)],
    )
    dls = block.dataloaders(pictures, bs=4, threads=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, dls.c))
    return Learner(dls, model, metrics=error_rate, train_bn=False, table=False)


@pytest.mark.filterwarnings("default")  # fastai's own
def test_both_learners_tables_agree(learn):
    pytest.importorskip("fastai", reason="fastai comes with the group adapters")
    tables = learners.both(learn, Recipe(freeze_epochs=1, epochs=2, base_lr=1e-2), seed=1)
    for theirs, ours in zip(tables["fastai"], tables["onewarp"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    losses = [row["train_loss"] for row in tables["onewarp"]]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_the_table_tells_each_seed_the_spread_and_the_gap(tmp_path):
    def row(rate):
        return [{"train_loss": 1.0, "valid_loss": 1.0, "error_rate": rate}]

    rows = learners.rows_of({"fastai": row(0.1), "onewarp": row(0.15)}, 0)
    rows += learners.rows_of({"fastai": row(0.3), "onewarp": row(0.25)}, 1)
    found = {**results.about("learners", "cpu", {"size": 128}), "rows": rows, "asked": []}
    assert results.write(found, tmp_path).exists()
    assert learners.table(found).splitlines()[2:] == [
        "| fastai | 10.0% | 30.0% | 20.0% | 14.1% |",
        "| onewarp | 15.0% | 25.0% | 20.0% | 7.1% |",
        "| onewarp less fastai | +5.0% | -5.0% | +0.0% | 7.1% |",
    ]
