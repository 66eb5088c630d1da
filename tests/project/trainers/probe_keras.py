"""Models and data in the other forms that Keras takes, and what a trial sees of its worker."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainers import tiny_keras
from trainers.tiny_keras import Arrays, data

__all__ = [
    "compiled",
    "data",
    "lazy",
    "named",
    "named_data",
    "no_validation",
    "rows",
    "rough",
    "stream",
    "threads",
]


def lazy(lr: float = 0.05, dropout: float = 0.2) -> keras.Model:
    """Without an Input: its variables come with the first batch. Adam has variables of its own."""
    layers = [keras.layers.Dropout(dropout), keras.layers.Dense(8), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(lr), _loss(), metrics=["accuracy"])
    return model


def named(dropout: float = 0.2) -> keras.Model:
    """Two inputs by name."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    joined = keras.layers.Dropout(dropout)(keras.layers.Concatenate()([left, right]))
    model = keras.Model({"left": left, "right": right}, keras.layers.Dense(3)(joined))
    model.compile(keras.optimizers.Adam(0.05), _loss(), metrics=["accuracy"])
    return model


def rough() -> keras.Model:
    """Not compiled."""
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])


def threads() -> keras.Model:
    """Reports `threads` too."""

    def threads(y_true: Any, y_pred: Any) -> Any:
        return float(tf.config.threading.get_intra_op_parallelism_threads())

    model = rough()
    model.compile("sgd", _loss(), metrics=[threads])
    return model


def compiled(jit: bool | str = "auto", dropout: float = 0.2) -> keras.Model:
    """Compiled with jit_compile `jit`; reports whether it is in use as `jit`, and bits of its floats."""

    class Told(keras.Sequential):
        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            found = super().compute_metrics(x, y, y_pred, sample_weight)
            told = {"jit": float(self.jit_compile), "bits": 8.0 * y_pred.dtype.size}
            return {**found, **told}

    layers = [keras.Input((8,)), keras.layers.Dropout(dropout), keras.layers.Dense(3)]
    model = Told(layers)
    model.compile("sgd", _loss(), metrics=["accuracy"], jit_compile=jit)
    return model


def no_validation() -> tuple[Arrays, None]:
    """`data` to train on, and nothing to validate on."""
    return data()[0], None


def named_data() -> tuple[Any, Any]:
    """`data` with its columns in two inputs."""
    train, held = data()
    return _named(train), _named(held)


def stream() -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """`data` as tf.data, in its own order."""
    train, held = data()
    return tf.data.Dataset.from_tensor_slices(train).batch(16), tf.data.Dataset.from_tensor_slices(
        held
    ).batch(48)


class Rows(keras.utils.PyDataset):
    """Batches of 16, each computed from its index."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.x, self.y = arrays

    def __len__(self) -> int:
        return len(self.y) // 16

    def __getitem__(self, index: int) -> Arrays:
        span = slice(16 * index, 16 * (index + 1))
        return self.x[span], self.y[span]


def rows() -> tuple[Rows, Rows]:
    """`data` as PyDatasets, which Keras itself shuffles."""
    train, held = tiny_keras.data()
    return Rows(train), Rows(held)


def _named(arrays: Arrays) -> tuple[dict[str, np.ndarray], np.ndarray]:
    x, y = arrays
    return {"left": x[:, :4], "right": x[:, 4:]}, y


def _loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
