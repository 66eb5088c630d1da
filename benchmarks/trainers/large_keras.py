"""The large set in Keras: one layer, which trains about as fast as the batches come."""

from __future__ import annotations

import time
from typing import Any

import keras

from trainers.large import parts as data

__all__ = ["data", "net"]


class Net(keras.Sequential):
    """Knows when its first batch came, in seconds after `asked_s`."""

    asked_s = first_s = 0.0

    def fit(self, *args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        return super().fit(*args, callbacks=[Clock(), *callbacks], **kwargs)


class Clock(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.first_s = self.model.first_s or time.time() - self.model.asked_s

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["first_s"] = self.model.first_s


def net(asked_s: float) -> keras.Model:
    model = Net([keras.Input((3072,)), keras.layers.Dense(10)])
    model.asked_s = asked_s
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="sgd", loss=loss)
    return model
