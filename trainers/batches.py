"""Tensors that lie in memory, as loaders for Lightning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Tensor, Tensor]


class Tensors(Dataset[Batch]):
    """Pairs (x, y), taken a batch at a time: collating single items costs more than training on
    them where they are small.

    Args:
        x: [n, ...].
        y: [n].
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Batch:
        return self.x[index], self.y[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self.x[indices], self.y[indices]


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
