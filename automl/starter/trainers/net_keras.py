"""A small network in Keras; `trainers.net_torch` is the same in Lightning."""

from __future__ import annotations

import keras

from trainers.data import Arrays, split


def digits() -> tuple[Arrays, Arrays]:
    """Training and validation data, as `(x, y)` each."""
    return split()


def net(hidden: int = 64, lr: float = 1e-3, optimizer: str = "adam", momentum: float = 0.0) -> keras.Model:
    """A compiled network with one hidden layer.

    Args:
        hidden: its width.
        lr: learning rate.
        optimizer: `adam` or `sgd`.
        momentum: of sgd.
    """
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(hidden, activation="relu"), keras.layers.Dense(10)]
    )
    sgd = keras.optimizers.SGD(learning_rate=lr, momentum=momentum)
    model.compile(
        optimizer=sgd if optimizer == "sgd" else keras.optimizers.Adam(learning_rate=lr),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
