"""Tensors that lie in memory, as loaders for Lightning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Tensor, Tensor]


class Tensors(Dataset[Batch]):
    """Some rows of a set as pairs (x, y), taken a batch at a time: collating single items costs more
    than training on them where they are small.

    Args:
        x: [n, ...], of the whole set, which is not copied.
        y: [n].
        rows: int64 [m], those that belong to this part of it.
    """

    def __init__(self, x: Tensor, y: Tensor, rows: np.ndarray) -> None:
        self._x, self._y, self._rows = x, y, torch.tensor(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Batch:
        row = self._rows[index]
        return self._x[row], self._y[row]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = self._rows[indices]
        return self._x[rows], self._y[rows]

    @property
    def x(self) -> Tensor:
        """A copy of this part: [m, ...]."""
        return self._x[self._rows]

    @property
    def y(self) -> Tensor:
        """A copy of this part: [m]."""
        return self._y[self._rows]


def as_is(batch: Any) -> Any:
    """`Tensors` returns whole batches: nothing is left to collate."""
    return batch


def training(data: Tensors, batch_size: int, num_workers: int, pin_memory: bool | None) -> DataLoader[Batch]:
    """A loader in another order every epoch."""
    return _loader(data, batch_size, num_workers, pin_memory, shuffle=True)


def validation(
    data: Tensors, batch_size: int, num_workers: int, pin_memory: bool | None
) -> DataLoader[Batch]:
    """A loader in the data's order. Without gradients a larger batch fits."""
    return _loader(data, max(batch_size, 256), num_workers, pin_memory, shuffle=False)


def _loader(
    data: Tensors, batch_size: int, num_workers: int, pin_memory: bool | None, shuffle: bool
) -> DataLoader[Batch]:
    return DataLoader(
        data,
        batch_size=batch_size,
        shuffle=shuffle,
        collate_fn=as_is,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        persistent_workers=num_workers > 0,
    )
