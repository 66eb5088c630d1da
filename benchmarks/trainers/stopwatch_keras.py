"""A linear network in Keras with a stopwatch; its epochs begin and end where `Model.fit` has them."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from trainers.stopwatch import EPOCHS, SLOW, Stopwatch

ROWS = 80


def data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """float32 [80, 8] -> int64 [80], to train and to judge on."""
    x = np.random.default_rng(0).normal(size=(ROWS, 8)).astype("float32")
    rows = (x, (x[:, 0] > 0).astype("int64"))
    return rows, rows


class Net(keras.Sequential):
    """Sleeps at the beginning of its epochs, `slow_s` a trial, if x is SLOW."""

    def watched(self, x: float, origin: float, slow_s: float) -> Net:
        self._watch, self._pause_s = Stopwatch(origin), slow_s / EPOCHS if x == SLOW else 0.0
        self._judging = False
        return self

    def reset_metrics(self) -> None:
        """Called as an epoch begins, and before the model is judged."""
        super().reset_metrics()
        if hasattr(self, "_watch") and not self._judging:
            self._watch.begin()
            time.sleep(self._pause_s)

    def evaluate(self, *args: Any, **words: Any) -> Any:
        self._judging = True
        found = super().evaluate(*args, **words)
        self._judging = False
        return {**found, **self._watch.end()}


def net(x: float, origin: float, slow_s: float = 2.0) -> keras.Model:
    """Compiled."""
    model = Net([keras.layers.Input((8,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss=loss)
    return model.watched(x, origin, slow_s)
