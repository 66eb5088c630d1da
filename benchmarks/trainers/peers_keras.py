"""The Keras model of peers.py: one perceptron, trained by every contender alike."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np

from trainers.laps import Laps
from trainers.peers_digits import digits

BATCH = 64


def data(copies: int = 1) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(x, y) to train on and (x, y) to judge by."""
    return digits(copies)


def build(width: int, lr: float, dropout: float, weight_decay: float, activation: str) -> keras.Model:
    """Two hidden layers of `width`, whatever the other parameters: every epoch costs the same."""
    layers = keras.layers
    hidden = [layers.Dense(width, activation), layers.Dropout(dropout), layers.Dense(width, activation)]
    model = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    model.compile(
        optimizer=keras.optimizers.AdamW(lr, weight_decay=weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # On the instance and not by a class of its own, so that what is saved is a plain Sequential.
    model.fit = partial(_timed_fit, model.fit)
    return model


def _timed_fit(fit: Any, *args: Any, callbacks: Any = None, **given: Any) -> Any:
    return fit(*args, callbacks=[Stopwatch(), *(callbacks or [])], **given)


class Stopwatch(keras.callbacks.Callback):
    """First of all callbacks, so that an epoch ends before anybody is told of it."""

    def __init__(self) -> None:
        super().__init__()
        self._laps = Laps()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._laps.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._laps.end()
