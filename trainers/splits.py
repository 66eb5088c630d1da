"""What is trained on and what is held out: one answer for every framework and every trial."""

from __future__ import annotations

import numpy as np


def split(labels: np.ndarray, validation: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Divide a set so that every class keeps its share in both parts.

    It depends on its arguments alone, so all trials of a search are judged on the same examples,
    whatever their framework and their own seed.

    Args:
        labels: [n], the class of each example; all alike where there are no classes.
        validation: share held out for validation, between 0 and 1.
        seed: another number, another split.

    Returns:
        Indices into the set, int64 and sorted: those to train on, those to validate on.

    Raises:
        ValueError: `validation` leaves one part empty.
    """
    rng = np.random.default_rng(seed)
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held[members[: round(validation * len(members))]] = True
    if held.all() or not held.any():
        raise ValueError(
            f"validation {validation} of {len(labels)} examples leaves one part empty. Try 0.2, or more data."
        )
    return np.flatnonzero(~held), np.flatnonzero(held)
