"""A tiny network whose every batch is slow to come."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

Batch = tuple[np.ndarray, np.ndarray]


class Batches(keras.utils.PyDataset):
    """Random rows: float32 [4, 3], float32 [4, 1]."""

    def __init__(self, count: int, sleep_s: float) -> None:
        super().__init__()
        self._count, self._sleep_s = count, sleep_s

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Batch:
        time.sleep(self._sleep_s)
        drawn = np.random.default_rng(index).normal(size=(4, 4)).astype(np.float32)
        return drawn[:, :3], drawn[:, 3:]


def data(sleep_s: float, count: int = 6) -> tuple[Any, Any]:
    return Batches(count, sleep_s), Batches(2, 0.0)


def net(lr: float = 0.01) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(lr), loss="mse")
    return model
