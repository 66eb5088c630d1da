"""A residual network in Lightning (https://arxiv.org/abs/1512.03385, section 4.2: three stages for
small images). `trainers.resnet_keras` is the same in Keras.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainers import augment as augmentation
from trainers.images_torch import ImageClassifier, ImagesData

__all__ = ["ImagesData", "ResNet"]


class Block(nn.Module):
    """Two convolutions and a way around them; float [batch, channels, height, width]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *_convolution(channels, width, stride), nn.ReLU(), *_convolution(width, width, 1)
        )
        straight = channels == width and stride == 1
        self.around = nn.Identity() if straight else nn.Sequential(*_convolution(channels, width, stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.inner(x) + self.around(x))


class ResNet(ImageClassifier):
    """Reports train_loss, val_loss and val_accuracy.

    Args:
        depth: layers: 8, 14, 20, 26 ... (6n + 2).
        width: channels of the first stage; the second has twice, the third four times as many.
        optimizer: `sgd` (with Nesterov momentum) or `adamw`.
        lr: the learning rate at the start; it falls to zero in a cosine.
        weight_decay: of either optimizer.
        momentum: of sgd; adamw does not look at it.
        augment: `none`, or any of shift, flip and cutout joined by `+`.
    """

    def __init__(
        self,
        depth: int = 8,
        width: int = 8,
        optimizer: Literal["sgd", "adamw"] = "adamw",
        lr: float = 3e-3,
        weight_decay: float = 1e-4,
        momentum: float = 0.9,
        augment: str = "none",
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth is {depth}: three stages of equal blocks have 8, 14, 20 ... layers.")
        if optimizer not in ("sgd", "adamw"):
            raise ValueError(f"optimizer is {optimizer!r}. Choose sgd or adamw.")
        self.depth, self.width = depth, width
        self.optimizer, self.lr = optimizer, lr
        self.weight_decay, self.momentum = weight_decay, momentum
        self.changes = augmentation.parse(augment)

    def build(self, channels: int, height: int, width: int, classes: int) -> nn.Module:
        stem = [*_convolution(channels, self.width, 1), nn.ReLU()]
        blocks, have = [], self.width
        for stage in range(3):
            for position in range((self.depth - 2) // 6):
                wanted = self.width * 2**stage
                blocks.append(Block(have, wanted, stride=2 if stage and not position else 1))
                have = wanted
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(have, classes))

    def augmented(self, x: Tensor) -> Tensor:
        for change in self.changes:
            x = change(x)
        return x

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer()
        steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(steps):  # a Trainer with max_time alone knows no last step
            return optimizer
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}

    def _optimizer(self) -> torch.optim.Optimizer:
        if self.optimizer == "adamw":
            return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            self.parameters(),
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            weight_decay=self.weight_decay,
        )


def _convolution(channels: int, width: int, stride: int, kernel: int = 3) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(width)
