"""Lightning modules and data that show what is done between a report and its answer."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from trainers.tiny_lightning import Batch, TinyData, TinyNet

__all__ = ["CountedNet", "FailingData", "StoppingNet", "TinyData", "TinyNet"]


class CountedNet(TinyNet):
    """Writes a character for each batch that it trains."""

    def __init__(self, mark: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.mark = mark

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        with open(self.mark, "a") as file:
            file.write(".")
        return super().training_step(batch, batch_index)


class StoppingNet(TinyNet):
    """Ends its training by itself after the second epoch."""

    def on_train_epoch_end(self) -> None:
        self.trainer.should_stop = self.current_epoch == 1


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
