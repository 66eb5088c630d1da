"""What TensorFlow puts between Keras and a feed: traced once, not tuned, and never another trial's rows."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from automl.engines.base import Task
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


class Silent:
    """A handle that nobody is behind."""

    checkpoint = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.reports = folder, 0
        self.task = Task(
            search="s",
            trial=0,
            attempt=1,
            seed=1,
            trainer="t",
            framework="keras",
            model="a:b",
            data="a:c",
            arguments={"fit": {"epochs": 2, "batch_size": 4}},
            objectives=({"metric": "loss", "direction": "minimize", "value": "last"},),
            resources={"cpus": 1, "gpus": 0},
            root=str(folder),
            storage=str(folder),
        )

    def post(self, metrics: Any, step: int) -> bool:
        self.reports += 1
        return True

    def due(self) -> bool:
        return False

    def pulse(self) -> None:
        """Nobody listens."""

    def leave_if_told(self) -> None:
        """Nobody tells."""

    def save_weights(self, step: int, write: Any, behind: bool = False) -> None:
        """Nobody keeps them."""


@pytest.mark.parametrize("fails", [False, True])
def test_a_trial_that_is_over_holds_no_data(pipes: Any, tmp_path: Path, fails: bool) -> None:
    """What a worker holds is measured then; data would be taken for a leak."""
    rows = np.zeros((16, 8), "float32")
    gone = weakref.ref(rows)

    def model() -> Any:
        made = summing()
        if fails:
            made.compile(loss=lambda truth, shown: 1 / 0)
        return made

    def data() -> Any:
        nonlocal rows
        mine, rows = rows, None
        return (mine, mine.sum(1)), (mine, mine.sum(1))

    handle = Silent(tmp_path)
    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
        Keras().train(handle, model, data)  # type: ignore[arg-type]
    assert handle.reports == (0 if fails else 2)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("kind", ["weights", "classes", "mapping", "steps"])
def test_a_model_is_fitted_as_by_what_keras_makes_itself(
    pipes: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 8)).astype("float32"), rng.integers(0, 2, 20)
    arrays: tuple[Any, ...] = ({"x": x} if kind == "mapping" else x, y)
    arrays += (rng.random(20).astype("float32"),) if kind == "weights" else ()
    more = {"class_weight": {0: 1.0, 1: 5.0}} if kind == "classes" else {}
    steps = 5 if kind == "steps" else None

    def fitted() -> dict[str, list[float]]:
        keras.utils.set_random_seed(1)
        inputs = {"x": keras.Input((8,), name="x")} if kind == "mapping" else keras.Input((8,))
        leaf = inputs["x"] if kind == "mapping" else inputs
        model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(leaf))
        model.compile(optimizer="sgd", loss="binary_crossentropy")
        feed = Feed(arrays, 8, 1, True, steps)
        history = model.fit(feed, epochs=3, shuffle=False, verbose=0, **more)
        pipes.forget()
        return dict(history.history)

    ours = fitted()
    with monkeypatch.context() as patched:
        own = pipes.PyDatasetAdapter.get_tf_dataset.__wrapped__
        patched.setattr(pipes.PyDatasetAdapter, "get_tf_dataset", own)
        assert fitted() == ours
    assert fitted() == ours


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
