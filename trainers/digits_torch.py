"""A small network for small images, in Lightning. `trainers.digits_keras` is the same in Keras."""

from __future__ import annotations

import torch
from torch import nn

from trainers.images_torch import ImageClassifier, ImagesData

__all__ = ["DigitsData", "DigitsNet"]


class DigitsData(ImagesData):
    """scikit-learn's digits, or other images by `path`."""


class DigitsNet(ImageClassifier):
    """A perceptron with one or more hidden layers.

    Args:
        hidden: width of every hidden layer.
        layers: how many hidden layers.
        dropout: share of activations dropped after each hidden layer.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__()
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self.lr, self.weight_decay = lr, weight_decay

    def build(self, channels: int, height: int, width: int, classes: int) -> nn.Module:
        steps: list[nn.Module] = [nn.Flatten()]
        features = channels * height * width
        for _ in range(self.layers):
            steps += [nn.Linear(features, self.hidden), nn.ReLU(), nn.Dropout(self.dropout)]
            features = self.hidden
        return nn.Sequential(*steps, nn.Linear(features, classes))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
