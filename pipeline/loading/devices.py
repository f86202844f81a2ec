"""Where batches are made: on the host, or on a GPU without a wait, one stream copying, another warping."""

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
from .batch import Batch

T = TypeVar("T")


class Lane(Protocol):
    """The way of a batch from its rows to its consumer; shared by the threads that make batches."""

    @property
    def buffers(self) -> Buffers:
        """The memory that rows are read into."""

    @property
    def in_place(self) -> bool:
        """Whether rows may stay where they lie."""

    def placed(self, augmentation: Any, split: Split) -> Any:
        """The augmentation as it is decided and done there."""

    def send(self, value: Any) -> Any:
        """`value` where the batch is made."""

    def warp(self, function: Callable[[], T]) -> T:
        """What `function` gives there, after all that this thread sent."""

    def ready(self) -> Any:
        """A mark after all that this thread did so far."""

    def receive(self, batch: Batch, ready: Any) -> Batch:
        """The batch, for the thread that consumes it."""


class HostLane:
    """Batches made on the CPU, and moved when they are consumed where the device is another."""

    in_place = True

    def __init__(self, device: torch.device) -> None:
        self.buffers = Buffers()
        self._device = device

    def placed(self, augmentation: Any, split: Split) -> Any:
        """`augmentation` itself."""
        return augmentation

    def send(self, value: Any) -> Any:
        """`value` itself."""
        return value

    def warp(self, function: Callable[[], T]) -> T:
        """`function` called."""
        return function()

    def ready(self) -> None:
        """What is made here is ready."""

    def receive(self, batch: Batch, ready: None) -> Batch:
        """The batch on its device."""
        return batch if self._device.type == "cpu" else batch.to(self._device)


class CudaLane:
    """The way of batches to one GPU, shared by the threads that make them.

    Rows are read into pinned `buffers`. `send` copies from there on a stream of its own, `warp` runs on another
    once the copy is done, and `receive` lets the consumer's stream wait for the warp; the host waits for none of
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

    def placed(self, augmentation: Any, split: Split) -> Any:
        """The augmentation drawn on the GPU, where all of it can be."""
        if not isinstance(augmentation, Fused) or not backends()["gpu"].available:
            return augmentation
        from ...transforms.on_device import drawn_on  # imports triton

        return drawn_on(augmentation, self.device, split)

    def send(self, value: Any) -> Any:
        """A copy of `value` (tensors, packed images, lists and mappings of them) on the GPU, soon."""
        with torch.cuda.stream(self._copying):
            sent = _each(value, self._copied)
            done = self._copying.record_event()
        with self._lock:
            self._in_flight.append((done, value))
            while self._in_flight and self._in_flight[0][0].query():  # type: ignore[no-untyped-call]
                self._in_flight.popleft()
        self._warping.wait_event(done)
        return sent

    def _copied(self, tensor: Tensor) -> Tensor:
        source = tensor if tensor.is_pinned() else tensor.pin_memory()
        copy = source.to(self.device, non_blocking=True)
        copy.record_stream(self._warping)
        return copy

    def warp(self, function: Callable[[], T]) -> T:
        """What `function` gives when it runs after all that this thread sent."""
        with torch.cuda.stream(self._warping):
            return function()

    def ready(self) -> torch.cuda.Event:
        """An event after all that was sent and warped so far."""
        event: torch.cuda.Event = self._warping.record_event()
        return event

    def receive(self, batch: Batch, ready: torch.cuda.Event) -> Batch:
        """The batch, which the current stream uses once it is ready."""
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(ready)
        for value in batch:
            _each(value, lambda tensor: _used(tensor, stream))
        return batch


def _used(tensor: Tensor, stream: torch.cuda.Stream) -> Tensor:
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


def lane_to(device: torch.device) -> Lane:
    """The way to a device."""
    return CudaLane(device) if device.type == "cuda" else HostLane(device)
