"""TensorFlow's own gradients of functions, which live as long as the graph that needs them, and no longer.

Every graph with a `tf.custom_gradient` in it registers that gradient under a name of its own: so does each
model that Keras trains, for the sum of its gradients over replicas. TensorFlow's registry never lets go of
one, and each holds its graph, hence the weights of its model and what the optimizer keeps beside them.

Of TensorFlow (2.21) this needs how its registry of gradients is laid out, which is not public. Knows no
trial.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

# What tf.custom_gradient registers, and the room that does it: a loaded model registers its own elsewhere.
_NAME, _ROOM = "CustomGradient-", "tensorflow.python.ops.custom_gradient"


def lay() -> None:
    """From now on, have gradients of functions registered so. Called once a process."""
    registering = ops.RegisterGradient.__call__

    @wraps(registering)
    def register(self: Any, gradient: Callable[..., Any]) -> Callable[..., Any]:
        if not self._op_type.startswith(_NAME) or gradient.__module__ != _ROOM:
            return registering(self, gradient)
        registering(self, _lent(gradient, partial(_forget, self._op_type)))
        # A graph lives as long as any that it is a part of.
        graph = ops.get_default_graph()
        graph._automl_gradients = [*getattr(graph, "_automl_gradients", ()), gradient]
        return gradient

    ops.RegisterGradient.__call__ = register


def _lent(gradient: Callable[..., Any], lost: Callable[[Any], None]) -> Callable[..., Any]:
    """The gradient, for as long as another holds it; then `lost` is called."""
    held = weakref.ref(gradient, lost)

    @tf.autograph.experimental.do_not_convert
    def lent(op: Any, *grads: Any) -> Any:
        found = held()
        assert found is not None  # whoever has the operation has its graph
        return found(op, *grads)

    return lent


def _forget(name: str, _: Any) -> None:
    ops.gradient_registry._registry.pop(name, None)
