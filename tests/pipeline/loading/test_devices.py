import numpy as np
import pytest
import torch

from onewarp.pipeline.loading.devices import CudaDevice, HostDevice, device_for
from onewarp.pipeline.loading.loader import Loader
from onewarp.pipeline.loading.rows import MemoryRows
from onewarp.transforms.warp.packed import Packed

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def test_the_host_makes_batches_where_they_are_used():
    device = device_for(torch.device("cpu"))
    assert isinstance(device, HostDevice)
    x = torch.ones(3)
    assert device.upload(x) is x
    assert device.warp(lambda: x) is x


def test_another_device_gets_the_batch_when_it_is_consumed():
    rows = MemoryRows([np.zeros((2, 3, 3), np.uint8)] * 4, labels=[0, 1, 2, 3])
    x, y = next(iter(Loader(rows, device="meta")))
    assert (x.device.type, y.device.type, tuple(x.shape)) == ("meta", "meta", (4, 2, 3, 3))


class Negative:
    """An augmentation that takes a while on the device."""

    mixes = ()

    class Plan:
        matrix = np.eye(3)[None]

    def plan(self, sizes, keys, seed, epoch, split):
        return self.Plan()

    def images(self, images, plan, out=None):
        if isinstance(images, Packed):
            images = torch.stack([images.data[o : o + 12].view(2, 2, 3) for o in images.offsets.tolist()])
        for _ in range(50):
            noise = torch.randn(400, 400, device=images.device)
            noise = noise @ noise
        return 255 - images.permute(0, 3, 1, 2).float() + 0 * noise.sum().nan_to_num(0, 0, 0)

    def masks(self, masks, plan):
        return masks

    points = boxes = masks

    def mix(self, x, y, keys, seed, epoch):
        return x, y


@needs_gpu
@pytest.mark.parametrize("augmented", [False, True])
def test_batches_arrive_whole_on_the_gpu(augmented):
    rows = MemoryRows([np.full((64, 64, 3), i, np.uint8) for i in range(200)], labels=range(200))
    loader = Loader(rows, batch_size=16, device="cuda", batch_tfms=Negative() if augmented else None, prefetch=6)
    assert isinstance(loader._device, CudaDevice)
    for _ in range(5):
        kept = []
        for x, y in loader:
            assert x.is_cuda
            assert y.is_cuda
            kept.append((x, y, x.float().mean((1, 2, 3))))
        for x, y, mean in kept:
            expected = 255 - y.float() if augmented else y.float()
            assert torch.equal(mean, expected)
            assert torch.equal(x.float().mean((1, 2, 3)), expected)


@needs_gpu
def test_rows_are_read_into_pinned_memory_that_comes_back():
    device = CudaDevice(torch.device("cuda"))
    for _ in range(20):
        source = device.buffers.empty((1 << 20,))
        assert source.is_pinned()
        source.fill_(7)
        sent = device.upload(source)
        device.event().synchronize()
        assert int(sent.sum()) == 7 << 20
    assert device.buffers.free <= 2
