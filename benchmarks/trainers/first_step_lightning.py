"""`first_step` in Lightning."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from trainers.first_step import stamp


def data() -> tuple[DataLoader[tuple[Tensor, ...]], DataLoader[tuple[Tensor, ...]]]:
    """float32 [16, 8] -> int64 [16], one batch each."""
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    rows = TensorDataset(x, (x[:, 0] > 0).long())
    return DataLoader(rows, batch_size=16), DataLoader(rows, batch_size=16)


class Net(pl.LightningModule):
    """A linear network; x is its learning rate."""

    def __init__(self, x: float) -> None:
        super().__init__()
        self.x, self.net = x, nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        stamp()
        x, y = batch
        return functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch: Any, batch_index: int) -> None:
        x, y = batch
        self.log("loss", functional.cross_entropy(self.net(x), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.x)
