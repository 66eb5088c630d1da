"""Loads the models that MLflow has no flavour without pickles for. Shipped inside the model folder.

Stands alone: it imports nothing of automl, so that a model loads where automl is not installed.
`loader.json` says which kind of model lies beside it, and the address of the code that made it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# skops asks which types may be made; the list is here, not in the model that is to be judged.
TRUSTED = ("sklearn.", "numpy.", "scipy.", "builtins.", "collections.", "xgboost.", "lightgbm.")


class Predictor:
    """What MLflow calls.

    Args:
        call: array or mapping of arrays, batch first, to the same.
    """

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._call = call

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The predictions for a batch; `params` is MLflow's and not used."""
        return self._call(data)


def _load_pyfunc(path: str) -> Predictor:
    """MLflow's entry: the folder that `save_model(data_path=...)` was given."""
    folder = Path(path)
    facts = json.loads((folder / "loader.json").read_text())
    if facts["kind"] == "state_dict":
        module = load_torch(folder, facts["model"], facts["arguments"])
        return Predictor(lambda data: run_torch(module, data))
    if facts["kind"] == "keras":
        model = load_keras(folder, facts["model"])
        return Predictor(lambda data: run_keras(model, data))
    return Predictor(load_skops(folder).predict)


def resolve(address: str) -> Any:
    """The class or function behind `package.module:Name`."""
    if "automl" not in sys.modules and importlib.util.find_spec("automl") is None:
        # Code that a trainer marks as `automl.prepared` makes data, which no published model needs.
        stand_in: Any = types.ModuleType("automl")
        stand_in.prepared = lambda function: function
        sys.modules["automl"] = stand_in
    module, _, name = address.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def load_torch(folder: Path, address: str, arguments: Mapping[str, Any]) -> Any:
    """A torch module, built by its class and filled from `state_dict.pt`, ready to predict."""
    import torch

    module = resolve(address)(**arguments)
    module.load_state_dict(torch.load(folder / "state_dict.pt", map_location="cpu", weights_only=True))
    return module.eval()


def run_torch(module: Any, data: Any) -> Any:
    """Arrays in, arrays out."""
    import torch

    with torch.no_grad():
        return plain(module(_each(torch.as_tensor, data)))


def load_keras(folder: Path, address: str) -> Any:
    """A Keras model from `model.keras`, with the layers that its own project defines."""
    import keras

    resolve(address)
    own = address.partition(":")[0].partition(".")[0]
    modules = [m for name, m in list(sys.modules.items()) if name == own or name.startswith(f"{own}.")]
    known = {name: value for module in modules for name, value in vars(module).items() if callable(value)}
    registered = dict(keras.saving.get_custom_objects())
    return keras.saving.load_model(
        folder / "model.keras", custom_objects={**known, **registered}, compile=False, safe_mode=True
    )


def run_keras(model: Any, data: Any) -> Any:
    """Arrays in, arrays out."""
    return plain(model(_each(np.asarray, data), training=False))


def load_skops(folder: Path) -> Any:
    """A scikit-learn estimator from `model.skops`.

    Raises:
        TypeError: it holds types of other packages, which are not made.
    """
    import skops.io

    file = folder / "model.skops"
    found = skops.io.get_untrusted_types(file=file)
    if foreign := [name for name in found if not name.startswith(TRUSTED)]:
        raise TypeError(f"{file.name} holds types that are not scikit-learn's: {', '.join(foreign)}")
    return skops.io.load(file, trusted=found)


def plain(value: Any) -> Any:
    """A model's output as arrays; several outputs by name, or as `output_0`, `output_1`..."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return {f"output_{i}": plain(part) for i, part in enumerate(value)}
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _each(change: Callable[[Any], Any], data: Any) -> Any:
    if isinstance(data, Mapping):
        return {name: change(value) for name, value in data.items()}
    return change(data)
