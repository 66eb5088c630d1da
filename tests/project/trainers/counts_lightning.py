"""Lightning modules and data that show what is done between a report and its answer."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from trainers import counts as counts
from trainers.probe_lightning import PlateauNet
from trainers.tiny_lightning import Batch, TinyData, TinyNet

__all__ = [
    "BreakingNet",
    "CalledBackNet",
    "CountedNet",
    "FailingData",
    "PlateauNet",
    "RestartingNet",
    "StoppingNet",
    "TinyData",
    "TinyNet",
]


class CountedNet(TinyNet):
    """Writes a character for each batch that it trains."""

    def __init__(self, mark: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.mark = mark

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        with open(self.mark, "a") as file:
            file.write(".")
        return super().training_step(batch, batch_index)


class BreakingNet(TinyNet):
    """Has no number for its loss from the second epoch on, if `x` is positive."""

    def __init__(self, x: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.x = x

    def on_validation_epoch_end(self) -> None:
        broken = self.x > 0 and self.current_epoch > 0
        self.log("loss", float("nan") if broken else abs(self.x))


class StoppingNet(TinyNet):
    """Ends its training by itself after the second epoch."""

    def on_train_epoch_end(self) -> None:
        self.trainer.should_stop = self.current_epoch == 1


class RestartingNet(TinyNet):
    """Forgets all that it has learned as its second epoch begins; `first` is best in the first."""

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("first", 1 / (1 + self.current_epoch))

    def on_train_epoch_start(self) -> None:
        forget(self)


class CalledBackNet(TinyNet):
    """The same by a callback of its own."""

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("first", 1 / (1 + self.current_epoch))

    def configure_callbacks(self) -> list[pl.Callback]:
        return [Forgetful()]


class Forgetful(pl.Callback):
    """Has a module forget all that it has learned."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        forget(pl_module)


def forget(module: pl.LightningModule) -> None:
    if module.current_epoch:
        for parameter in module.parameters():
            torch.nn.init.zeros_(parameter)


class FailingData(TinyData):
    """Has no rows for the second epoch."""

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(Failing(self.train), batch_size=self.batch_size, shuffle=True)


class Failing(Dataset[tuple[torch.Tensor, ...]]):
    """Every row of another set, once."""

    def __init__(self, rows: TensorDataset) -> None:
        self.rows, self.left = rows, len(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("no more rows")
        return self.rows[index]
