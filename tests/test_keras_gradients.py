"""TensorFlow's own gradients of functions: gone with their graph, there for as long as it is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from automl.frameworks import keras_gradients
from automl.frameworks.keras import Keras


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The names in TensorFlow's registry, where gradients of functions are registered the house's way."""
    monkeypatch.setattr(ops.RegisterGradient, "__call__", ops.RegisterGradient.__call__)
    keras_gradients.lay()
    gc.collect()
    yield ops.gradient_registry._registry.keys()


@tf.custom_gradient
def tripled(x: Any) -> Any:
    """Itself, with thrice the gradient."""
    return tf.identity(x), lambda gradient: 3.0 * gradient


def a_model() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def trained(model: keras.Model) -> keras.Model:
    rows = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    model.fit(rows, rows.sum(1), epochs=2, verbose=0, shuffle=False)
    return model


def test_nothing_of_a_trained_model_stays_registered(registered: Any) -> None:
    before = set(registered)

    graph = weakref.ref(trained(a_model()).train_function)
    Keras().forget()

    assert graph() is None
    assert set(registered) == before


def test_so_many_trials_leave_no_more_objects_than_one(registered: Any) -> None:
    """Of each of them some 10,000 stayed before, and the weights of its model."""
    framework = Keras()

    def left() -> int:
        framework.seed(0)
        trained(a_model())
        framework.forget()
        return len(gc.get_objects())

    left(), left()
    first = left()
    assert [left() - first < 100 for _ in range(3)] == [True] * 3


def test_a_model_learns_as_without_it() -> None:
    keras.utils.set_random_seed(0)
    wanted = trained(a_model()).get_weights()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ops.RegisterGradient, "__call__", ops.RegisterGradient.__call__)
        keras_gradients.lay()
        keras.utils.set_random_seed(0)
        got = trained(a_model()).get_weights()

    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_function_of_an_earlier_trial_is_still_differentiable(registered: Any) -> None:
    before = set(registered)

    @tf.function
    def inner(x: Any) -> Any:
        return tripled(x) * 2.0

    assert inner(tf.constant(1.0)) == 2.0  # traced, and not yet differentiated
    Keras().forget()

    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = inner(x)
    assert tape.gradient(y, x) == 6.0
    del tape, y
    assert len(set(registered) - before) == 1

    del inner
    gc.collect()
    assert set(registered) == before


@pytest.mark.parametrize("kind", ["a loop", "a branch", "a map", "a function in a function", "recompute"])
def test_graphs_in_graphs_keep_theirs(registered: Any, kind: str) -> None:
    """Of these, TensorFlow makes graphs anew while it differentiates."""

    @tf.function
    def inner(x: Any) -> Any:
        return tripled(x)

    @tf.function
    def outer(x: Any) -> Any:
        if kind == "a loop":
            return tf.while_loop(lambda n, _: n < 3, lambda n, y: (n + 1, tripled(y)), (0, x))[1]
        if kind == "a branch":
            return tf.cond(x > 0, lambda: tripled(tripled(tripled(x))), lambda: x)
        if kind == "a map":
            return tf.reduce_sum(tf.map_fn(lambda y: tripled(tripled(tripled(y))), tf.stack([x])))
        if kind == "recompute":
            return tf.recompute_grad(lambda y: tripled(tripled(tripled(y))))(x)
        return inner(inner(inner(x)))

    outer(tf.constant(1.0))
    Keras().forget()

    @tf.function
    def slope(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = outer(x)
        return tape.gradient(y, x)

    gc.collect()
    assert slope(tf.constant(1.0)) == 27.0


def test_a_second_derivative_finds_it(registered: Any) -> None:
    @tf.custom_gradient
    def cubed(x: Any) -> Any:
        return x**3, lambda gradient: gradient * 3 * x**2

    @tf.function
    def function(x: Any) -> Any:
        return cubed(x)

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        slope = inner.gradient(y, x)
    gc.collect()
    assert slope == 12.0
    assert outer.gradient(slope, x) == 12.0


def test_a_saved_model_brings_its_gradient_along(registered: Any, tmp_path: Path) -> None:
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return tripled(x)

    module = Module()
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path / "module"), options=options)
    del module
    gc.collect()

    loaded = tf.saved_model.load(str(tmp_path / "module"))
    gc.collect()
    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loaded(x)
    assert tape.gradient(y, x) == 3.0


def test_the_gradient_of_an_operation_stays(registered: Any) -> None:
    @tf.RegisterGradient("CustomGradient-of the user")
    def of_the_user(op: Any, gradient: Any) -> Any:
        return gradient

    del of_the_user
    gc.collect()
    assert "CustomGradient-of the user" in registered
    del ops.gradient_registry._registry["CustomGradient-of the user"]
