"""Images transformed in a process of its own: what fails there is named, and what is printed is no answer."""

import os
import sys
import threading

import cloudpickle
import pytest
import torch

from onewarp.errors import UsageError
from onewarp.trainers.adapters.foreign import Foreign
from onewarp.trainers.adapters.process import process
from onewarp.transforms import TensorImage

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # another process cannot import a test


def fails(image):
    raise ValueError(f"no {tuple(image.shape)}")


def dies(image):
    os._exit(3)


def prints(image):
    print("a library that talks")
    return image


def test_the_process_names_what_fails_in_it_and_is_started_again():
    image = TensorImage(torch.zeros(3, 4, 4))
    with pytest.raises(UsageError, match=r"(?s)Foreign.*fails.*ValueError: no \(3, 4, 4\)"):
        Foreign(fails)(image, keys="a")
    with pytest.raises(UsageError, match=r"dies.* ended the process that it runs in \(code 3\)"):
        Foreign(dies)(image, keys="a")
    assert torch.equal(Foreign(prints)(image, keys="a"), image)


def test_a_seed_gives_the_same_numbers_whatever_was_drawn_before_and_processes_are_shared():
    image = torch.zeros(2, 3, 4, 4)
    noise = Foreign(draws)
    first, other = noise.images(image, [5, 6])
    again, _ = process().run(noise, image[:1], [5])[0], process().run(noise, image, [1, 2])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert process() is process()
    assert process().alive


def draws(image):
    return image + torch.rand(3, 4, 4)


def test_what_cannot_be_sent_is_refused():
    lock = threading.Lock()
    with pytest.raises(UsageError, match=r"cannot be sent to the process that it runs in: .*lock"):
        Foreign(lambda image: (lock, image)[1])(TensorImage(torch.zeros(3, 4, 4)), keys="a")
