"""Model folders in MLflow's flavours: written, described and read back. The publisher's hands.

Knows no torch and no Keras by itself; nothing that it writes needs a pickle to be read.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Example = Any  # an array [batch, ...], or a mapping of names to such arrays


@dataclass(frozen=True)
class Description:
    """What every model folder says of itself.

    Args:
        example: a few rows of input, batch first, more than one.
        prediction: what the original model makes of them.
        requirements: pinned pip requirements.
        code: folders or files of Python that the model needs to be loaded.
        metadata: plain facts, such as the search and the trial.
    """

    example: Example
    prediction: Any
    requirements: Sequence[str]
    code: Sequence[Path] = ()
    metadata: Mapping[str, Any] | None = None

    def common(self) -> dict[str, Any]:
        """The arguments that all flavours share."""
        from mlflow.models import infer_signature

        return {
            "signature": infer_signature(self.example, self.prediction),
            "pip_requirements": list(self.requirements),
            "code_paths": [str(path) for path in self.code] or None,
            "metadata": dict(self.metadata or {}),
        }


def save_pytorch(module: Any, out: Path, described: Description) -> None:
    """A torch module as an exported graph (pt2), its batch size free.

    Raises:
        Exception: whatever `torch.export` makes of a module that it cannot trace.
    """
    import mlflow.pytorch

    mlflow.pytorch.save_model(
        module, str(out), input_example=described.example, serialization_format="pt2", **described.common()
    )


def save_keras(model: Any, out: Path, described: Description) -> None:
    """A Keras model in its own `.keras` format, through `mlflow.tensorflow`."""
    import mlflow.tensorflow

    mlflow.tensorflow.save_model(
        model,
        str(out),
        input_example=described.example,
        **described.common(),
    )


def save_loader(loader: str, data: Path, out: Path, described: Description) -> None:
    """Files and the module that loads them: `loader` must be among `described.code`."""
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        str(out),
        loader_module=loader,
        data_path=str(data),
        input_example=described.example,
        **described.common(),
    )


def warm(modules: Sequence[str]) -> None:
    """Imports what loading a model will need, ahead of it."""
    for module in ("mlflow.pyfunc", *modules):
        importlib.import_module(module)


def predict(folder: Path, example: Example) -> Any:
    """What the model in a folder, loaded anew, makes of an example."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder)).predict(example)
