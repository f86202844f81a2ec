"""Where batches are made: on the host, or on a GPU, where one stream copies while another warps."""

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ...transforms.augment import Fused
from ...transforms.transform import Split
from ...transforms.warp import backends
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.packed import Packed
from .batch import AnyBatch

T = TypeVar("T")


class BatchDevice(Protocol):
    """Where a batch is made, from its rows to its consumer; the threads that make batches share it."""

    @property
    def buffers(self) -> Buffers:
        """The memory that rows are read into."""

    @property
    def in_place(self) -> bool:
        """Whether rows may stay where they lie."""

    def bind(self, augmentation: Any, split: Split) -> Any:
        """The augmentation in the form that runs on this device."""

    def upload(self, value: Any) -> Any:
        """`value` on this device."""

    def warp(self, function: Callable[[], T]) -> T:
        """The result of `function`, run on this device after everything that this thread has uploaded."""

    def event(self) -> Any:
        """An event after everything that this thread has done so far."""

    def acquire(self, batch: AnyBatch, event: Any) -> AnyBatch:
        """The batch, ready for the thread that consumes it."""


class HostDevice:
    """Batches made on the CPU, and moved when they are consumed where the device is another."""

    in_place = True

    def __init__(self, device: torch.device) -> None:
        self.buffers = Buffers()
        self._device = device

    def bind(self, augmentation: Any, split: Split) -> Any:
        """The augmentation itself: the CPU runs it as it is."""
        return augmentation

    def upload(self, value: Any) -> Any:
        """The value itself: it is on the host already."""
        return value

    def warp(self, function: Callable[[], T]) -> T:
        """The result of `function`, called at once."""
        return function()

    def event(self) -> None:
        """No event: what is made on the host is ready."""

    def acquire(self, batch: AnyBatch, event: None) -> AnyBatch:
        """The batch on its device."""
        return batch if self._device.type == "cpu" else batch.to(self._device)


class CudaDevice:
    """Batches made on one GPU; the threads that make them share it.

    Rows are read into pinned `buffers`. `upload` copies from there on a stream of its own, `warp` runs on another
    once the copy is done, and `acquire` lets the consumer's stream wait for the warp; the host waits for none of
    them. Memory is handed from stream to stream as the caching allocator asks for it (`record_stream`), and a pinned
    buffer is held until its copy has happened.
    """

    in_place = False

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.buffers = Buffers(pinned=True)
        self._copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._warping = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._in_flight: deque[tuple[torch.cuda.Event, Any]] = deque()
        self._lock = Lock()

    def bind(self, augmentation: Any, split: Split) -> Any:
        """The augmentation drawn on the GPU, where all of it can be."""
        if not isinstance(augmentation, Fused) or not backends()["gpu"].available:
            return augmentation
        from ...transforms.gpu_planner import place_on  # imports triton

        return place_on(augmentation, self.device, split)

    def upload(self, value: Any) -> Any:
        """A copy of `value` (tensors, packed images, lists and mappings of them) on the GPU, soon."""
        with torch.cuda.stream(self._copying):
            sent = _each(value, self._copy)
            done = self._copying.record_event()
        with self._lock:
            self._in_flight.append((done, value))
            while self._in_flight and self._in_flight[0][0].query():  # type: ignore[no-untyped-call]
                self._in_flight.popleft()
        self._warping.wait_event(done)
        return sent

    def _copy(self, tensor: Tensor) -> Tensor:
        source = tensor if tensor.is_pinned() else tensor.pin_memory()
        copy = source.to(self.device, non_blocking=True)
        copy.record_stream(self._warping)
        return copy

    def warp(self, function: Callable[[], T]) -> T:
        """The result of `function`, run on the warping stream after everything that this thread has uploaded."""
        with torch.cuda.stream(self._warping):
            return function()

    def event(self) -> torch.cuda.Event:
        """An event after everything that was uploaded and warped so far."""
        event: torch.cuda.Event = self._warping.record_event()
        return event

    def acquire(self, batch: AnyBatch, event: torch.cuda.Event) -> AnyBatch:
        """The batch, which the current stream uses once it is ready."""
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(event)
        for value in batch:
            _each(value, lambda tensor: _record_use(tensor, stream))
        return batch


def _record_use(tensor: Tensor, stream: torch.cuda.Stream) -> Tensor:
    if tensor.is_cuda:
        tensor.record_stream(stream)
    return tensor


def _each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """`value` with `function` of each tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Packed):
        return Packed(function(value.data), function(value.offsets), function(value.sizes))
    if isinstance(value, dict):
        return {name: _each(part, function) for name, part in value.items()}
    if isinstance(value, list):
        return [_each(part, function) for part in value]
    return value


def device_for(device: torch.device) -> BatchDevice:
    """The `BatchDevice` for a device of torch."""
    return CudaDevice(device) if device.type == "cuda" else HostDevice(device)
