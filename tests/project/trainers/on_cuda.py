"""Lightning modules that look at the GPU they train on, take a part of it, or harm it.

Where there is no GPU they train on the CPU and report zeros.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.keeps import dies_once
from trainers.tiny_lightning import TinyData, TinyNet

__all__ = ["CudaNet", "HarmingNet", "KilledNet", "TinyData"]

_ROWS = 16  # in a whole batch
_AT_MOST_S = 60.0
_PIECES = 32


class CudaNet(TinyNet):
    """Reports `on_cuda`, `allocated` (MiB), `fraction` (of the memory it may have), `bits`, `compiled`.

    Args:
        part: of the device's memory; each batch of 16 rows takes so much while it is trained, a smaller
            one less in proportion.
        wanted: with less than half of a GPU it waits until so many trials have come together.
        folder: where these leave their marks.
        mark: the name of this one's.
    """

    def __init__(
        self, part: float = 0.0, wanted: int = 0, folder: str = ".", mark: int = 0, **arguments: Any
    ) -> None:
        super().__init__(dropout=0.0, **arguments)
        self.part, self.wanted, self.folder, self.mark = part, wanted, Path(folder), mark
        self.seen: dict[str, float] = {"compiled": 0.0}

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            self.seen["compiled"] = 1.0
        return super().forward(x)

    def on_train_start(self) -> None:
        if self.wanted and _fraction() < 0.5:
            self._meet()

    def _meet(self) -> None:
        """Come together, or go on alone after a while: then `met` says so."""
        (self.folder / f"here-{self.mark}").touch()
        until_s = time.monotonic() + _AT_MOST_S
        while self._here() < self.wanted and time.monotonic() < until_s:
            time.sleep(0.05)
        self.seen["met"] = float(self._here())

    def _here(self) -> int:
        return len(list(self.folder.glob("here-*")))

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        x, _ = batch
        held = _hold(self.part * len(x) / _ROWS)
        loss = super().training_step(batch, batch_index)
        with torch.no_grad():
            self.seen["bits"] = 8.0 * self(x).element_size()
        self.seen |= {"on_cuda": float(x.is_cuda and loss.is_cuda), "allocated": _allocated_mib()}
        del held
        return loss

    def on_validation_epoch_end(self) -> None:
        self.log_dict({**self.seen, "fraction": _fraction()})


class KilledNet(CudaNet):
    """Has a checkpoint after every epoch, and dies once in the middle of its third."""

    def __init__(self, dies: str | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.dies = dies

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch == 2 and batch_idx == 3:
            dies_once(self.dies)


class HarmingNet(TinyNet):
    """Does harm to its GPU in its second batch.

    Args:
        harm: `assert` looks up an index past the end, `address` writes where nothing is, `` none.
        once: a file that remembers that it was done; without it, it is done at every attempt.
    """

    def __init__(self, harm: str = "", once: str | None = None) -> None:
        super().__init__(dropout=0.0)
        self.harm, self.once = harm, once

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        if self.harm and batch_index == 1 and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            _HARMS[self.harm](self.device)
        return super().training_step(batch, batch_index)


def _past_the_end(device: torch.device) -> None:
    table = torch.zeros(4, 2, device=device)
    print(torch.nn.functional.embedding(torch.tensor([0, 10**6], device=device), table).sum().item())


def _nowhere(device: torch.device) -> None:
    from trainers.on_cuda_kernel import store

    target = torch.zeros(1, device=device)
    store[(1,)](target, 2**43)
    torch.cuda.synchronize()


_HARMS = {"assert": _past_the_end, "address": _nowhere}


def _hold(part: float) -> list[Tensor]:
    """So much of the device, in pieces: torch puts small tensors into a large free block, which then is
    too small for the next large one, and holds twice as much."""
    if not part or not torch.cuda.is_available():
        return []
    piece = int(part * torch.cuda.get_device_properties(0).total_memory / _PIECES)
    return [torch.empty(piece, dtype=torch.uint8, device="cuda") for _ in range(_PIECES)]


def _allocated_mib() -> float:
    return torch.cuda.memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0


def _fraction() -> float:
    return float(torch.cuda.get_per_process_memory_fraction(0)) if torch.cuda.is_available() else 0.0
