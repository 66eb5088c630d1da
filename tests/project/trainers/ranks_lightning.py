"""Lightning modules of several ranks, each of which writes down where it is, and that come to grief there."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from automl import handle
from trainers.keeps import dies_once
from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["FailingNet", "FullNet", "HangingNet", "ImpatientNet", "KilledNet", "RankNet", "TinyData"]

GRACE_S = handle.STOP_GRACE_S


class RankNet(TinyNet):
    """After each batch, each rank writes a file: its pid, threads, batches so far, and weights.

    Args:
        out: the folder of these files.
    """

    def __init__(self, out: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.out, self.batches = Path(out), 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.batches += 1
        said = {
            "pid": os.getpid(),
            "threads": torch.get_num_threads(),
            "batches": self.batches,
            "weights": self.net[1].weight.detach().flatten().tolist(),
        }
        beside = self.out / f".rank-{self.global_rank}"
        beside.write_text(json.dumps(said))
        beside.rename(self.out / f"rank-{self.global_rank}.json")


class ImpatientNet(RankNet):
    """After three batches a stop waits no longer for the end of the epoch; rank 1 is the slower one."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        handle.STOP_GRACE_S = 0.0 if self.batches >= 3 else GRACE_S
        time.sleep(0.02 * (1 + self.global_rank))


class FullNet(RankNet):
    """The disk is full when rank 0 writes a checkpoint."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.global_rank == 0:
            raise OSError(errno.ENOSPC, "no room")


class FailingNet(RankNet):
    """One rank raises in the second epoch, or all of them do.

    Args:
        rank: which one; None for all.
    """

    def __init__(self, rank: int | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.rank = rank

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 1 and self.rank in (None, self.global_rank):
            raise ValueError(f"no batch {batch_idx} for {self.rank}")


class HangingNet(RankNet):
    """Rank 1 hangs in the second epoch, and rank 0 waits for its gradients."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 1 and self.global_rank == 1:
            time.sleep(600)


class KilledNet(RankNet):
    """Rank 1 dies once, in the second epoch."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 1 and self.global_rank == 1:
            dies_once(str(self.out / "mark"))
