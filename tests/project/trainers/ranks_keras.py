"""A Keras model that reports over how many replicas it trains."""

from __future__ import annotations

import keras
import tensorflow as tf

from trainers.tiny_keras import data
from trainers.tiny_keras import net as tiny

__all__ = ["data", "net"]


class Replicas(keras.metrics.Metric):
    """The number of replicas that count towards a batch."""

    def __init__(self, name: str = "replicas") -> None:
        super().__init__(name=name)
        self.count = tf.distribute.get_strategy().num_replicas_in_sync

    def update_state(self, *_: object, **__: object) -> None:
        pass

    def result(self) -> float:
        return float(self.count)

    def reset_state(self) -> None:
        pass


def net(lr: float = 0.05, dropout: float = 0.1) -> keras.Model:
    """The tiny network, compiled with `replicas` among its metrics."""
    model = tiny(lr, dropout)
    model.compile(optimizer=model.optimizer, loss=model.loss, metrics=["accuracy", Replicas()])
    return model
