"""The data of `tiny_keras`, in batches that take their time, with a checkpoint every two seconds."""

from __future__ import annotations

import time

import keras

from automl import handle
from trainers.tiny_keras import Arrays
from trainers.tiny_keras import data as arrays

handle.CHECKPOINT_S = 2.0


class Batches(keras.utils.PyDataset):
    """Sixteen rows at a time, in an order that does not change: float32 [16, 8], int64 [16]."""

    def __init__(self, rows: Arrays, sleep_s: float) -> None:
        super().__init__()
        self._rows, self._sleep_s = rows, sleep_s

    def __len__(self) -> int:
        return len(self._rows[0]) // 16

    def __getitem__(self, index: int) -> Arrays:
        time.sleep(self._sleep_s)
        x, y = self._rows
        return x[index * 16 : (index + 1) * 16], y[index * 16 : (index + 1) * 16]


def data(sleep_s: float = 0.0) -> tuple[Batches, Batches]:
    train, held = arrays()
    return Batches(train, sleep_s), Batches(held, 0.0)
