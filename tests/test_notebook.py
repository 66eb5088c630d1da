"""The notebook runs from its first cell to its last, in a kernel of its own, and writes nothing here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "notebooks/first_search.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its outputs, run in a copy of this project."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("trainers", "search_spaces", "notebooks"):
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    notebook = nbformat.read(project / NOTEBOOK, as_version=4)
    manager = KernelManager(kernel_name="python3")
    client = NotebookClient(notebook, km=manager, timeout=240)
    env = {k: v for k, v in os.environ.items() if k not in ("AUTOML_LEDGER", "MLFLOW_TRACKING_URI")}
    client.execute(cwd=str(project / "notebooks"), env=env)
    return notebook


def outputs(notebook: Any, source: str) -> list[Any]:
    """What the cell that contains `source` put out."""
    (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
    return list(cell.outputs)


def test_the_search_ends_and_its_picture_is_replaced_in_place(executed: Any) -> None:
    shown = outputs(executed, "automl.run(search")
    pictures = [output for output in shown if output.output_type == "display_data"]
    assert len(pictures) == 1
    assert "COMPLETE" in pictures[0].data["text/plain"]
    assert "best  trial" in pictures[0].data["text/html"]
    assert shown[-1].data["text/plain"].startswith("('ENDED', ")


def test_the_check_finds_nothing(executed: Any) -> None:
    for source in ("automl.check(search)", "automl.check(mine)"):
        assert outputs(executed, source)[-1].data["text/plain"] == "[]"


def test_the_table_has_every_trial_and_the_model_predicts(executed: Any) -> None:
    table = outputs(executed, "result.trials()")[-1].data["text/plain"]
    assert "6 rows" in table or len(table.splitlines()) >= 7
    accuracy = outputs(executed, "model.predict")[-1].data["text/plain"]
    assert float(accuracy.removeprefix("np.float64(").rstrip(")")) > 0.5


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(ROOT / NOTEBOOK, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
