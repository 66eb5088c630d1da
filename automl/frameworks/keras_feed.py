"""What `Model.fit` is fed with: arrays in an order that a resumed run can find again, and examples of
inputs. Knows neither trials nor workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

_EXAMPLE_ROWS = 4
# Keras makes a tensor of all the arrays to validate on: a copy in each worker. That is quick for small ones.
LARGE_BYTES = 1 << 25


class Feed(keras.utils.PyDataset):
    """Arrays in batches, in an order that is a function of seed and epoch.

    Keras' own shuffling remembers what it did: an epoch after a resume would see another order. Only
    the rows of a batch are copied, so that arrays which are maps of a file stay maps.

    Args:
        arrays: (x, y) or (x, y, sample_weight); each an array, or a tuple or mapping of arrays, of
            equal first dimensions.
        batch_size: rows a batch; the last one of a pass may be smaller.
        seed: of the order.
        shuffle: whether there is an order other than the arrays' own.
        steps: batches an epoch; by default one pass over the arrays. With fewer or more, the next
            epoch goes on where this one ended.
        micro: hand out each batch in so many parts, one after the other, of the same rows in the same
            order. A batch of fewer rows than parts hands them out again, which keeps its mean.
    """

    def __init__(
        self,
        arrays: tuple[Any, ...],
        batch_size: int,
        seed: int,
        shuffle: bool,
        steps: int | None,
        micro: int = 1,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._arrays, self._batch_size = arrays, batch_size
        self._seed, self._shuffle = seed, shuffle
        self._rows = rows_of(arrays)
        self._batches = -(-self._rows // batch_size)
        self._steps = steps or self._batches
        self._micro = micro
        self._first = 0
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def begin(self, epoch: int) -> None:
        """The batches asked for next are those of this epoch, from 0."""
        self._first = epoch * self._steps

    def __len__(self) -> int:
        return self._steps * self._micro

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if self._micro == 1:
            return self._batch(index)
        batch, part = divmod(index, self._micro)
        return tuple(keras.tree.map_structure(lambda a: self._part(a, part), self._batch(batch)))

    def _part(self, rows: np.ndarray, part: int) -> np.ndarray:
        if len(rows) < self._micro:
            return rows[[part % len(rows)]]
        return np.array_split(rows, self._micro)[part]

    def _batch(self, index: int) -> tuple[Any, ...]:
        turn, batch = divmod(self._first + index, self._batches)
        span = slice(batch * self._batch_size, (batch + 1) * self._batch_size)
        if not self._shuffle:
            return tuple(keras.tree.map_structure(lambda a: in_floatx(a[span]), self._arrays))
        chosen = self._ordered(turn)[span]
        return tuple(keras.tree.map_structure(lambda a: in_floatx(a.take(chosen, axis=0)), self._arrays))

    def _ordered(self, turn: int) -> np.ndarray:
        known, order = self._order
        if known != turn:
            order = np.random.default_rng((self._seed, turn)).permutation(self._rows)
            self._order = (turn, order)
        return order


def as_arrays(given: tuple[Any, ...] | list[Any]) -> tuple[Any, ...]:
    """(x, y) or (x, y, sample_weight) with all leaves as numpy arrays; what is one already is not copied.

    Raises:
        ValueError: the first dimensions differ.
    """
    arrays = tuple(keras.tree.map_structure(np.asarray, tuple(given)))
    lengths = {len(leaf) for leaf in keras.tree.flatten(arrays)}
    if len(lengths) > 1:
        raise ValueError(f"arrays of one set have different numbers of rows: {sorted(lengths)}")
    return arrays


def rows_of(arrays: tuple[Any, ...]) -> int:
    """How many rows the arrays have."""
    return len(keras.tree.flatten(arrays)[0])


def split(arrays: tuple[Any, ...], share: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first rows and the last `share` of them, as `validation_split` of `Model.fit` takes them."""
    cut = int(rows_of(arrays) * (1 - share))
    first = keras.tree.map_structure(lambda a: a[:cut], arrays)
    return tuple(first), tuple(keras.tree.map_structure(lambda a: a[cut:], arrays))


def inputs_of(data: Any) -> Any:
    """The inputs of the first batch of arrays or of a dataset; None where looking would use it up."""
    if isinstance(data, tuple | list):
        return data[0]
    if isinstance(data, keras.utils.PyDataset):
        batch = data[0]
    elif isinstance(data, Iterator):
        return None
    else:
        batch = next(iter(data))
    return batch[0] if isinstance(batch, tuple | list) else batch


def example_of(inputs: Any) -> dict[str, np.ndarray] | None:
    """A few rows: `x`, or `x_NAME` for a mapping; None for other shapes."""
    if isinstance(inputs, Mapping):
        return {f"x_{name}": _rows(value) for name, value in inputs.items()}
    if inputs is None or isinstance(inputs, tuple | list):
        return None
    return {"x": _rows(inputs)}


def _rows(values: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(values[:_EXAMPLE_ROWS]))


def in_floatx(rows: Any) -> Any:
    """Rows of an array of floats in Keras' float type; anything else as it is."""
    floats = isinstance(rows, np.ndarray) and rows.dtype.kind == "f"
    return rows.astype(keras.config.floatx(), copy=False) if floats else rows


def large(data: Any) -> bool:
    """Whether these are arrays that had better not be copied as a whole."""
    leaves = keras.tree.flatten(data) if isinstance(data, tuple | list) else []
    arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray)]
    return len(arrays) == len(leaves) and sum(array.nbytes for array in arrays) >= LARGE_BYTES
