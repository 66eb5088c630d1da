"""What TensorFlow puts between Keras and a feed: traced once, not tuned, and never another trial's rows."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from automl.frameworks import keras_pipes
from automl.frameworks.keras import Keras
from automl.frameworks.keras_feed import Feed


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Keras with the house's datasets, of which none was traced; afterwards as it was."""
    for adapter in (keras_pipes.ArrayDataAdapter, keras_pipes.PyDatasetAdapter):
        monkeypatch.setattr(adapter, "get_tf_dataset", adapter.get_tf_dataset)
    monkeypatch.setattr(keras_pipes, "_traced", {})
    keras_pipes.lay()
    yield keras_pipes
    keras_pipes.forget()


def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The signatures of the generators that TensorFlow has traced from now on."""
    seen: list[Any] = []
    real = tf.data.Dataset.from_generator

    def from_generator(*arguments: Any, **words: Any) -> Any:
        seen.append(words["output_signature"])
        return real(*arguments, **words)

    monkeypatch.setattr(tf.data.Dataset, "from_generator", from_generator)
    return seen


def a_feed(seed: int, width: int = 8) -> tuple[Any, np.ndarray]:
    """A feed of rows of its own in their order, and these rows."""
    rows = np.random.default_rng(seed).normal(size=(20, width)).astype("float32")
    return Feed((rows, rows.sum(1)), 8, 1, False, None), rows


def summing(width: int = 8) -> Any:
    """A model that knows the answer to `a_feed`."""
    model = keras.Sequential([keras.Input((width,)), keras.layers.Lambda(lambda x: keras.ops.sum(x, 1))])
    model.compile(loss="mse")
    return model


def test_what_hands_out_batches_is_traced_once_for_all_trials_with_such_batches(
    pipes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = traced(monkeypatch)
    for seed in range(3):
        feed, rows = a_feed(seed)
        shown = summing().predict(feed, verbose=0)
        assert np.allclose(shown, rows.sum(1), atol=1e-5), "the rows of another trial"
        pipes.forget()
    assert len(seen) == 1
    summing(4).predict(a_feed(1, width=4)[0], verbose=0)
    assert len(seen) == 2


def test_two_feeds_of_one_trial_are_not_taken_for_each_other(pipes: Any) -> None:
    (one, its), (other, others) = a_feed(1), a_feed(2)
    first = pipes.PyDatasetAdapter(one).get_tf_dataset()
    second = pipes.PyDatasetAdapter(other).get_tf_dataset()
    for dataset, rows in ((first, its), (second, others), (first, its)):
        assert np.array_equal(np.concatenate([x for x, _ in dataset.as_numpy_iterator()]), rows)


def test_a_trial_whose_feed_is_over_holds_no_data_of_it(pipes: Any) -> None:
    feed, _ = a_feed(1)
    summing().predict(feed, verbose=0)
    gone = weakref.ref(feed)
    del feed
    pipes.forget()
    gc.collect()
    assert gone() is None


def test_kinds_of_batches_are_not_remembered_without_end(pipes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "MOST_TRACED", 2)
    for width in (2, 3, 4, 5):
        summing(width).predict(a_feed(1, width)[0], verbose=0)
        pipes.forget()
    assert len(pipes._traced) == 2


def test_datasets_that_keras_makes_are_not_tuned(pipes: Any) -> None:
    """Tuning one may hold up its end."""
    feed, rows = a_feed(1)

    class Users(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
            return rows[index * 8 : index * 8 + 8], rows[index * 8 : index * 8 + 8].sum(1)

    adapters = [pipes.PyDatasetAdapter(feed), pipes.PyDatasetAdapter(Users()), pipes.PyDatasetAdapter(feed)]
    adapters.append(pipes.ArrayDataAdapter(rows, rows.sum(1)))
    for adapter in adapters:
        assert adapter.get_tf_dataset().options().autotune.enabled is False


def test_a_collection_takes_no_longer_after_more_trials_of_keras() -> None:
    """TensorFlow keeps some graphs for ever; what is looked through does not grow with them."""
    vendor, before = Keras(), gc.get_freeze_count()
    looked_through = []
    try:
        for _ in range(4):
            model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
            model.compile(optimizer=keras.optimizers.AdamW(0.1), loss="mse")
            model.fit(np.zeros((8, 8)), np.zeros((8, 3)), verbose=0)
            del model
            vendor.forget()
            looked_through.append(len(gc.get_objects()))
        assert max(looked_through[1:]) < looked_through[0] + 1000
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
