"""What `fit.*` of Keras may be beyond `Model.fit`: `precision` and `jit_compile`. Knows no trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from automl import project

_POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
# Lightning's words for the same, so that one parameter serves both in one study.
_LIGHTNINGS = {
    "32-true": "float32",
    "64-true": "float64",
    "16-true": "float16",
    "bf16-true": "bfloat16",
    "16-mixed": "mixed_float16",
    "bf16-mixed": "mixed_bfloat16",
    "bf16": "mixed_bfloat16",
    **dict.fromkeys(("32", 32), "float32"),
    **dict.fromkeys(("64", 64), "float64"),
    **dict.fromkeys(("16", 16), "mixed_float16"),
}
HOUSE = ("precision", "jit_compile")


def signature() -> dict[str, Any]:
    """That of `Model.fit`, with the house's own."""
    found = {**project.signature(keras.Model.fit), "name": "keras.Model.fit"}
    found = project.offered(found, "precision", [*_POLICIES, *_LIGHTNINGS])
    return project.offered(found, "jit_compile", [True, False, "auto"])


@contextlib.contextmanager
def precision(word: str | int | None) -> Iterator[None]:
    """Keras' global dtype policy within; afterwards it is as it was, for the worker's next trial.

    Args:
        word: the policy's name, or Lightning's word for it; None leaves the policy alone.
    """
    before = keras.config.dtype_policy()
    if word is not None:
        keras.config.set_dtype_policy(_LIGHTNINGS.get(word, word))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def jit(model: keras.Model, asked: bool | str | None) -> None:
    """Compile the model's steps with XLA or not, whatever it was compiled with.

    Args:
        asked: true, false, or `auto`, which is Keras' own choice; None leaves the model as it is.
    """
    if asked is not None:
        model.jit_compile = None if asked == "auto" else asked
