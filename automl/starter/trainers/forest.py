"""A plain callable with scikit-learn: whatever can report a metric can be searched."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier

from trainers.data import split


def train(
    trial: Any, trees: int = 100, depth: int = 10, features: str | None = "sqrt"
) -> RandomForestClassifier:
    """Train one forest and report how well it does.

    Args:
        trial: what the search gives: `report`, `seed`, `save_checkpoint`, `load_checkpoint`.
        trees, depth, features: of scikit-learn's RandomForestClassifier.

    Returns:
        The fitted forest; the search keeps it.
    """
    (train_x, train_y), (held_x, held_y) = split()
    forest = RandomForestClassifier(
        trees, max_depth=depth, max_features=features, random_state=trial.seed
    ).fit(train_x, train_y)
    trial.report({"val_accuracy": forest.score(held_x, held_y)})
    return forest
