import gc
import threading

import numpy as np
import pytest
import torch

from onewarp.transforms.warp.buffers import Buffers, copy_all


def test_memory_comes_back_when_the_last_view_is_gone():
    buffers = Buffers()
    tensor = buffers.empty((64, 100, 100, 3))
    address = tensor.data_ptr()
    row, array = tensor[5], tensor.numpy()[1:]
    del tensor
    assert buffers.empty((64, 100, 100, 3)).data_ptr() != address
    del row
    gc.collect()
    assert buffers.empty((64, 100, 100, 3)).data_ptr() != address
    del array
    assert address in {buffers.empty((64, 100, 100, 3)).data_ptr() for _ in range(2)}


def test_whatever_shares_the_memory_keeps_it():
    buffers = Buffers()
    keepers = [
        lambda t: t[1:].transpose(0, 1),
        lambda t: t.numpy(),
        lambda t: t.detach(),
        lambda t: t.untyped_storage(),
        lambda t: (t * torch.ones((), requires_grad=True)).grad_fn,  # saved for the backward pass
    ]
    for keep in keepers:
        batch = buffers.empty((2, 8), torch.float32).fill_(1)
        place, kept = batch.data_ptr(), keep(batch)
        del batch
        others = [buffers.empty((2, 8), torch.float32) for _ in range(8)]
        assert place not in {other.data_ptr() for other in others}
        del kept, others
        gc.collect()


def test_a_kept_tensor_is_never_overwritten():
    buffers = Buffers()
    kept = [buffers.empty((1000,), torch.float32).fill_(i) for i in range(40)]
    for i in range(200):
        buffers.empty((1000,), torch.float32).fill_(-i - 1.0)
    assert all((tensor == i).all() for i, tensor in enumerate(kept))


def test_unused_blocks_are_bounded():
    buffers = Buffers(keep=3)
    several = [buffers.empty((5000,)) for _ in range(10)]
    del several
    assert buffers.free == 3


def test_much_smaller_tensors_do_not_take_large_blocks():
    buffers = Buffers()
    buffers.empty((10_000_000,))
    small = buffers.empty((10,))
    assert buffers.free == 1
    assert small.untyped_storage().nbytes() < 10_000


def test_blocks_are_aligned_and_typed():
    tensor = Buffers().empty((3, 5), torch.float32)
    assert tensor.data_ptr() % 64 == 0
    assert (tensor.dtype, tuple(tensor.shape), tensor.is_contiguous()) == (torch.float32, (3, 5), True)
    assert Buffers().empty((0, 4)).numel() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8], ids=str)
def test_channels_may_come_last(dtype):
    batch = Buffers().empty((2, 3, 5, 7), dtype, torch.channels_last)
    assert (batch.dtype, tuple(batch.shape)) == (dtype, (2, 3, 5, 7))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert Buffers().empty((0, 3, 5, 7), dtype, torch.channels_last).shape == (0, 3, 5, 7)


def test_threads_never_share_a_block():
    buffers, wrong = Buffers(), []

    def work(number):
        for _ in range(300):
            tensor = buffers.empty((2000,), torch.int64)
            array = tensor.numpy()
            array[:] = number
            if not np.all(array == number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("sizes", [(3, 0, 1, 63, 64, 65, 200), (1, 2**23 + 5, 2**23 + 77, 40)])
def test_copies_of_any_length_and_place(sizes):
    draw = np.random.default_rng(0)
    sources = [draw.integers(0, 256, size, np.uint8) for size in sizes]
    into = np.zeros(sum(sizes) + len(sizes), np.uint8)  # an untouched byte behind each
    ends = np.cumsum([size + 1 for size in sizes])
    targets = [into[end - 1 - size : end - 1] for size, end in zip(sizes, ends, strict=True)]
    copy_all(targets, sources)
    for source, target in zip(sources, targets, strict=True):
        assert np.array_equal(source, target)
    assert not into[ends - 1].any()


def test_a_block_that_is_larger_than_the_largest_is_not_kept():
    buffers = Buffers(largest=100_000)
    buffers.empty((50_000,))
    assert buffers.free == 1
    buffers.empty((200_000,))
    assert buffers.free == 1
    buffers.clear()
    assert buffers.free == 0
