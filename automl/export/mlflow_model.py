"""Weights to a verified MLflow model folder, without pickles. Knows no search and no server.

Lightning modules become exported graphs (pt2) with a free batch size; one that `torch.export`
cannot trace leaves as its state dict with the project's code. Keras models leave as `.keras`,
scikit-learn's estimators as skops. A folder counts only when a fresh process, without the project
on its path and with pickles refused, loads it and predicts what the original does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import StorageError
from automl.export import automl_model_loader as loader
from automl.export.base import Order
from automl.export.verify import Verifier, batches, readable
from automl.trackers import flavors

EXAMPLE_ROWS = 8
LOADER = "automl_model_loader"


@dataclass(frozen=True)
class Original:
    """The model as it was trained, in this process.

    Args:
        model: the module, Keras model or estimator.
        predict: arrays, batch first, to arrays.
        example: a few rows of input, at least two.
        formats: what to try, by name, the best first.
        rough: whether it computes in half precision.
    """

    model: Any
    predict: Callable[[Any], Any]
    example: Any
    formats: Mapping[str, Callable[[Path, flavors.Description], None]]
    rough: bool = False


def build(order: Order, verifier: Verifier) -> dict[str, Any]:
    """Builds the model folder and has it verified.

    Returns:
        `path`, `format`, `verified`, `seconds` and, where the first format failed, `note`.

    Raises:
        StorageError: the weights or the example are missing.
        Exception: what the last format that was tried died of.
    """
    begun_s = time.monotonic()
    sys.path.insert(0, order.root)
    original = ORIGINALS[order.framework](order)
    expected = batches(original.example, original.predict, original.rough)
    said: list[str] = []
    for name, save in original.formats.items():
        try:
            _write(order, original, name, save, verifier, expected)
        except Exception as error:
            said.append(f"{name}: {one_line(error)}")
            continue
        seconds = round(time.monotonic() - begun_s, 3)
        facts = {"path": order.out, "format": name, "verified": True, "seconds": seconds}
        return {**facts, "note": said[0]} if said else facts
    raise StorageError(f"no format of {order.model} can be published. {'; '.join(said)}")


def _write(
    order: Order,
    original: Original,
    name: str,
    save: Callable[[Path, flavors.Description], None],
    verifier: Verifier,
    expected: Any,
) -> None:
    """One format, beside its place; moved there once it is verified."""
    out = Path(order.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        folder = Path(beside) / "model"
        save(folder, _describe(order, original, name))
        verifier.verify(folder, expected)
        if out.exists():
            os.replace(out, Path(beside) / "old")
        os.replace(folder, out)


def _describe(order: Order, original: Original, name: str) -> flavors.Description:
    metadata = {"automl.model": order.model, "automl.trial": order.trial, "automl.values": list(order.values)}
    needs_code = name in NEEDS_CODE
    code = [Path(loader.__file__), *_project_code(order, name)] if needs_code else []
    prediction = original.predict(original.example)
    return flavors.Description(original.example, prediction, _requirements(name), code, metadata)


def _project_code(order: Order, name: str) -> list[Path]:
    """The folder or file of the package that the model's address begins with."""
    if name == "skops":
        return []
    top = Path(order.root) / order.model.partition(":")[0].partition(".")[0]
    return [top] if top.is_dir() else [top.with_suffix(".py")]


# --- frameworks ------------------------------------------------------------------------------


def _lightning(order: Order) -> Original:
    import torch

    weights = Path(order.weights)
    _require(weights / "state_dict.pt")
    arguments = dict(order.arguments.get("model") or {})
    module = loader.load_torch(weights, order.model, arguments)
    example = _example(order)

    def pt2(out: Path, described: flavors.Description) -> None:
        if isinstance(example, Mapping):
            raise TypeError("a mapping of inputs cannot be exported as a graph")
        with torch.no_grad():
            flavors.save_pytorch(module, out, described)

    def state_dict(out: Path, described: flavors.Description) -> None:
        _save_with_loader("state_dict", weights / "state_dict.pt", order, out, described)

    formats = {"pt2": pt2, "state_dict": state_dict}
    return Original(module, lambda x: loader.run_torch(module, x), example, formats)


def _keras(order: Order) -> Original:
    import keras

    weights = Path(order.weights)
    _require(weights / "model.keras")
    model = loader.load_keras(weights, order.model)
    # MLflow pickles whatever is registered with Keras; what a project's own layers need is its code.
    own = bool(keras.saving.get_custom_objects()) or any(
        not type(layer).__module__.startswith("keras.") for layer in [model, *model._flatten_layers()]
    )

    def plain(out: Path, described: flavors.Description) -> None:
        flavors.save_keras(model, out, described)

    def with_code(out: Path, described: flavors.Description) -> None:
        _save_with_loader("keras", weights / "model.keras", order, out, described)

    formats = {"keras_code": with_code} if own else {"keras": plain, "keras_code": with_code}
    halves = ("float16", "bfloat16")
    rough = any(layer.compute_dtype in halves for layer in model._flatten_layers(include_self=False))
    return Original(model, lambda x: _outputs(loader.run_keras(model, x)), _example(order), formats, rough)


def _outputs(made: Any) -> Any:
    """What Keras predicted, in types that numpy has."""
    return (
        {name: readable(each) for name, each in made.items()} if isinstance(made, Mapping) else readable(made)
    )


def _function(order: Order) -> Original:
    weights = Path(order.weights)
    if not (weights / "model.skops").is_file():
        raise StorageError(f"{order.model} left no model. Return a scikit-learn estimator to publish one")
    estimator = loader.load_skops(weights)

    def skops(out: Path, described: flavors.Description) -> None:
        _save_with_loader("skops", weights / "model.skops", order, out, described)

    return Original(estimator, estimator.predict, _example(order, estimator), {"skops": skops})


ORIGINALS: Mapping[str, Callable[[Order], Original]] = {
    "lightning": _lightning,
    "keras": _keras,
    "function": _function,
}
NEEDS_CODE = frozenset({"state_dict", "keras_code", "skops"})
REQUIREMENTS = {
    "pt2": ("torch",),
    "state_dict": ("torch", "pytorch-lightning"),
    "keras": ("keras", "tensorflow", "tensorflow-cpu"),
    "keras_code": ("keras", "tensorflow", "tensorflow-cpu"),
    "skops": ("scikit-learn", "skops"),
}


def _save_with_loader(kind: str, file: Path, order: Order, out: Path, described: flavors.Description) -> None:
    facts = {"kind": kind, "model": order.model, "arguments": dict(order.arguments.get("model") or {})}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        shutil.copy(file, data / file.name)
        (data / "loader.json").write_text(json.dumps(facts))
        flavors.save_loader(LOADER, data, out, described)


def _example(order: Order, estimator: Any = None) -> Any:
    """The input example: an array, or arrays by name; at least two rows, so that no size freezes."""
    file = Path(order.example or Path(order.weights) / "example.npz")
    if not file.is_file() and hasattr(estimator, "n_features_in_"):
        return np.zeros((2, int(estimator.n_features_in_)))
    _require(file)
    with np.load(file, allow_pickle=False) as arrays:
        named = {name: _rows(arrays[name]) for name in arrays.files}
    if "x" in named:
        return named["x"]
    return {name.removeprefix("x_"): rows for name, rows in named.items()}


def _rows(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, rows])[:EXAMPLE_ROWS] if len(rows) < 2 else rows[:EXAMPLE_ROWS]


def _require(file: Path) -> None:
    if not file.is_file():
        raise StorageError(f"{file} is missing: the worker saved no {file.name} for this trial")


def _requirements(name: str) -> list[str]:
    """Exact versions of what the model needs to be loaded, of those that are installed."""
    pinned = []
    for package in ("mlflow", "numpy", *REQUIREMENTS[name]):
        try:
            pinned.append(f"{package}=={version(package).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return pinned


def one_line(error: BaseException) -> str:
    """An exception as a fault shows it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
