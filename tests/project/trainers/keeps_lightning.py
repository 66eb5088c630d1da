"""Lightning modules that are killed in the middle of an epoch, or that cannot be kept."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from trainers.keeps import dies_once
from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["DrawingNet", "KilledNet", "MuteNet", "OtherNet", "TinyData", "UnreadableNet", "UnwritableNet"]


class KilledNet(TinyNet):
    """Dies once in the middle of its third epoch; has a checkpoint after every one."""

    def __init__(self, mark: str | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.mark = mark

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 2 and batch_idx == 3:
            dies_once(self.mark)


class DrawingNet(TinyNet):
    """Reports what it drew from every random generator in each epoch, as data augmentation does."""

    def on_train_batch_end(self, *_: Any) -> None:
        draws = {"python": random.random(), "numpy": np.random.rand(), "torch": float(torch.rand(()))}
        self.log_dict(draws, on_step=False, on_epoch=True)


class OtherNet(TinyNet):
    """A deeper network: no checkpoint of TinyNet fits."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.net = nn.Sequential(nn.Linear(8, 5), nn.Dropout(0.1), nn.Linear(5, 3))


class UnwritableNet(TinyNet):
    """Puts a function into its checkpoints."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["how"] = lambda: None


class UnreadableNet(TinyNet):
    """Puts an object of its own into its checkpoints, which is not loaded from a file."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = Settings()


class MuteNet(TinyNet):
    """Trains by another method than forward, which it has none of."""

    forward = pl.LightningModule.forward

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Settings:
    """What a plain dictionary would have done for."""
