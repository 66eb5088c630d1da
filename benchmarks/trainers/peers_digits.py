"""The real digits of scikit-learn, split once and kept: the data of both frameworks in peers.py."""

from __future__ import annotations

from functools import cache

import numpy as np

VALIDATION_ROWS = 360
NOISE = 0.05  # of a copy, where a pixel is 0 to 1


@cache
def digits(copies: int = 1) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(x, y) to train on and (x, y) to judge by; x: float32 [rows, 64] in 0..1, y: int64 [rows].

    Args:
        copies: how often each row to train on is there; the further ones with some noise.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    order = generator.permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    judge, (x, y) = (x[:VALIDATION_ROWS], y[:VALIDATION_ROWS]), (x[VALIDATION_ROWS:], y[VALIDATION_ROWS:])
    noisy = [x + NOISE * generator.standard_normal(x.shape, np.float32) for _ in range(copies - 1)]
    return (np.concatenate([x, *noisy]), np.tile(y, copies)), judge
