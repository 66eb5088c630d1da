"""A linear network on random, fixed data, with all that a resumed run must bring back: a learning
rate that steps down, dropout, and batches in another order every epoch. An epoch takes milliseconds.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

Batch = tuple[Tensor, Tensor]


class TinyData(pl.LightningDataModule):
    """Three classes that a linear network tells apart: float32 [batch, 8], int64 [batch]."""

    def __init__(self, batch_size: int = 16, size: int = 96) -> None:
        super().__init__()
        self.batch_size, self.size = batch_size, size

    def setup(self, stage: str | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(self.size + 48, 8, generator=generator)
        y = (x @ torch.randn(8, 3, generator=generator)).argmax(1)
        self.train = TensorDataset(x[: self.size], y[: self.size])
        self.held = TensorDataset(x[self.size :], y[self.size :])

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.held, batch_size=48)


class TinyNet(pl.LightningModule):
    """Reports train_loss, val_loss and val_accuracy.

    Args:
        lr: learning rate; it is halved every other epoch.
        dropout: share of inputs dropped.
        sleep_s: seconds that each training batch takes longer.
    """

    def __init__(self, lr: float = 0.05, dropout: float = 0.1, sleep_s: float = 0.0) -> None:
        super().__init__()
        self.lr, self.sleep_s = lr, sleep_s
        self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        time.sleep(self.sleep_s)
        x, y = batch
        loss = functional.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        x, y = batch
        logits = self(x)
        self.log("val_loss", functional.cross_entropy(logits, y))
        self.log("val_accuracy", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": schedule}
