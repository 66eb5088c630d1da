"""What several ranks of one Lightning trial do together: metrics, random generators, checkpoints.

With one rank each of these is what that rank alone would do. Knows no trial; Lightning itself sees to
the gradients, the parameters and the shares of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins import TorchCheckpointIO


def several() -> bool:
    """Whether this process is one of several ranks."""
    return dist.is_available() and dist.is_initialized()


def of_all_ranks(value: Any) -> list[Any]:
    """The values of all ranks, by rank; all must call it."""
    if not several():
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def own_of(states: Any) -> Any:
    """This rank's of what `of_all_ranks` gave; rank 0's where there were fewer ranks then."""
    if isinstance(states, Mapping):  # a checkpoint from before there were ranks
        return states
    rank = dist.get_rank() if several() else 0
    return states[rank] if rank < len(states) else states[0]


def means(metrics: Mapping[str, float]) -> dict[str, float]:
    """Each metric's mean over the ranks that have it: what they have agreed on already stays as it is.

    Every rank validates its own share of the data, and a module may have logged without `sync_dist`.
    """
    by_rank = of_all_ranks(dict(metrics))
    names = dict.fromkeys(name for each in by_rank for name in each)
    return {name: _mean([each[name] for each in by_rank if name in each]) for name in names}


class _Plain(TorchCheckpointIO):
    """Straight into the file: the folder that it is in becomes whole as one.

    Lightning's own serializes into memory first, and asks whether the path is in an object store, for which
    it imports every client of one that is installed, 0.3 s.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        torch.save(checkpoint, path)


def write_plainly(trainer: pl.Trainer) -> None:
    """Have a Trainer write its checkpoints so, unless it has a way of its own."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = _Plain()


def write_checkpoint(trainer: pl.Trainer, path: Path) -> None:
    """Write the Trainer's checkpoint; all ranks must call it, and rank 0 writes.

    A disk that refuses it is rank 0's alone to meet: the others would wait for it for ever.
    """
    try:
        trainer.save_checkpoint(path)
    except Exception:
        trainer.strategy.barrier()
        raise


def _mean(values: list[float]) -> float:
    same = all(value == values[0] for value in values)
    return values[0] if same else sum(values) / len(values)
