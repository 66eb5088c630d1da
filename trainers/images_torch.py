"""Images for Lightning: a data module, and what every image classifier here does alike.

`ImageClassifier` learns the sizes of the images and the number of classes from the data module, so
that other data needs no other parameter. It keeps them in a buffer: parameters and state dict alone
rebuild the same network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from trainers import batches, images
from trainers.batches import Batch, Tensors
from trainers.splits import split


class ImagesData(pl.LightningDataModule):
    """Batches (x, y): float32 [batch, channels, height, width] in [0, 1], int64 [batch].

    Args:
        path: the images; see `trainers.images`. Nothing means scikit-learn's digits.
        batch_size: images a training step.
        validation: share held out for validation.
        split_seed: the same for all trials, so that they are judged on the same images.
        num_workers: loader processes; 0 is fastest where the images lie in memory.
        pin_memory: speeds up the copy to a GPU; by default where there is one.
    """

    def __init__(
        self,
        path: str | None = None,
        batch_size: int = 64,
        validation: float = 0.2,
        split_seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        self.path, self.batch_size = path, batch_size
        self.validation, self.split_seed = validation, split_seed
        self.num_workers, self.pin_memory = num_workers, pin_memory

    def setup(self, stage: str | None = None) -> None:
        data = images.load(self.path)
        x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        train, held = split(data.y, self.validation, self.split_seed)
        self.shape, self.classes = data.shape, data.classes
        self.train, self.held = Tensors(x, y, train), Tensors(x, y, held)

    def train_dataloader(self) -> DataLoader[Batch]:
        return batches.training(self.train, self.batch_size, self.num_workers, self.pin_memory)

    def val_dataloader(self) -> DataLoader[Batch]:
        return batches.validation(self.held, self.batch_size, self.num_workers, self.pin_memory)


class ImageClassifier(pl.LightningModule):
    """Reports train_loss, val_loss and val_accuracy, once an epoch.

    A subclass says in `build` which network fits images of one shape, and names its optimizer.
    """

    sizes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net: nn.Module | None = None
        self.register_buffer("sizes", torch.zeros(4, dtype=torch.int64))

    def build(self, channels: int, height: int, width: int, classes: int) -> nn.Module:
        """A network from float32 [batch, channels, height, width] to logits [batch, classes]."""
        raise TypeError(f"{type(self).__name__} must say which network it builds")

    def augmented(self, x: Tensor) -> Tensor:
        """Training images, changed at random; here they stay as they are."""
        return x

    def configure_model(self) -> None:
        """Lightning calls this when the data module has been set up, possibly more than once."""
        # Lightning's load_from_checkpoint calls it too, without a trainer: then the weights tell.
        if self.net is None and self._trainer is not None:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            self._build(torch.tensor([*data.shape, data.classes]))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if self.net is None:
            self._build(state_dict["sizes"])
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _build(self, sizes: Tensor) -> None:
        self.sizes.copy_(sizes)
        channels, height, width, classes = sizes.tolist()
        self.net = self.build(channels, height, width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, float32 [batch, classes]."""
        assert self.net is not None, "configure_model() or load_state_dict() comes first"
        return self.net(x)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        x, y = batch
        loss = functional.cross_entropy(self(self.augmented(x)), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(y))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        x, y = batch
        logits = self(x)
        correct = (logits.argmax(1) == y).float().mean()
        metrics = {"val_loss": functional.cross_entropy(logits, y), "val_accuracy": correct}
        # sync_dist: with several GPUs each rank sees a part of the images.
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(y), sync_dist=True)
