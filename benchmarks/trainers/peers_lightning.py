"""The Lightning model of peers.py: one perceptron, trained by every contender alike."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from trainers.laps import Laps
from trainers.peers_digits import digits

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
BATCH = 64


class Data(pl.LightningDataModule):
    """float32 [batch, 64] -> int64 [batch]."""

    def __init__(self, copies: int = 1) -> None:
        super().__init__()
        self._copies = copies

    def setup(self, stage: str | None = None) -> None:
        parts = digits(self._copies)
        self._train, self._judge = (TensorDataset(*map(torch.from_numpy, part)) for part in parts)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self._train, batch_size=BATCH, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self._judge, batch_size=len(self._judge))


class Net(pl.LightningModule):
    """Two hidden layers of `width`, whatever the other parameters: every epoch costs the same."""

    def __init__(self, width: int, lr: float, dropout: float, weight_decay: float, activation: str) -> None:
        super().__init__()
        self._lr, self._decay, self._laps = lr, weight_decay, Laps()
        act = ACTIVATIONS[activation]
        hidden = [nn.Linear(64, width), act(), nn.Dropout(dropout), nn.Linear(width, width), act()]
        self.net = nn.Sequential(*hidden, nn.Linear(width, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        if batch_index == 0:
            self._laps.begin()
        x, y = batch
        return functional.cross_entropy(self(x), y)

    def validation_step(self, batch: Any, batch_index: int) -> None:
        x, y = batch
        scores = self(x)
        self.log("val_loss", functional.cross_entropy(scores, y))
        self.log("val_accuracy", (scores.argmax(1) == y).float().mean())

    def on_validation_epoch_end(self) -> None:
        self._laps.end()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self._lr, weight_decay=self._decay)
