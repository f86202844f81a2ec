"""How many threads a warp takes: those of torch, unless the thread that calls it was given a share."""

from concurrent.futures import ThreadPoolExecutor

import torch

from onewarp.transforms.warp import threads


def test_a_share_belongs_to_the_thread_that_was_given_it():
    with ThreadPoolExecutor(1, initializer=threads.share, initargs=(3,)) as sharing, ThreadPoolExecutor(1) as other:
        assert [sharing.submit(threads.count).result() for _ in range(2)] == [3, 3]
        assert other.submit(threads.count).result() == threads.count() == torch.get_num_threads()


def test_without_a_share_torchs_setting_counts_whenever_it_changes():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 2)
        assert threads.count() == before + 2
        threads.share(1)
        assert threads.count() == 1
        threads.share(None)
        assert threads.count() == before + 2
    finally:
        threads.share(None)
        torch.set_num_threads(before)
