"""A model of one layer, saved and read back before there is an order. Knows no search and no project.

The first graph that torch exports, and the first model that Keras saves, take ten times as long as the
second: both import and build half of themselves at that. A process that has done it once answers sooner.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from automl.trackers import flavors


def _lightning(out: Path, described: flavors.Description) -> None:
    import torch

    with torch.no_grad():
        flavors.save_pytorch(torch.nn.Linear(2, 1).eval(), out, described)


def _keras(out: Path, described: flavors.Description) -> None:
    import keras

    flavors.save_keras(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), out, described)


MODELS: Mapping[str, Callable[[Path, flavors.Description], None]] = {"lightning": _lightning, "keras": _keras}


def rehearse(framework: str) -> None:
    """Save a small model and read it back; nothing is left of it.

    Args:
        framework: of the models that will come. Nothing is done for one that has none of its own.

    Raises:
        Exception: what the framework or MLflow raises.
    """
    save = MODELS.get(framework)
    if save is None:
        return
    example = np.zeros((2, 2), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        save(out, flavors.Description(example, example[:, :1], ["mlflow"]))
        flavors.predict(out, example)
