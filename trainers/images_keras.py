"""Images for Keras: the arrays and the split that `trainers.images_torch` gives to Lightning."""

from __future__ import annotations

import numpy as np

import automl
from trainers import images
from trainers.splits import split

Arrays = tuple[np.ndarray, np.ndarray]

# Channels and classes of the set that this process read last. Keras cannot infer the number of
# classes, and a search hands `data.path` to the data alone: without this, other images would need
# other `model.*` parameters too. At first, those of the digits.
_sizes = (1, 10)


def data(path: str | None = None, validation: float = 0.2, split_seed: int = 0) -> tuple[Arrays, Arrays]:
    """Read images for `Model.fit`.

    Args:
        path: the images; see `trainers.images`. Nothing means scikit-learn's digits.
        validation: share held out for validation.
        split_seed: the same for all trials, so that they are judged on the same images.

    Returns:
        (x, y) to train on and (x, y) to validate on:
        float32 [n, height, width, channels] in [0, 1], int64 [n].
    """
    global _sizes
    train, held, classes = _parts(*images.source(path), validation, split_seed)
    _sizes = (train[0].shape[3], classes)
    return train, held


@automl.prepared
def _parts(
    where: str, files: tuple[str, ...], validation: float, split_seed: int
) -> tuple[Arrays, Arrays, int]:
    """Both parts as Keras wants them, and the number of classes; divided once, since it takes a copy."""
    found = images.Images(*images.read(where, files))
    x = found.x.transpose(0, 2, 3, 1)
    train, held = split(found.y, validation, split_seed)
    return (x[train], found.y[train]), (x[held], found.y[held]), found.classes


def sizes(channels: int | None = None, classes: int | None = None) -> tuple[int, int]:
    """Channels and classes: what is given, and for the rest those of the set read last."""
    return channels or _sizes[0], classes or _sizes[1]
