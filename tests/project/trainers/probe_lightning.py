"""What a Lightning trial sees of its worker, and learning rates that follow the validation loss."""

from __future__ import annotations

from typing import Any

import torch

from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["CompiledNet", "PlateauNet", "StepsNet", "ThreadsNet", "TinyData"]


class ThreadsNet(TinyNet):
    """Reports `threads` too."""

    def on_validation_epoch_end(self) -> None:
        self.log("threads", float(torch.get_num_threads()))


class PlateauNet(TinyNet):
    """Its learning rate falls whenever val_loss does not fall; reports it as `lr`."""

    def on_train_epoch_end(self) -> None:
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=0)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss", "interval": "epoch"},
        }


class CompiledNet(TinyNet):
    """Reports `compiled`: whether torch.compile compiled its forward."""

    seen = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = torch.compiler.is_compiling()
        return super().forward(x)

    def on_validation_epoch_end(self) -> None:
        self.log("compiled", float(self.seen))


class StepsNet(TinyNet):
    """Its steps never call the module itself."""

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_index: int) -> None:
        self.log("val_loss", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))
