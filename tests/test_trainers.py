"""The trainers that people copy: each is really trained, and reads the data that people have.

TensorFlow lives in a process of its own: two frameworks in one process get in each other's way.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import skops.io
import torch
from ruamel.yaml import YAML

from trainers import function, images, splits, table
from trainers.digits_torch import DigitsData, DigitsNet
from trainers.resnet import ImagesData, ResNet
from trainers.tabular import TableData, TableNet

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def fit(
    model: pl.LightningModule, data: pl.LightningDataModule, epochs: int, **settings: Any
) -> dict[str, float]:
    """Train quietly on the CPU; the metrics of the last epoch."""
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", enable_model_summary=False, **quiet, **settings
    )
    trainer.fit(model, datamodule=data)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def assert_rebuilds(model: pl.LightningModule, fresh: pl.LightningModule, x: torch.Tensor) -> None:
    """Parameters and state dict alone give the same predictions, also once exported."""
    fresh.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()})
    with torch.no_grad():
        wanted = model.eval()(x)
        assert torch.equal(fresh.eval()(x), wanted)
        batch = {0: torch.export.Dim("batch")}
        exported = torch.export.export(fresh, (x[:4],), dynamic_shapes=(batch,)).module()
        torch.testing.assert_close(exported(x), wanted)


def colour_images(file: Path) -> str:
    """Three classes of colour images, written as NPZ."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = rng.integers(0, 60, (60, 8, 8, 3)) + 190 * np.eye(3, dtype=int)[labels][:, None, None, :]
    np.savez(file, x=x.astype(np.uint8), y=labels)
    return str(file)


# --- Lightning ----------------------------------------------------------------------------------


def test_the_small_network_learns_the_digits_and_its_weights_rebuild_it() -> None:
    params: dict[str, Any] = {"hidden": 32, "layers": 2, "lr": 0.01}
    model, data = DigitsNet(**params), DigitsData()
    metrics = fit(model, data, epochs=3)
    assert metrics["val_accuracy"] > 0.7
    assert {"train_loss", "val_loss"} <= metrics.keys()
    assert_rebuilds(model, DigitsNet(**params), data.held.x)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
        {"optimizer": "adamw", "lr": 0.01, "augment": "shift", "width": 8},
    ],
)
def test_a_resnet_learns_the_digits_and_its_weights_rebuild_it(params: dict[str, Any]) -> None:
    model, data = ResNet(**params), ImagesData()
    assert fit(model, data, epochs=3)["val_accuracy"] > 0.5
    assert_rebuilds(model, ResNet(**params), data.held.x[:64])


def test_a_resnet_trains_in_mixed_precision_on_colour_images(tmp_path: Path) -> None:
    data = ImagesData(colour_images(tmp_path / "set.npz"), batch_size=16)
    model = ResNet(depth=14, width=4, lr=0.02)
    metrics = fit(model, data, epochs=4, precision="bf16-mixed")
    assert model.sizes.tolist() == [3, 8, 8, 3]
    assert np.isfinite(metrics["val_loss"])


def test_the_cosine_of_a_resnet_ends_at_zero() -> None:
    model = ResNet(lr=0.1, optimizer="sgd")
    fit(model, ImagesData(batch_size=256), epochs=1)
    optimizer = model.optimizers()
    assert not isinstance(optimizer, list)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("argument", "value"), [("depth", 9), ("optimizer", "adam")])
def test_a_resnet_refuses_what_it_cannot_build(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=argument):
        ResNet(**{argument: value})


def test_lightning_goes_on_from_its_own_checkpoint_and_loads_it(tmp_path: Path) -> None:
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(ResNet(width=4), datamodule=ImagesData(batch_size=256))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False)
    again.fit(
        ResNet(width=4), ImagesData(batch_size=256), ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    assert again.current_epoch == 2 and again.global_step == 2 * trainer.global_step
    loaded = ResNet.load_from_checkpoint(tmp_path / "last.ckpt", width=4, weights_only=True)
    assert loaded.sizes.tolist() == [1, 8, 8, 10]


# --- tables -------------------------------------------------------------------------------------


def people(count: int = 240) -> pd.DataFrame:
    """Numbers, text and booleans with holes; `likes` follows from two of them, `spends` from one."""
    rng = np.random.default_rng(0)
    age, colour = rng.uniform(10, 90, count), rng.choice(["red", "green", "blue"], count)
    frame = pd.DataFrame({"age": age, "colour": colour, "member": rng.random(count) > 0.5})
    frame["likes"] = np.where((age > 50) ^ (colour == "red"), "yes", "no")
    frame["spends"] = 100 + 3 * age
    frame.loc[::9, "age"] = np.nan
    frame.loc[::11, "colour"] = None
    return frame


def write_table(frame: pd.DataFrame, file: Path, **settings: Any) -> str:
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False, **settings)
    return str(file)


@pytest.mark.parametrize(
    ("path", "metric", "least"),
    [("breast_cancer", "val_accuracy", 0.85), ("wine", "val_accuracy", 0.7), ("diabetes", "val_r2", 0.2)],
)
def test_a_table_is_learned_and_the_weights_rebuild_the_network(path: str, metric: str, least: float) -> None:
    params: dict[str, Any] = {"hidden": 32, "layers": 1, "lr": 0.02}
    model, data = TableNet(**params), TableData(path)
    assert fit(model, data, epochs=5)[metric] > least
    assert_rebuilds(model, TableNet(**params), data.held.x)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("people.csv", {}),
        ("people.csv.gz", {}),
        ("people.csv", {"sep": ";", "na_rep": "?"}),
        ("people.parquet", {}),
    ],
)
def test_missing_values_and_text_columns_are_learned_from(
    tmp_path: Path, name: str, settings: dict[str, str]
) -> None:
    path = write_table(people().drop(columns="spends"), tmp_path / name, **settings)
    model, data = TableNet(lr=0.02), TableData(path, target="likes")
    assert fit(model, data, epochs=15)["val_accuracy"] > 0.75
    assert data.table.classes == ("no", "yes")
    assert data.table.codes == (0, 5, 0)  # unseen, missing, and three colours
    assert np.isnan(data.table.x[0, 0]) and data.table.x[0, 1] == table.ABSENT
    assert_rebuilds(model, TableNet(lr=0.02), data.held.x)


def test_a_csv_without_a_header_takes_its_target_by_index(tmp_path: Path) -> None:
    path = write_table(people(), tmp_path / "people.csv", header=False, na_rep="?")
    data = TableData(path, target=-1, header=False)
    metrics = fit(TableNet(lr=0.02), data, epochs=10)
    assert len(data.table.y) == 240 and data.table.classes == ()
    assert metrics["val_r2"] > 0.5 and metrics["val_rmse"] < 60


def test_rmse_and_r2_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import r2_score, root_mean_squared_error

    model, data = TableNet(), TableData("diabetes")
    metrics = fit(model, data, epochs=2)
    predicted, y = model.eval()(data.held.x).detach().numpy(), data.held.y.numpy()
    assert metrics["val_rmse"] == pytest.approx(root_mean_squared_error(y, predicted), rel=1e-4)
    assert metrics["val_r2"] == pytest.approx(r2_score(y, predicted), rel=1e-3)


def test_a_question_mark_in_parquet_text_is_a_missing_number(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": ["1", "?", " ", "4"] * 5, "b": ["u", "?", "v", "u"] * 5, "y": [0, 1, 0, 1] * 5}
    )
    found, _, _ = table.load(write_table(frame, tmp_path / "t.parquet"))
    assert found.codes == (0, 4)
    assert np.isnan(found.x[1:3, 0]).all() and found.x[0, 0] == 1.0
    assert found.x[1, 1] == table.ABSENT


def test_a_category_that_training_did_not_show_does_not_break_the_network(tmp_path: Path) -> None:
    frame = people().drop(columns="spends")
    _, held = splits.split((frame["likes"] == "yes").to_numpy(), 0.2, 0)
    frame.loc[held[0], "colour"] = "violet"
    model, data = TableNet(), TableData(write_table(frame, tmp_path / "t.csv"))
    assert np.isfinite(fit(model, data, epochs=1)["val_loss"])
    assert data.table.x[held[0], 1] == table.UNSEEN
    unknown = torch.tensor([[30.0, 77.0, 1.0], [30.0, float(table.UNSEEN), 1.0]])
    first, second = model.eval()(unknown)
    assert torch.equal(first, second)


def test_rows_without_a_target_are_left_out(tmp_path: Path) -> None:
    frame = people()
    frame.loc[:9, "likes"] = None
    found, train, held = table.load(write_table(frame, tmp_path / "t.csv"), target="likes")
    assert len(found.y) == len(train) + len(held) == 230


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "liks"}, "no column 'liks' among its 5. Did you mean likes?"),
        ({"target": 5}, "no column 5 among its 5. It has age, colour"),
        ({"target": "likes", "task": "regression"}, "holds text"),
        ({"task": "guess"}, "Choose auto, classification or regression"),
        ({"path": "nowhere.csv"}, "no such file"),
    ],
)
def test_a_wrong_table_or_target_is_told_with_its_mend(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    given = {"path": write_table(people(), tmp_path / "t.csv"), **arguments}
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        table.load(**given)


# --- the plain callable -------------------------------------------------------------------------


class Trial:
    """What a search gives to a callable, kept in a folder."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder, self.seed, self.number = folder, seed, 0
        self.resources, self.finished = {"cpus": 1}, False
        self.reports: list[tuple[int, dict[str, float]]] = []

    def report(self, metrics: dict[str, float], step: int) -> None:
        self.reports.append((step, metrics))

    def load_checkpoint(self) -> Path | None:
        return self.folder if any(self.folder.iterdir()) else None

    def save_checkpoint(self, folder: str, step: int | None = None) -> None:
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)

    def save_model(self, model: Any, example: Any) -> None:
        assert model.predict(example).shape == (4,)


def test_the_callable_learns_the_digits_and_returns_a_pipeline_that_skops_keeps(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    trial = Trial(tmp_path / "checkpoint")
    model = function.train(trial, epochs=4)
    assert [step for step, _ in trial.reports] == [1, 2, 3, 4]
    assert trial.reports[-1][1]["val_accuracy"] > 0.85
    skops.io.dump(model, tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == []
    x = images.load().x.reshape(1797, 64)
    assert np.array_equal(skops.io.load(tmp_path / "model.skops").predict(x), model.predict(x))


def test_the_callable_goes_on_from_its_checkpoint_as_if_never_cut_off(tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole, cut = Trial(tmp_path / "whole"), Trial(tmp_path / "cut")
    function.train(whole, epochs=5)
    function.train(cut, epochs=2)
    function.train(cut, epochs=5)
    assert cut.reports == whole.reports


# --- Keras, in a process of its own -------------------------------------------------------------

KERAS = """
import hashlib, inspect, json, sys
import keras, numpy as np, tensorflow as tf
from trainers import digits_keras, images_keras, resnet_keras

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.utils.set_random_seed(0)
facts = {}

def digest(pair):
    x, y = pair
    return hashlib.sha256(np.ascontiguousarray(x.transpose(0, 3, 1, 2)).tobytes() + y.tobytes()).hexdigest()

def train(name, model, data, epochs):
    history = model.fit(*data[0], validation_data=data[1], epochs=epochs, batch_size=64, verbose=0)
    metrics = {key: values[-1] for key, values in history.history.items()}
    model.save(f"{sys.argv[1]}/{name}.keras")
    again = keras.models.load_model(f"{sys.argv[1]}/{name}.keras")
    x = data[1][0]
    same = np.allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    facts[name] = {"metrics": metrics, "same": bool(same), "outputs": list(model.output_shape)}

digits = digits_keras.digits()
facts["split"] = [digest(part) for part in digits]
train("perceptron", digits_keras.perceptron(hidden=32, layers=2, lr=0.01), digits, 3)
sgd = dict(optimizer="sgd", lr=0.1, augment="shift+cutout", decay_steps=100)
train("resnet", resnet_keras.resnet(**sgd), resnet_keras.data(), 4)

colour = images_keras.data(sys.argv[2])
train("colour", resnet_keras.resnet(width=4, precision="bf16-mixed"), colour, 1)
facts["channels"] = colour[0][0].shape[-1]
taken = inspect.signature(resnet_keras.resnet).parameters.values()
facts["parameters"] = {given.name: given.default for given in taken}
facts["faults"] = []
for wrong in ({"depth": 9}, {"optimizer": "adam"}, {"augment": "turn"}, {"precision": "8"}):
    try:
        resnet_keras.resnet(**wrong)
    except ValueError as error:
        facts["faults"].append(str(error))
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def keras_facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process saw of all Keras trainers."""
    folder = tmp_path_factory.mktemp("keras")
    ran = subprocess.run(
        [sys.executable, "-c", KERAS, str(folder), colour_images(folder / "colour.npz")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_lightning_and_keras_train_and_are_judged_on_the_same_images(keras_facts: dict[str, Any]) -> None:
    data = DigitsData()
    data.setup()
    parts = [part.x.numpy().tobytes() + part.y.numpy().tobytes() for part in (data.train, data.held)]
    assert keras_facts["split"] == [hashlib.sha256(part).hexdigest() for part in parts]


@pytest.mark.parametrize(("name", "least"), [("perceptron", 0.7), ("resnet", 0.3)])
def test_a_keras_trainer_learns_the_digits_and_its_file_gives_the_same_predictions(
    keras_facts: dict[str, Any], name: str, least: float
) -> None:
    assert keras_facts[name]["metrics"].keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert keras_facts[name]["metrics"]["val_accuracy"] > least
    assert keras_facts[name]["same"]


def test_a_keras_resnet_follows_the_channels_and_classes_of_the_data(keras_facts: dict[str, Any]) -> None:
    assert keras_facts["channels"] == 3
    assert keras_facts["colour"]["outputs"] == [None, 3]
    assert np.isfinite(keras_facts["colour"]["metrics"]["val_loss"])


def test_a_keras_resnet_refuses_what_it_cannot_build(keras_facts: dict[str, Any]) -> None:
    for word, fault in zip(
        ("depth", "optimizer", "augment", "precision"), keras_facts["faults"], strict=True
    ):
        assert fault.startswith(word)


# --- the search files ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "resnet", "resnet_keras", "tabular", "function"])
def test_a_search_file_names_its_data_by_one_parameter(name: str) -> None:
    space = YAML(typ="safe").load(ROOT / "search_spaces" / f"{name}.yaml")["space"]
    assert len([key for key in space if key.endswith(".path")]) == 1


def test_the_resnets_of_both_frameworks_take_the_same_hyperparameters(keras_facts: dict[str, Any]) -> None:
    lightning = inspect.signature(ResNet).parameters.values()
    assert {given.name: given.default for given in lightning}.items() <= keras_facts["parameters"].items()
