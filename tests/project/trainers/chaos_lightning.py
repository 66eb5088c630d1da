"""The network of `tiny_lightning`, with a checkpoint every two seconds."""

from __future__ import annotations

from automl import handle
from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["TinyData", "TinyNet"]

handle.CHECKPOINT_S = 2.0
