"""The network and the data of `tiny_lightning`, in Keras: a learning rate that steps down, dropout,
and batches in another order every epoch.
"""

from __future__ import annotations

import keras
import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]


def data(size: int = 96) -> tuple[Arrays, Arrays]:
    """Three classes that a linear network tells apart: float32 [n, 8], int64 [n]."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(size + 48, 8)).astype("float32")
    y = (x @ rng.normal(size=(8, 3))).argmax(1)
    return (x[:size], y[:size]), (x[size:], y[size:])


def net(lr: float = 0.05, dropout: float = 0.1) -> keras.Model:
    """A compiled linear network that reports loss, accuracy, val_loss and val_accuracy.

    Args:
        lr: learning rate; it is halved every 12 batches (two epochs of 6).
        dropout: share of inputs dropped.
    """
    schedule = keras.optimizers.schedules.ExponentialDecay(lr, 12, 0.5, staircase=True)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(dropout), keras.layers.Dense(3)])
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
