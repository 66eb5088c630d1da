"""The real digits of scikit-learn, split once and kept: the data of both frameworks in peers.py."""

from __future__ import annotations

from functools import cache

import numpy as np

VALIDATION_ROWS = 360


@cache
def digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(x, y) to train on and (x, y) to judge by; x: float32 [rows, 64] in 0..1, y: int64 [rows]."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    return (x[VALIDATION_ROWS:], y[VALIDATION_ROWS:]), (x[:VALIDATION_ROWS], y[:VALIDATION_ROWS])
