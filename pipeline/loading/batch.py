"""What a loader delivers: a tuple of plain tensors that remembers where its pixels came from."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Self

import torch
from torch import Tensor
from typing_extensions import TypeVarTuple, Unpack

Parts = TypeVarTuple("Parts", default=Unpack[tuple[Tensor, Tensor]])
"""The types of a batch's elements: two tensors where nothing else is said."""


class Batch(tuple[*Parts], Generic[*Parts]):
    """`(x, y)` or `(x, y, keys)`, which unpacks like any tuple, and knows more.

    `Batch` alone is the type of `(x, y)`, two tensors; `Batch[Tensor, dict[str, Tensor]]` has several targets,
    `Batch[Tensor, None]` none, `Batch[Tensor, Tensor, list[str]]` the keys as its third element, and with `Packed` in
    the first place images of mixed sizes.

    `matrix` is float64 `[N, 3, 3]`, from pixels of `x` to pixels of the original files; `keys` names the samples;
    `valid` is bool `[N]`, false for the repeats that pad a last batch. A Batch made from any other iterable (as
    `accelerate` does when it moves one to a device) is that tuple alone, and these are None.

    >>> batch = Batch([torch.zeros(1, 3, 2, 2), None], keys=["cat.jpg"], matrix=2 * torch.eye(3)[None].double())
    >>> x, y = batch
    >>> batch.keys, batch.original_points(torch.tensor([[[1.0, 2.0]]])).tolist()
    (['cat.jpg'], [[[1.0, 2.0]]])
    """

    valid: Tensor | None
    _matrix: Tensor | Callable[[], Tensor] | None
    _keys: Sequence[str] | Callable[[], Sequence[str]] | None

    def __new__(
        cls,
        values: Iterable[Any],
        *,
        matrix: Tensor | Callable[[], Tensor] | None = None,
        keys: Sequence[str] | Callable[[], Sequence[str]] | None = None,
        valid: Tensor | None = None,
    ) -> Self:
        """Make a tuple of `values` with these attributes; functions are called when what they give is read."""
        self = super().__new__(cls, values)
        self._matrix, self._keys, self.valid = matrix, keys, valid
        return self

    @property
    def matrix(self) -> Tensor | None:
        """From pixels of `x` to pixels of the original files, float64 `[N, 3, 3]`."""
        if callable(self._matrix) and not isinstance(self._matrix, Tensor):
            self._matrix = self._matrix()
        return self._matrix

    @property
    def keys(self) -> Sequence[str] | None:
        """The names of the samples."""
        if callable(self._keys):
            self._keys = self._keys()
        return self._keys

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, ((*self,), self.matrix, self.keys, self.valid)

    def original_points(self, points: Tensor) -> Tensor:
        """Points `[N, K, 2]` in pixels of `x`, as float64 `[N, K, 2]` in pixels of the original files."""
        if self.matrix is None:
            raise ValueError("This Batch was rebuilt without its matrix: take the points back before it is moved")
        matrix = self.matrix.to(points.device)
        homogeneous = torch.nn.functional.pad(points.double(), (0, 1), value=1.0) @ matrix.transpose(1, 2)
        return homogeneous[..., :2] / homogeneous[..., 2:]

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors on `device`."""
        values = [_move(value, device) for value in self]
        return type(self)(values, matrix=self._matrix, keys=self._keys, valid=self.valid)


AnyBatch = Batch[*tuple[Any, ...]]
"""A batch of whatever a loader was told to deliver."""


def _move(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {name: _move(part, device) for name, part in value.items()}
    if isinstance(value, list):
        return [_move(part, device) for part in value]
    return value


def _rebuild(
    values: tuple[Any, ...], matrix: Tensor | None, keys: Sequence[str] | None, valid: Tensor | None
) -> AnyBatch:
    return Batch(values, matrix=matrix, keys=keys, valid=valid)
