"""Buffers come back when nobody holds them, and not before."""

import gc
import threading

import torch

from onewarp.transforms.warp.buffers import Buffers

PLAIN = torch.contiguous_format


def test_a_buffer_is_used_again_when_its_tensor_is_gone():
    buffers = Buffers()
    first = buffers.empty((4, 3, 8, 8), torch.float32, PLAIN)
    place = first.data_ptr()
    del first
    assert buffers.empty((4, 3, 8, 8), torch.float32, torch.channels_last).data_ptr() == place


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
        batch = buffers.empty((2, 8), torch.float32, PLAIN).fill_(1)
        place, kept = batch.data_ptr(), keep(batch)
        del batch
        others = [buffers.empty((2, 8), torch.float32, PLAIN) for _ in range(8)]
        assert place not in {other.data_ptr() for other in others}
        del kept, others
        gc.collect()


def test_layout_alignment_and_numbers():
    buffers = Buffers()
    for dtype in (torch.float32, torch.bfloat16, torch.uint8):
        for memory_format in (PLAIN, torch.channels_last):
            batch = buffers.empty((2, 3, 5, 7), dtype, memory_format)
            assert batch.dtype == dtype
            assert batch.is_contiguous(memory_format=memory_format)
            assert batch.data_ptr() % 64 == 0
    assert buffers.empty((0, 3, 5, 7), torch.float32, PLAIN).shape == (0, 3, 5, 7)


def test_no_more_than_a_few_wait():
    buffers = Buffers(spare=2)
    batches = [buffers.empty((1024,), torch.float32, PLAIN) for _ in range(5)]
    places = {batch.data_ptr() for batch in batches}
    del batches
    again = [buffers.empty((1024,), torch.float32, PLAIN).data_ptr() for _ in range(3)]
    assert len(buffers._waiting) <= 2
    assert places & set(again)


def test_threads_never_share_a_buffer():
    buffers, clashes = Buffers(), []

    def work(number):
        for _ in range(300):
            batch = buffers.empty((64,), torch.float32, PLAIN).fill_(number)
            if not bool((batch == number).all()):
                clashes.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
