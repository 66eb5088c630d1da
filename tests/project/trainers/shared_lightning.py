"""Data modules whose `prepare_data` leaves a mark."""

from __future__ import annotations

import os
import random
from pathlib import Path

from trainers.shared import mark
from trainers.tiny_lightning import TinyData


class Marked(TinyData):
    """As Lightning wants it: what it prepares lies on the disk."""

    def __init__(self, batch_size: int = 16, fails: bool = False) -> None:
        super().__init__(batch_size)
        self.fails = fails

    def prepare_data(self) -> None:
        random.random()
        mark("prepared")
        if self.fails and len(Path(os.environ["MARKS"], "prepared").read_text().split()) == 1:
            raise OSError("the server is away")


class Careless(Marked):
    """Sets what `setup` needs where Lightning asks one not to."""

    def prepare_data(self) -> None:
        super().prepare_data()
        self.seen = True

    def setup(self, stage: str | None = None) -> None:
        assert self.seen
        super().setup(stage)
