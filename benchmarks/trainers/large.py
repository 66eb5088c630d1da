"""A large set of images for `benchmarks/data.py`: bytes on the disk, float32 in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import automl

PIXELS = 3 * 32 * 32
_CHUNK = 4096


def write(folder: Path, size_bytes: int) -> int:
    """Write a set that takes so much as float32; how many images it has."""
    count = size_bytes // (4 * PIXELS)
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.uint8, shape=(count, PIXELS))
    rng = np.random.default_rng(0)
    for first in range(0, count, _CHUNK):
        x[first : first + _CHUNK] = rng.integers(0, 256, x[first : first + _CHUNK].shape, dtype=np.uint8)
    x.flush()
    return count


def plain(folder: str) -> dict[str, np.ndarray]:
    """`x` float32 [n, 3072] in [0, 1], `y` int64 [n]: as most people load a set."""
    pixels = np.load(Path(folder) / "x.npy", mmap_mode="r")
    x = np.empty(pixels.shape, np.float32)
    for first in range(0, len(x), _CHUNK):
        x[first : first + _CHUNK] = pixels[first : first + _CHUNK]
        x[first : first + _CHUNK] /= 255
    return {"x": x, "y": np.arange(len(x)) % 10}


prepared = automl.prepared(plain)
WAYS = {"plain": plain, "prepared": prepared}


def parts(folder: str, way: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The first 80 % to train on, the rest to validate on."""
    found = WAYS[way](folder)
    x, y = found["x"], found["y"]
    cut = len(x) * 8 // 10
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
