"""A linear network with a stopwatch: an epoch takes milliseconds, or half a second."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from trainers.stopwatch import EPOCHS, SLOW, Stopwatch

BATCHES = 5


class Data(pl.LightningDataModule):
    """float32 [batch, 8] -> int64 [batch], fixed and random."""

    def setup(self, stage: str | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(16 * BATCHES, 8, generator=generator)
        self.rows = TensorDataset(x, (x[:, 0] > 0).long())

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.rows, batch_size=16)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.rows, batch_size=16 * BATCHES)


class Net(pl.LightningModule):
    """Sleeps in its training steps, `slow_s` a trial, if x is SLOW."""

    def __init__(self, x: float, origin: float, slow_s: float = 2.0) -> None:
        super().__init__()
        self.x, self.pause_s = x, slow_s / EPOCHS / BATCHES if x == SLOW else 0.0
        self.watch = Stopwatch(origin)
        self.net = nn.Linear(8, 2)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        if batch_index == 0:
            self.watch.begin()
        time.sleep(self.pause_s)
        x, y = batch
        return functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch: Any, batch_index: int) -> None:
        x, y = batch
        self.log("loss", functional.cross_entropy(self.net(x), y))

    def on_validation_epoch_end(self) -> None:
        self.log_dict({name: torch.tensor(value) for name, value in self.watch.end().items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)
