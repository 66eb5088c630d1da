"""What TensorFlow puts between Keras and a feed: datasets that are traced once a process, and not tuned.

Of Keras (3.15) this needs the two adapters that make datasets of arrays and of PyDatasets, which are not
public. Knows no trial. Does nothing where the backend is another than TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import Any

from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.data_adapter_utils import get_tensor_spec
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

from automl.frameworks.keras_feed import Feed

# So many kinds of batches are remembered; a search whose data have more shapes traces again.
MOST_TRACED = 16

# By the kind of its batches, and how many of that kind came before it in a trial: a dataset, and the trial's
# adapter of which it hands them out.
_traced: dict[tuple[str, int], Any] = {}
_serving: dict[tuple[str, int], PyDatasetAdapter] = {}


def lay() -> None:
    """From now on, have Keras make its datasets so. Called once a process."""
    arrays, feeds = ArrayDataAdapter.get_tf_dataset, PyDatasetAdapter.get_tf_dataset

    @wraps(arrays)
    def of_arrays(adapter: ArrayDataAdapter) -> Any:
        return _untuned(arrays(adapter))

    @wraps(feeds)
    def of_feed(adapter: PyDatasetAdapter) -> Any:
        if isinstance(adapter.py_dataset, Feed) and adapter.enqueuer is None:
            return _known(adapter)
        return _untuned(feeds(adapter))

    ArrayDataAdapter.get_tf_dataset, PyDatasetAdapter.get_tf_dataset = of_arrays, of_feed


def forget() -> None:
    """The trial is over: let go of its data."""
    _serving.clear()


def _known(adapter: PyDatasetAdapter) -> Any:
    """The process's dataset for batches of this kind, which serves one feed of a trial.

    Tracing what hands out batches takes TensorFlow 20 ms, in every trial, and is the same for all.
    """
    import tensorflow as tf

    feed = adapter.py_dataset
    # As Keras looks at them: the first two, where the last of a pass may be smaller.
    batches = [adapter._standardize_batch(feed[index]) for index in range(min(2, len(feed)))]
    signature = get_tensor_spec(batches)
    kind = repr(signature)
    place = kind, sum(other == kind for other, _ in _serving)
    _serving[place] = adapter
    if place not in _traced:
        if len(_traced) >= MOST_TRACED:
            _traced.clear()
        made = tf.data.Dataset.from_generator(lambda: _pass(place), output_signature=signature)
        _traced[place] = _untuned(made.prefetch(tf.data.AUTOTUNE))
    return _traced[place]


def _pass(place: tuple[str, int]) -> Iterator[Any]:
    """The batches of an epoch, of the feed that is served there now."""
    batches: Iterator[Any] = _serving[place]._get_iterator()
    return batches


def _untuned(dataset: Any) -> Any:
    """The thread that tunes a dataset is told of its end, and misses that if it is just falling asleep: then
    the end of a training waits for its next look, 130 to 160 ms, in every fifth to tenth trial (TensorFlow
    2.21). How much is prefetched follows from what was waited for, as before.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
