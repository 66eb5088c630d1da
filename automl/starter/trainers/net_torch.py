"""A small network in Lightning; `trainers.net_keras` is the same in Keras."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainers.data import split


class Digits(pl.LightningDataModule):
    """scikit-learn's digits in batches."""

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        self.batch_size = batch_size
        (train_x, train_y), (held_x, held_y) = split()
        self.train = TensorDataset(torch.from_numpy(train_x), torch.from_numpy(train_y))
        self.held = TensorDataset(torch.from_numpy(held_x), torch.from_numpy(held_y))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.held, 256)


class Net(pl.LightningModule):
    """One hidden layer.

    Args:
        hidden: its width.
        lr: learning rate.
        optimizer: `adam` or `sgd`.
        momentum: of sgd.
    """

    def __init__(
        self, hidden: int = 64, lr: float = 1e-3, optimizer: str = "adam", momentum: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
        self.lr, self.optimizer, self.momentum = lr, optimizer, momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        x, y = batch
        scores = self(x)
        self.log("val_loss", nn.functional.cross_entropy(scores, y))
        self.log("val_accuracy", (scores.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == "sgd":
            return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=self.momentum)
        return torch.optim.Adam(self.parameters(), lr=self.lr)
