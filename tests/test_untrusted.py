"""Checkpoints, weights and models that somebody else wrote: nothing that lies in them is ever run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automl.engines.base import Answer
from automl.export.base import publisher_environment
from automl.host import Host
from tests.test_frameworks import CPUS, ROOT, SUBJECTS, checkpoint_of, runner

# Each writes what would run a command, shows that it does where nobody takes care, then loads it as we do.
TRAP = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
ran = folder / "ran"

class Trap:
    def __reduce__(self):
        return os.system, (f"touch {ran}",)

def sprung():
    there = ran.exists()
    ran.unlink(missing_ok=True)
    return there

def refused(load):
    try:
        load()
    except Exception as error:
        print("REFUSED", type(error).__name__, str(error)[:200].replace(chr(10), " "))
    else:
        print("LOADED")
    print("RAN" if sprung() else "NOTHING RAN")
"""
WEIGHTS = {
    "lightning": """
import torch
from automl.frameworks.base import framework
from trainers.tiny_lightning import TinyNet
torch.save({**TinyNet().state_dict(), "extra": Trap()}, folder / "state_dict.pt")
torch.load(folder / "state_dict.pt", weights_only=False)
assert sprung()
refused(lambda: framework("lightning").load(TinyNet, {}, folder))
""",
    "keras": """
from automl.frameworks.base import framework
vendor = framework("keras")
import keras
from trainers.tiny_keras import net
inside = keras.layers.Lambda(eval(f"lambda x: (__import__('os').system('touch {ran}'), x)[1]"))
keras.Sequential([keras.Input((2,)), inside]).save(folder / "model.keras")
sprung()
keras.saving.load_model(folder / "model.keras", safe_mode=False)
assert sprung()
refused(lambda: vendor.load(net, {}, folder))
""",
    "function": """
import functools, skops.io
from automl.frameworks.base import framework
skops.io.dump(functools.partial(os.system, f"touch {ran}"), folder / "model.skops")
refused(lambda: framework("function").load(None, {}, folder))
import pickle
(folder / "model.skops").write_bytes(pickle.dumps(Trap()))
refused(lambda: framework("function").load(None, {}, folder))
""",
    "packed function": """
import functools, skops.io
from automl.export.automl_model_loader import load_skops
skops.io.dump(functools.partial(os.system, f"touch {ran}"), folder / "model.skops")
refused(lambda: load_skops(folder))
""",
    "packed state_dict": """
import torch
from automl.export import automl_model_loader as loader
from trainers.tiny_lightning import TinyNet
torch.save({**TinyNet().state_dict(), "extra": Trap()}, folder / "state_dict.pt")
refused(lambda: torch.load(folder / "state_dict.pt", map_location="cpu", weights_only=True))
""",
}
# What packs and verifies the winner refuses pickles, whichever of MLflow's flavours brings them.
MODEL = """
import mlflow, mlflow.pyfunc
class Model(mlflow.pyfunc.PythonModel):
    def __init__(self):
        self.trap = Trap()
    def predict(self, context, model_input):
        return model_input
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"
mlflow.pyfunc.save_model(str(folder / "model"), python_model=Model(), pip_requirements=[])
sprung()
mlflow.pyfunc.load_model(str(folder / "model"))
assert sprung()
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = said
refused(lambda: mlflow.pyfunc.load_model(str(folder / "model")))
"""


def told(script: str, folder: Path, env: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TRAP + script, str(folder)],
        cwd=ROOT,
        env={**env, "PYTHONPATH": f"{ROOT.parents[1]}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("kind", list(WEIGHTS))
def test_weights_with_a_pickle_in_them_are_refused_and_it_does_not_run(kind: str, tmp_path: Path) -> None:
    lines = told(WEIGHTS[kind], tmp_path, dict(os.environ))
    judged = [line for line in lines if line.startswith(("REFUSED", "LOADED", "RAN", "NOTHING"))]
    assert judged and len(judged) % 2 == 0
    assert all(line.startswith("REFUSED") for line in judged[::2]), judged
    assert set(judged[1::2]) == {"NOTHING RAN"}


def test_a_model_folder_with_a_pickle_in_it_is_refused_where_models_are_packed(tmp_path: Path) -> None:
    env = publisher_environment("function", str(tmp_path))
    said = env["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
    lines = told(f"said = {said!r}\n{MODEL}", tmp_path, env)
    assert lines[-2].startswith("REFUSED") and lines[-1] == "NOTHING RAN", lines


# --- checkpoints -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hosts() -> Iterator[Callable[[str], Host]]:
    made: dict[str, Host] = {}
    yield lambda name: made.setdefault(name, Host(str(ROOT), CPUS))
    for host in made.values():
        host.close()


# Where each framework keeps what is not weights, and how a pickle is put there in its place.
POISON = {
    "lightning": """
import torch
file = folder / "trainer.ckpt"
kept = torch.load(file, weights_only=True)
part = sys.argv[2]
if part == "optimizer":
    kept["optimizer_states"] = [Trap()]
elif part == "generators":
    kept["loops"] = {"rng": Trap()}
else:
    kept["state_dict"] = Trap()
torch.save(kept, file)
""",
    "keras": """
import numpy as np
with np.load(folder / "variables.npz") as arrays:
    kept = {name: arrays[name] for name in arrays.files}
kept[list(kept)[-1]] = np.array([Trap()], dtype=object)
np.savez(folder / "variables.npz", **kept)
""",
}
SEAL = "from automl.manifest import seal, MANIFEST; (folder / MANIFEST).unlink(); seal(folder)\n"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("lightning", "weights"),
        ("lightning", "optimizer"),
        ("lightning", "generators"),
        ("keras", "variables"),
    ],
)
def test_a_checkpoint_with_a_pickle_in_it_is_passed_over_and_it_does_not_run(
    hosts: Callable[[str], Host], tmp_path: Path, name: str, part: str
) -> None:
    run = runner(hosts(name), SUBJECTS[name], tmp_path)
    first = run({1: Answer.STOP}, trial=1)
    place = Path(checkpoint_of(first))
    done = subprocess.run(
        [sys.executable, "-c", TRAP + POISON[name] + SEAL, str(place), part],
        env={**os.environ, "PYTHONPATH": str(ROOT.parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    second = run({2: Answer.END}, trial=1, attempt=2, checkpoint=str(place), step=1, reported=1)
    assert not (place / "ran").exists()
    assert second.steps[0] == 1, "it began anew"
    assert str(place) in second.log
