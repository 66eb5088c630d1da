"""The large set in Lightning: one layer, which trains about as fast as the batches come."""

from __future__ import annotations

import time

import pytorch_lightning as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from trainers.large import parts

Batch = tuple[torch.Tensor, ...]


class Whole(TensorDataset):
    """A batch at a time."""

    def __getitems__(self, indices: list[int]) -> Batch:
        return tuple(values[indices] for values in self.tensors)


def data(folder: str, way: str) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
    sets = [Whole(*(torch.from_numpy(values) for values in part)) for part in parts(folder, way)]
    made = [DataLoader(each, 512, shuffle=each is sets[0], collate_fn=lambda batch: batch) for each in sets]
    return made[0], made[1]


class Net(pl.LightningModule):
    def __init__(self, asked_s: float) -> None:
        super().__init__()
        self.net, self.asked_s, self.first_s = torch.nn.Linear(3072, 10), asked_s, 0.0

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.first_s = self.first_s or time.time() - self.asked_s
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Batch, index: int) -> None:
        self.log("val_loss", functional.cross_entropy(self.net(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        self.log("first_s", self.first_s)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)
