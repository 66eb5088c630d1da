"""The publisher: real weights of both frameworks and of scikit-learn leave as verified model folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import skops.io
import torch
from sklearn.ensemble import RandomForestClassifier

from automl.errors import WorkerError
from automl.export import __main__ as publishing
from automl.export import automl_model_loader, base, rehearsal
from automl.export.base import GONE_S, Order, Package, Publisher, publish, publisher_environment
from automl.forkserver import Forkserver
from automl.process import shared_environment

PROJECT = Path(__file__).parent / "project"
ROWS = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
PICKLED = {".pkl", ".pth", ".pickle", ".cloudpickle", ".joblib"}

AWKWARD = '''
import torch

class Awkward(torch.nn.Module):
    """Its forward depends on values, which no exported graph can hold."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, width)

    def forward(self, x):
        y = self.layer(x)
        return y + 1 if float(x.sum()) > 0 else y
'''

OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable("own")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def net(width: int = 2):
    return keras.Sequential([keras.Input((8,)), Doubled(), keras.layers.Dense(width)])
"""

# Loads a model folder as a stranger would: no project on the path, no automl in sight, no pickles.
STRANGER = """
import json, sys
import mlflow.pyfunc, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
example = np.load(sys.argv[2])["x"]
print("ANSWER" + json.dumps({
    "rows": np.asarray(model.predict(example)).tolist(),
    "inputs": model.metadata.signature.inputs.to_dict(),
    "example": model.metadata.saved_input_example_info is not None,
    "automl": "automl" in sys.modules,
}))
"""


def weights(tmp_path: Path) -> Path:
    """The folder that a worker leaves, with an input example."""
    folder = tmp_path / "weights"
    folder.mkdir()
    np.savez(folder / "example.npz", x=ROWS)
    return folder


def linear(prefix: str, classes: int) -> dict[str, torch.Tensor]:
    """The state of a linear layer on 8 inputs."""
    return {f"{prefix}.weight": torch.randn(classes, 8), f"{prefix}.bias": torch.randn(classes)}


@pytest.fixture(scope="module")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models saved by Keras, in a process of its own: one framework a process."""
    folder = tmp_path_factory.mktemp("keras")
    (folder / "own_layers.py").write_text(OWN_LAYER)
    script = (
        "import own_layers; from trainers import tiny_keras\n"
        "own_layers.net(4).save('own.keras'); tiny_keras.net().save('tiny.keras')\n"
        "import keras; keras.config.set_dtype_policy('mixed_bfloat16'); tiny_keras.net().save('half.keras')"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True, timeout=120)
    return folder


def stranger(package: Package, tmp_path: Path, rows: np.ndarray = ROWS) -> dict[str, Any]:
    """What a program without automl, without the project and without pickles makes of a model."""
    np.savez(tmp_path / "asked.npz", x=rows)
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    command = [sys.executable, "-P", "-c", STRANGER, package.path, str(tmp_path / "asked.npz")]
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, timeout=120, capture_output=True, text=True
    )
    return dict(json.loads(said.stdout.partition("ANSWER")[2]))


def saved(folder: Path) -> set[str]:
    return {file.suffix for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., Order]:
    def make(**changes: Any) -> Order:
        facts = {"root": str(PROJECT), "arguments": {"model": {}}, "weights": str(tmp_path / "weights")}
        return Order(**{**facts, "out": str(tmp_path / "model"), "values": [0.9], "trial": 3, **changes})

    return make


def test_a_lightning_winner_leaves_as_a_graph_of_any_batch_size(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    state = linear("net.1", 3)
    torch.save(state, weights(tmp_path) / "state_dict.pt")
    package = publish(order(framework="lightning", model="trainers.tiny_lightning:TinyNet"))

    assert (package.format, package.note) == ("pt2", None)
    answer = stranger(package, tmp_path)
    wanted = ROWS @ state["net.1.weight"].numpy().T + state["net.1.bias"].numpy()
    assert np.allclose(answer["rows"], wanted, atol=1e-4)
    assert answer["inputs"][0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, 8]}
    assert answer["example"]
    assert not answer["automl"]
    assert not saved(tmp_path / "model") & PICKLED


def test_a_module_that_cannot_be_traced_leaves_as_a_state_dict_with_its_code(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    package_folder = tmp_path / "root" / "own_nets"
    package_folder.mkdir(parents=True)
    (package_folder / "__init__.py").touch()
    (package_folder / "awkward.py").write_text(AWKWARD)
    torch.save(linear("layer", 3), weights(tmp_path) / "state_dict.pt")
    facts = {"model": "own_nets.awkward:Awkward", "root": str(package_folder.parent)}
    package = publish(order(framework="lightning", arguments={"model": {"width": 3}}, **facts))

    assert package.format == "state_dict"
    assert package.note is not None and package.note.startswith("pt2: ")
    assert [file.name for file in (tmp_path / "model").rglob("awkward.py")] == ["awkward.py"]
    assert {file.suffix for file in (tmp_path / "model" / "data").rglob("*.*")} == {".pt", ".json"}


def test_a_model_that_needs_code_from_beside_its_package_is_refused(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    """The one who builds it has that code at hand; the one who verifies it has never seen the project."""
    root = tmp_path / "root"
    (root / "own_nets").mkdir(parents=True)
    (root / "own_nets" / "__init__.py").touch()
    (root / "own_nets" / "awkward.py").write_text("import lies_beside\n" + AWKWARD)
    (root / "lies_beside.py").touch()
    torch.save(linear("layer", 2), weights(tmp_path) / "state_dict.pt")
    with pytest.raises(WorkerError, match=r"no format .* No module named 'lies_beside'"):
        publish(order(framework="lightning", model="own_nets.awkward:Awkward", root=str(root)))
    assert not (tmp_path / "model").exists()


def test_a_keras_winner_leaves_in_keras_own_format(
    tmp_path: Path, order: Callable[..., Order], keras_models: Path
) -> None:
    shutil.copy(keras_models / "tiny.keras", weights(tmp_path) / "model.keras")
    package = publish(order(framework="keras", model="trainers.tiny_keras:net"))

    assert package.format == "keras"
    described = (tmp_path / "model" / "MLmodel").read_text()
    assert '"shape": [-1, 8]' in described
    assert "input_example.json" in described
    assert not saved(tmp_path / "model") & PICKLED


def test_a_keras_winner_in_half_precision_leaves_alike(
    tmp_path: Path, order: Callable[..., Order], keras_models: Path
) -> None:
    shutil.copy(keras_models / "half.keras", weights(tmp_path) / "model.keras")
    assert publish(order(framework="keras", model="trainers.tiny_keras:net")).format == "keras"
    described = (tmp_path / "model" / "MLmodel").read_text()
    assert "bfloat16" not in described
    assert '"dtype": "float32"' in described


def test_a_projects_own_keras_layers_leave_as_code_and_not_as_a_pickle(
    tmp_path: Path, order: Callable[..., Order], keras_models: Path
) -> None:
    shutil.copy(keras_models / "own.keras", weights(tmp_path) / "model.keras")
    package = publish(order(framework="keras", model="own_layers:net", root=str(keras_models)))

    assert package.format == "keras_code"
    assert [file.name for file in (tmp_path / "model").rglob("own_layers.py")] == ["own_layers.py"]
    assert not saved(tmp_path / "model") & PICKLED


def test_an_estimator_leaves_as_skops_and_loads_where_pickles_are_refused(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    (tmp_path / "weights").mkdir()
    forest = RandomForestClassifier(5, random_state=0).fit(ROWS, np.arange(len(ROWS)) % 2)
    skops.io.dump(forest, tmp_path / "weights" / "model.skops")
    package = publish(order(framework="function", model="trainers.tiny_function:quadratic"))

    assert package.format == "skops"
    answer = stranger(package, tmp_path, ROWS.astype("float64"))
    assert answer["rows"] == forest.predict(ROWS).tolist()


def test_a_callable_that_returned_no_estimator_is_told_how_to_publish_one(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    (tmp_path / "weights").mkdir()
    with pytest.raises(WorkerError, match="Return a scikit-learn estimator"):
        publish(order(framework="function", model="trainers.tiny_function:quadratic"))
    assert not (tmp_path / "model").exists()


def test_weights_that_do_not_fit_their_model_are_one_line_and_leave_nothing(
    tmp_path: Path, order: Callable[..., Order]
) -> None:
    torch.save(linear("other", 2), weights(tmp_path) / "state_dict.pt")
    with pytest.raises(WorkerError) as caught:
        publish(order(framework="lightning", model="trainers.tiny_lightning:TinyNet"))
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weights"]


def nice_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel shares by processes alone")
@pytest.mark.parametrize("framework", ["keras", "function"])  # whose verifiers are started, and forked
def test_trials_go_first_until_the_publisher_has_an_order(
    order: Callable[..., Order], framework: str
) -> None:
    said = order(framework=framework, model="trainers.tiny_function:quadratic")
    publisher = Publisher(framework, said.root)
    process = psutil.Process(publisher.pid)
    while not process.children():
        time.sleep(0.01)
    verifier = process.children()[0]
    while [nice_of(each.pid) for each in (process, verifier)] != [19, 19]:
        time.sleep(0.01)
    process.suspend()
    with ThreadPoolExecutor() as pool, closing(publisher):
        ordered = pool.submit(publisher.publish, said, 5.0)
        while nice_of(process.pid) or nice_of(verifier.pid):
            assert not ordered.done()
            time.sleep(0.01)
        with pytest.raises(WorkerError, match="longer than 5 s"):
            ordered.result()


@pytest.mark.parametrize("framework", ["lightning", "keras", "function"])
def test_whoever_packs_has_saved_a_model_of_its_framework_before_and_left_nothing(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    for name in rehearsal.MODELS:
        save = rehearsal.MODELS[name]
        monkeypatch.setitem(
            rehearsal.MODELS,  # type: ignore[arg-type]
            name,
            lambda out, described, name=name, save=save: (save(out, described), saved.append(name)),
        )
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rehearsal.rehearse(framework)
    assert saved == ([framework] if framework != "function" else [])
    # torch makes a folder for its cache, which a publisher has in its scratch.
    assert not [each for each in tmp_path.iterdir() if not each.name.startswith("torchinductor")]


def test_the_publisher_has_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hunter2@example.org")
    monkeypatch.setenv("AUTOML_LEDGER", "postgresql://me:hunter2@db/automl")
    environment = publisher_environment("lightning", str(tmp_path))
    assert not [name for name, value in environment.items() if "hunter2" in value]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forkserver]:
    """A process that has imported Lightning, where somebody has secrets and a module named as MLflow is."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "mlflow.py").write_text("raise SystemExit('not this one')")
    monkeypatch.setenv("AUTOML_OWNER", "somebody")
    monkeypatch.setattr(base, "BORN_S", 60.0)  # a driver comes here when trials have run; this, at once
    server = Forkserver("lightning", str(root), shared_environment(1), tmp_path / "server.log")
    yield server
    server.close()


def test_a_publisher_is_forked_off_what_has_its_framework_and_ends_with_its_driver_alone(
    tmp_path: Path, order: Callable[..., Order], server: Forkserver
) -> None:
    torch.save(linear("net.1", 3), weights(tmp_path) / "state_dict.pt")
    with closing(Publisher("lightning", str(tmp_path), server)) as publisher:
        assert psutil.Process(publisher.pid).ppid() == server.pid
        server.close()  # the engine has ended, and its workers' server with it
        asked = order(framework="lightning", model="trainers.tiny_lightning:TinyNet")
        package = publisher.publish(asked)
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < GONE_S, "nobody waits for whoever buries it"
    assert package.format == "pt2"
    assert len(stranger(package, tmp_path)["rows"]) == len(ROWS)
    assert (
        not psutil.pid_exists(publisher.pid) or psutil.Process(publisher.pid).status() == psutil.STATUS_ZOMBIE
    )


def test_a_forked_publisher_leaves_with_whoever_asked_for_it(server: Forkserver, tmp_path: Path) -> None:
    publisher = Publisher("lightning", str(tmp_path), server)
    verifier = until(lambda: next(iter(psutil.Process(publisher.pid).children()), None))
    process = psutil.Process(publisher.pid)
    publisher._line.close()  # as when its driver is killed
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    until(lambda: not verifier.is_running() or verifier.status() == psutil.STATUS_ZOMBIE)
    publisher.close()


def test_a_publisher_that_is_born_too_late_leaves_and_another_does_its_work(
    server: Forkserver, tmp_path: Path, order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BORN_S", 0.1)
    process = psutil.Process(server.pid)
    process.suspend()
    torch.save(linear("net.1", 3), weights(tmp_path) / "state_dict.pt")
    with closing(Publisher("lightning", str(tmp_path), server)) as publisher:
        assert psutil.Process(publisher.pid).ppid() == os.getpid()
        process.resume()
        with open(os.devnull, "r+b") as nothing:  # answered after the one before it
            birth = server.fork({}, nothing.fileno(), nothing.fileno(), base.PROGRAM)
        with birth:
            assert birth.recv(32)
        until(lambda: not process.children())
        assert publisher.publish(order(framework="lightning", model="trainers.tiny_lightning:TinyNet"))


def until(found: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + 60
    while not (thing := found()):
        assert time.monotonic() < end_s
        time.sleep(0.05)
    return thing


def test_a_fork_forgets_what_an_interpreter_reads_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"AUTOML_OWNER": "somebody", "MLFLOW_S3_ENDPOINT_URL": "http://example.org"}
    monkeypatch.setattr(os, "environ", {**os.environ, **told})
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(tempfile, "tempdir", "/elsewhere")
    before = list(sys.path)
    publishing._begin_anew()
    assert not [name for name in os.environ if name.startswith(("AUTOML_", "MLFLOW_S3_"))]
    assert (sys.path, sys.dont_write_bytecode, tempfile.tempdir) == (before[1:], True, None)


def test_where_no_fork_can_be_had_the_publisher_starts_by_itself(
    tmp_path: Path, order: Callable[..., Order], server: Forkserver
) -> None:
    server.close()
    with closing(Publisher("lightning", str(tmp_path), server)) as publisher:
        assert psutil.Process(publisher.pid).ppid() == os.getpid()


# What is installed here is hidden, as on a machine that has the model alone.
ALONE = """
import importlib.util, pathlib, sys
sys.path[:] = [each for each in sys.path if not pathlib.Path(each, "automl").is_dir()]
sys.meta_path[:] = [each for each in sys.meta_path if each.__module__.startswith("_frozen_importlib")]
assert importlib.util.find_spec("automl") is None
import automl_model_loader
print(automl_model_loader.resolve("mine:net")(3), automl_model_loader.resolve("mine:data")(4))
"""


def test_code_that_prepares_data_comes_with_a_model_to_where_automl_is_not_installed(tmp_path: Path) -> None:
    shutil.copy(Path(automl_model_loader.__file__), tmp_path)
    code = "import automl\n\n@automl.prepared\ndef data(n):\n    return n\n\ndef net(n):\n    return 2 * n\n"
    (tmp_path / "mine.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "6 4\n", done.stderr
