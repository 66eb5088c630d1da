"""Handwritten digits from scikit-learn, one split for all trainers. Put your own data here."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Arrays = tuple[np.ndarray, np.ndarray]


def split(validation: float = 0.25, seed: int = 0) -> tuple[Arrays, Arrays]:
    """Training and validation arrays: x float32 [n, 64] in [0, 1], y int64 [n].

    Args:
        validation: the share that is held out.
        seed: of the split; the same one for every trial, so that trials compare.
    """
    pixels, digits = load_digits(return_X_y=True)
    x, y = (pixels / 16).astype("float32"), digits.astype("int64")
    train_x, held_x, train_y, held_y = train_test_split(
        x, y, test_size=validation, random_state=seed, stratify=y
    )
    return (train_x, train_y), (held_x, held_y)
