"""`first_step` in Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from trainers.first_step import stamp


class Rows(keras.utils.PyDataset):
    """One batch, float32 [16, 8] -> int64 [16]; handing it out is the step's begin."""

    def __init__(self, stamps: bool) -> None:
        super().__init__()
        self._stamps = stamps
        self._x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self._stamps:
            stamp()
        return self._x, (self._x[:, 0] > 0).astype("int64")


def data() -> tuple[Any, Any]:
    """Training rows, and validation rows without stamps."""
    return Rows(True), Rows(False)


def net(x: float) -> keras.Model:
    """A linear network; x is its learning rate."""
    model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(x), loss=loss)
    return model
