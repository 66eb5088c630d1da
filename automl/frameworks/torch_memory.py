"""GPU memory as torch counts it. Does nothing where there is no CUDA; imports torch at once."""

from __future__ import annotations

import torch

from automl import gpu_memory


def hold(gpus: float) -> None:
    """Keep this process within its share of each device. What it wants beyond is out of memory."""
    if not 0 < gpus < 1 or not torch.cuda.is_available():
        return
    for device in range(torch.cuda.device_count()):
        total = torch.cuda.get_device_properties(device).total_memory
        limit = gpu_memory.limit_bytes(total, gpus)
        if limit is not None:
            torch.cuda.set_per_process_memory_fraction(limit / total, device)


def begin() -> None:
    """From here on the peak is the next trial's: what is only cached of the one before does not count."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def use() -> gpu_memory.Use | None:
    """What the trial has had of its one GPU; None without one, or with several."""
    if not torch.cuda.is_initialized() or torch.cuda.device_count() != 1:
        return None
    peak, held = torch.cuda.max_memory_reserved(0), torch.cuda.memory_reserved(0)
    return gpu_memory.Use(peak, held, torch.cuda.get_device_properties(0).total_memory)
