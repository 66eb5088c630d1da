"""Keras models that are killed in the middle of an epoch, or that cannot be kept."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np

from trainers.keeps import dies_once
from trainers.tiny_keras import Arrays, data

__all__ = ["data", "drawing_net", "killed_net", "unwritable_net"]


class Killing(keras.Sequential):
    """Dies once before the fourth batch of its third epoch."""

    mark: str | None = None

    def train_on(self, step: int) -> None:
        if step == 15:
            dies_once(self.mark)

    def train_step(self, batch: Arrays) -> Any:
        self.train_on(int(self.optimizer.iterations.numpy()))
        return super().train_step(batch)


def killed_net(mark: str | None = None, lr: float = 0.05, dropout: float = 0.1) -> keras.Model:
    """The network of `tiny_keras`, which dies once in the middle of its third epoch of six batches."""
    model = Killing([keras.Input((8,)), keras.layers.Dropout(dropout), keras.layers.Dense(3)])
    model.mark = mark
    _compile(model, lr)
    return model


class Drawing(keras.Sequential):
    """Reports what it drew from every random generator at the end of each epoch."""

    def train_step(self, batch: Arrays) -> Any:
        return {**super().train_step(batch), "python": random.random(), "numpy": np.random.rand()}


def drawing_net(lr: float = 0.05, dropout: float = 0.1) -> keras.Model:
    """The network of `tiny_keras`, drawing numbers as data augmentation does."""
    model = Drawing([keras.Input((8,)), keras.layers.Dropout(dropout), keras.layers.Dense(3)])
    _compile(model, lr)
    return model


class Secret(keras.layers.Layer):
    """Has an argument that it does not tell: its weights can be kept, the model cannot."""

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def call(self, x: Any) -> Any:
        return x**self.power


def unwritable_net(lr: float = 0.05) -> keras.Model:
    """A model with a layer without `get_config`."""
    model = keras.Sequential([keras.Input((8,)), Secret(1.0), keras.layers.Dense(3)])
    _compile(model, lr)
    return model


def _compile(model: keras.Model, lr: float) -> None:
    model.compile(
        optimizer=keras.optimizers.SGD(lr, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=True,
    )
