"""The digits of the examples, which a test lays beside this, and how their batches come to the GPU."""

from __future__ import annotations

from typing import Any

from trainers.digits_torch import DigitsData, DigitsNet

__all__ = ["DigitsData", "LoadedNet"]


class LoadedNet(DigitsNet):
    """Reports `pinned`, whether training batches lie in pinned memory, and `loaders`, how many load them."""

    pinned = 0.0

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if self.trainer.training:
            self.pinned = float(batch[0].is_pinned())
        return batch

    def on_validation_epoch_end(self) -> None:
        loader = self.trainer.train_dataloader
        self.log_dict({"pinned": self.pinned, "loaders": float(loader.num_workers)})
