"""Trainers that run short of memory until their batches are small, or that fail in a way of their choice.

`room`: a batch of more rows does not fit. With dropout 0 and one seed, parts of a batch train as it does.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 49  # three batches of 16, and a rest of one row, of which no two parts can be made


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Three classes that a linear network tells apart: float32 [n, 8], int64 [n]."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 8)).astype("float32")
    return x, (x @ rng.normal(size=(8, 3))).argmax(1)


# --- Lightning -----------------------------------------------------------------------------


def torch_net(room: int = 1000, lr: float = 0.1, by_hand: bool = False) -> Any:
    """A linear LightningModule that reports val_loss."""
    import pytorch_lightning as pl
    import torch
    from torch.nn import functional

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = not by_hand
            self.net = torch.nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.net(x)

        def training_step(self, batch: Any, index: int) -> Any:
            x, y = batch
            if len(x) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return functional.cross_entropy(self(x), y)

        def validation_step(self, batch: Any, index: int) -> None:
            x, y = batch
            self.log("val_loss", functional.cross_entropy(self(x), y))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=lr, momentum=0.9)

    return Net()


def torch_data(batch_size: int = 16, size: int = ROWS) -> Any:
    """Loaders of training batches of `batch_size`, and of one batch that is held out."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x, y = (torch.from_numpy(each[:size]) for each in arrays())
    rows = TensorDataset(x, y)
    return DataLoader(rows, batch_size=batch_size, shuffle=True), DataLoader(rows, batch_size=ROWS)


def torch_fixed_data() -> Any:
    """The same, of a size that nobody can choose."""
    return torch_data()


# --- Keras ---------------------------------------------------------------------------------


def keras_net(room: int = 1000, lr: float = 0.1, built: bool = False) -> Any:
    """A compiled linear network that reports val_loss."""
    import keras
    import tensorflow as tf

    class Net(keras.Sequential):
        def train_step(self, data: Any) -> Any:
            if room < 1000 and len(data[0]) > room:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return super().train_step(data)

    model = Net([keras.Input((8,)), keras.layers.Dense(3)])
    schedule = keras.optimizers.schedules.ExponentialDecay(lr, 4, 0.7, staircase=True)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    if built:
        optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=room < 1000)
    return model


def keras_arrays() -> Any:
    return arrays(), arrays()


def keras_dataset(batch_size: int = 16, size: int = 48) -> Any:
    """A tf.data.Dataset in batches."""
    import tensorflow as tf

    rows = tuple(each[:size] for each in arrays())
    return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size), arrays()


def keras_fixed_dataset() -> Any:
    return keras_dataset()


# --- plain callables -----------------------------------------------------------------------


def splits(trial: Any, x: float = 0.0, rows: int = 16, room: int = 8, micro_batches: int = 1) -> None:
    """Holds `rows` in so many parts, or has no room for them."""
    if rows // micro_batches > room:
        raise MemoryError("no room")
    trial.report({"loss": x**2, "micro": micro_batches})


def wants(trial: Any, x: float = 0.0, above: float = 0.0) -> None:
    """Has no room for an x above a bound, and does nothing about it."""
    if x > above:
        raise MemoryError("no room")
    trial.report({"loss": (x - 1) ** 2})


def fails(trial: Any, how: str, x: float = 0.0, once_in: str | None = None, times: int = 1) -> None:
    """Raises, at its first attempts or at all.

    Args:
        how: one of HOW.
        once_in: a folder that counts attempts; without it every attempt fails.
        times: how many fail.
    """
    marks = Path(once_in or "/nowhere")
    before = len(list(marks.glob(f"{trial.number}-*"))) if once_in else 0
    if not once_in or before < times:
        if once_in:
            (marks / f"{trial.number}-{before}").touch()
        raise HOW[how]
    trial.report({"loss": x**2, "pid": os.getpid()})


HOW: dict[str, Exception] = {
    "connection": ConnectionResetError("the far side hung up"),
    "cuda": RuntimeError("CUDA error: an illegal memory access was encountered"),
    "code": ValueError("shapes (3,) and (4,) differ"),
}


def waits(trial: Any, file: str, x: float = 0.0, at_most_s: float = 60.0) -> None:
    """Until there is a file of that name."""
    until_s = time.monotonic() + at_most_s
    while not Path(file).exists() and time.monotonic() < until_s:
        time.sleep(0.05)
    trial.report({"loss": x**2})


def hogs(trial: Any, bytes_: int, x: float = 0.0, micro_batches: int = 1) -> None:
    """Takes so much memory, or next to none in parts, and holds it for a while."""
    held = bytearray(bytes_ if micro_batches == 1 else 1)
    held[::4096] = b"x" * len(held[::4096])
    for _ in range(100 if micro_batches == 1 else 0):
        time.sleep(0.1)
    trial.report({"loss": x**2})
