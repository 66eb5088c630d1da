"""A Lightning module that reports what its process has imported."""

from __future__ import annotations

import sys

from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["ImportsNet", "TinyData"]


class ImportsNet(TinyNet):
    """`s3fs` is 1 where that is imported."""

    def on_validation_epoch_end(self) -> None:
        self.log("s3fs", float("s3fs" in sys.modules))
