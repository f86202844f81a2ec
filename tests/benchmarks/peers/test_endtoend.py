"""From files to augmented and normalised batches, as peers' own documentation shows."""

import pytest
import torch

from onewarp.benchmarks.peers import endtoend

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own

NAMELESS = pytest.mark.xfail(raises=RecursionError, reason="fastai's Resize cannot say its name in fasttransform 0.0.3")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        pytest.param("fastai, end to end", "fastai", marks=NAMELESS),
        ("ImageFolder + torchvision v2, end to end", "torchvision"),
        ("FFCV (crop and flip only), end to end", "ffcv"),
    ],
)
def test_a_batch_is_normalised_floats_of_the_size(photos, tmp_path, name, package):
    pytest.importorskip(package)
    reader = endtoend.READERS[name]
    reader.write(photos, tmp_path)
    batch = torch.as_tensor(next(iter(reader.open(photos, tmp_path, 1)()))).as_subclass(torch.Tensor)
    assert (tuple(batch.shape), batch.dtype) == ((64, 3, endtoend.SIZE, endtoend.SIZE), torch.float32)
    blue = batch[:, 2] * endtoend.STD[2] + endtoend.MEAN[2]  # 7 of 255 in every photo, but for the light
    assert blue.min() > -1e-3
    assert blue.max() < 0.1
    red = batch[:, 0] * endtoend.STD[0] + endtoend.MEAN[0]
    assert red.amax((1, 2)).unique().numel() > 32  # each photo has a number of its own
