"""A small network for small images, in Keras. `trainers.digits_torch` is the same in Lightning."""

from __future__ import annotations

import keras

from trainers import images_keras
from trainers.images_keras import Arrays

__all__ = ["digits", "perceptron"]


def digits(path: str | None = None, validation: float = 0.2, split_seed: int = 0) -> tuple[Arrays, Arrays]:
    """scikit-learn's digits, or other images by `path`; see `trainers.images_keras.data`."""
    return images_keras.data(path, validation, split_seed)


def perceptron(
    hidden: int = 64,
    layers: int = 1,
    dropout: float = 0.0,
    lr: float = 1e-3,
    weight_decay: float = 1e-4,
    classes: int | None = None,
    jit_compile: bool = False,
) -> keras.Model:
    """A compiled perceptron that reports loss, accuracy, val_loss and val_accuracy.

    Args:
        hidden: width of every hidden layer.
        layers: how many hidden layers.
        dropout: share of activations dropped after each hidden layer.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        classes: how many; by default as many as the images that were read have.
        jit_compile: whether XLA compiles the training step. Off: on one CPU core, in a fresh
            process, compiling makes the first epoch last 1.5 to 2 s in the place of 0.6 s, and the
            later ones are no faster (0.07 to 0.09 s, 0.08 s without).
    """
    steps: list[keras.Layer] = [keras.layers.Flatten()]
    for _ in range(layers):
        steps += [keras.layers.Dense(hidden, activation="relu"), keras.layers.Dropout(dropout)]
    # Without an Input the model takes the shape of the first batch.
    model = keras.Sequential([*steps, keras.layers.Dense(images_keras.sizes(classes=classes)[1])])
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate=lr, weight_decay=weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model
