"""The project: its root, its addresses, what its trainers take, and the hash of their code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from automl import project, specfile
from automl.errors import Fault, InputError
from automl.search import Budget, Objective, Search, Trainer
from automl.space import Choice, Float, Int

NET = """\
from . import parts
import demo_trainers.more

THREE = 3

class ResNet:
    def __init__(self, width: int, depth=2, *, momentum: float = 0.9):
        pass

class Inherits(ResNet):
    pass

class Bare:
    pass

class Anything:
    def __init__(self, width, **kwargs):
        pass

def train(trial, lr, name: "str" = "a"):
    pass

def only(a, /, b):
    pass
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose package is called demo_trainers, on the path and gone afterwards."""
    package = tmp_path / "demo_trainers"
    package.mkdir()
    (tmp_path / "trainers").mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text(NET)
    (package / "parts.py").write_text("A = 1\n")
    (package / "more.py").write_text("from demo_trainers.deep import x\n")
    (package / "deep.py").write_text("x = 1\n")
    (package / "unused.py").write_text("x = 1\n")
    (package / "broken.py").write_text("\n\n1 / 0\n")
    (package / "lacks.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("demo_trainers")]:
        del sys.modules[name]


# --- the root --------------------------------------------------------------------------------


def test_the_root_is_the_nearest_folder_upwards_that_holds_trainers(root: Path, tmp_path: Path) -> None:
    deep = root / "search_spaces" / "more"
    deep.mkdir(parents=True)
    (deep / "a.yaml").write_text("")
    assert project.find_root(deep / "a.yaml") == project.find_root(deep) == root.resolve()


def test_without_trainers_the_root_is_where_one_stands(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    assert project.find_root(tmp_path / "a.yaml") == tmp_path.resolve()


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///automl.db", "sqlite:////root/automl.db"),
        ("sqlite+pysqlite:///a/b.db?timeout=3", "sqlite+pysqlite:////root/a/b.db?timeout=3"),
        ("sqlite:////abs/a.db", "sqlite:////abs/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("./runs", "/root/runs"),
        ("/abs/runs", "/abs/runs"),
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
    ],
)
def test_relative_paths_start_at_the_root(url: str, resolved: str) -> None:
    assert project.resolve_url(url, Path("/root")) == resolved


# --- addresses -------------------------------------------------------------------------------


def resolve(address: str) -> Any:
    return project.resolve_address(address, sys.path[0])


def test_an_address_is_the_object(root: Path) -> None:
    assert resolve("demo_trainers.net:ResNet").__name__ == "ResNet"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("demo_trainers.net:Resnet", "module demo_trainers.net has no Resnet. Did you mean ResNet?"),
        (
            "demo_trainers.nett:ResNet",
            "there is no module demo_trainers.nett. Did you mean demo_trainers.net?",
        ),
        (
            "nowhere.net:ResNet",
            "there is no module nowhere. Look at the address, and at the project's root.",
        ),
        ("demo_trainers.net.x:Y", "demo_trainers.net is no package"),
        ("demo_trainers.net:THREE", "THREE is int, neither a class nor a function"),
        ("demo_trainers.broken:X", "importing it fails: ZeroDivisionError: division by zero (broken.py:3)"),
        ("demo_trainers.lacks:X", "ModuleNotFoundError: No module named 'no_such_dependency' (lacks.py:1)"),
    ],
)
def test_an_address_that_leads_nowhere_says_why(root: Path, address: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(address)
    assert said in str(caught.value)


def test_an_address_names_nothing_outside_of_the_project_and_of_installed_packages(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "alien.py").write_text(f"open({str(outside / 'ran')!r}, 'w')\ndef train(trial): pass\n")
    (outside / "aliens").mkdir()
    (outside / "aliens/net.py").write_text("def train(trial): pass\n")
    monkeypatch.syspath_prepend(str(outside))  # as PYTHONPATH or the current directory would
    for address in ("alien:train", "aliens.net:train"):
        with pytest.raises(InputError, match=r"outside of the project.*Move it into the project, or install"):
            project.resolve_address(address, root)
    assert not (outside / "ran").exists(), "it was not imported"
    assert callable(project.resolve_address("sklearn.linear_model:LogisticRegression", root))


@pytest.mark.parametrize(
    "address", ["os:system", "builtins:eval", "subprocess:run", "os.path:join", "__main__:x", "posix:system"]
)
def test_pythons_own_functions_are_no_trainers(root: Path, address: str) -> None:
    (root / "search_spaces").mkdir()
    file = root / "search_spaces/a.yaml"
    file.write_text(
        "name: a\nobjective: {metric: loss, direction: minimize}\nspace: {model.x: {int: [1, 2]}}\n"
        f"budget: {{trials: 1}}\ntrainer: {{framework: function, model: '{address}'}}\n"
    )
    [fault] = specfile.read(file).faults
    assert (fault.line, fault.column) == (5, 39)
    assert "is Python's own module" in fault.what and "trainers/" in fault.mend
    with pytest.raises(InputError, match="Python's own"):
        project.resolve_address(address, root)


@pytest.mark.parametrize("address", ["../net:Net", "/etc/passwd:x", "..net:Net", "trainers/a.py:A", "a.b"])
def test_an_address_is_no_path(address: str) -> None:
    with pytest.raises(InputError, match="is no address of a class or function"):
        Trainer("function", address)


def test_a_function_of_pythons_own_given_as_an_object_is_refused_too() -> None:
    with pytest.raises(InputError, match="Python's own"):
        Trainer("function", os.system)


# --- signatures ------------------------------------------------------------------------------


def sign(address: str, framework: str = "lightning") -> dict[str, Any]:
    return project.signature(resolve(address), framework)


def test_a_class_takes_what_its_init_takes(root: Path) -> None:
    assert sign("demo_trainers.net:ResNet") == {
        "name": "ResNet.__init__",
        "parameters": [
            {"name": "width", "required": True, "kind": "any", "annotation": "int"},
            {"name": "depth", "required": False, "kind": "any", "default": 2},
            {"name": "momentum", "required": False, "kind": "keyword", "default": 0.9, "annotation": "float"},
        ],
        "variadic": False,
    }
    assert len(sign("demo_trainers.net:Inherits")["parameters"]) == 3
    assert sign("demo_trainers.net:Bare")["parameters"] == []
    assert sign("demo_trainers.net:Anything")["variadic"]


def test_the_trial_of_a_function_is_no_parameter(root: Path) -> None:
    found = sign("demo_trainers.net:train", "function")
    assert [p["name"] for p in found["parameters"]] == ["lr", "name"]
    assert found["name"] == "train"


def test_a_lightning_module_without_an_init_takes_nothing_and_the_trainer_takes_its_own() -> None:
    import pytorch_lightning as pl

    class Net(pl.LightningModule):
        pass

    class Open(pl.LightningModule):
        def __init__(self, width: int, **kwargs: Any) -> None:
            super().__init__()

    assert project.signature(Net) == {
        "name": project.signature(Net)["name"],
        "parameters": [],
        "variadic": False,
    }
    assert project.signature(Open)["variadic"]
    trainer = project.signature(pl.Trainer)
    assert "max_epochs" in (project.taken({"t": {"fit": trainer}})["t"]["fit"] or [])
    assert not trainer["variadic"]


def signed(*names: str, variadic: bool = False, owner: str = "Net.__init__") -> dict[str, Any]:
    """A signature; a name with a star is required."""
    parameters = [{"name": n.strip("*"), "required": n.endswith("*"), "kind": "any"} for n in names]
    return {"name": owner, "parameters": parameters, "variadic": variadic}


def search(space: dict[str, Any], *, several: bool = False, fit: dict[str, Any] | None = None) -> Search:
    torch = Trainer("lightning", "t.net:Net", "t.net:Data", fit or {})
    keras = Trainer("keras", "t.keras:net", "t.keras:data")
    return Search(
        name="x",
        objective=Objective("acc", "maximize"),
        trainer=None if several else torch,
        trainers={"torch": torch, "keras": keras} if several else None,
        space=space,
        budget=Budget(trials=1),
    )


def told(space: dict[str, Any], model: Any, *, fit: dict[str, Any] | None = None) -> list[str]:
    """The faults of a search with one trainer, whose data takes a batch size."""
    trainer_fit = signed("max_epochs", "precision", "logger", owner="Trainer.__init__")
    found = {
        "error": None,
        "model": model,
        "data": signed("batch_size", owner="Data.__init__"),
        "fit": trainer_fit,
    }
    return [str(fault) for fault in project.signature_faults(search(space, fit=fit), {"trainer": found})]


SGD = {"model.opt": Choice(("sgd", "adamw"))}


@pytest.mark.parametrize(
    ("space", "model", "faults"),
    [
        ({"model.width": 3}, signed("width*"), []),
        (
            {"model.widht": Int(1, 3)},
            signed("width", "depth"),
            ["space.model.widht: widht is no parameter of Net.__init__. Did you mean width?"],
        ),
        (
            {"model.zzz": 3},
            signed("width", "depth"),
            ["space.model.zzz: zzz is no parameter of Net.__init__. It takes: width, depth."],
        ),
        ({"model.zzz": 3}, signed(variadic=True), []),
        ({"model.head.width": 3, "model.head.depth": 4}, signed("head*"), []),
        (
            {"data.batch": 3},
            signed(),
            ["space.data.batch: batch is no parameter of Data.__init__. Did you mean batch_size?"],
        ),
        (
            {"fit.precison": Choice(("16", "32"))},
            signed(),
            ["space.fit.precison: precison is no parameter of Trainer.__init__. Did you mean precision?"],
        ),
        (
            {"model.depth": 3},
            signed("width*", "depth"),
            [
                "trainer.model: Net.__init__ needs width, and nothing gives it. "
                "Add model.width to space, or give width a default."
            ],
        ),
        (
            {**SGD, "model.mom": Float(0, 1, when={"model.opt": "sgd"})},
            signed("opt", "mom*"),
            [
                "space.model.mom.when: Net.__init__ needs mom, and this does not give it in every branch. "
                "Remove when, or give mom a default."
            ],
        ),
        ({**SGD, "model.mom": Float(0, 1, when={"model.opt": "sgd"})}, signed("opt", "mom"), []),
        ({**SGD, "model.mom": Float(0, 1, when={"model.opt": ["sgd", "adamw"]})}, signed("opt", "mom*"), []),
        ({"model.n": Int(1, 2), "model.m": Int(1, 2, when={"model.n": [1, 2]})}, signed("n", "m*"), []),
        ({"model.n": 1, "model.m": Int(1, 2, when={"model.n": 1})}, signed("n", "m*"), []),
    ],
)
def test_what_a_search_gives_is_compared_with_what_its_trainer_takes(
    space: dict[str, Any], model: Any, faults: list[str]
) -> None:
    assert told(space, model) == faults


def test_an_unknown_argument_of_fit_is_a_fault_and_what_the_house_gives_is_never_proposed() -> None:
    assert told({"model.a": 1}, signed("a"), fit={"max_epoch": 3, "loger": 1}) == [
        "trainer.fit.max_epoch: max_epoch is no parameter of Trainer.__init__. Did you mean max_epochs?",
        "trainer.fit.loger: loger is no parameter of Trainer.__init__. It takes: max_epochs, precision.",
    ]


OFFERED = project.offered(
    project.offered(signed("max_epochs", "precision"), "precision", ["32-true", "bf16-mixed", 32]),
    "compile",
    [False, True, "max-autotune"],
    keys=("mode", "dynamic"),
)


def chosen(space: dict[str, Any], fit: dict[str, Any] | None = None) -> list[str]:
    found = {"error": None, "model": signed("a"), "data": signed(), "fit": OFFERED}
    return told_by(search({"model.a": 1, **space}, fit=fit), found)


@pytest.mark.parametrize(
    ("space", "faults"),
    [
        ({"fit.precision": Choice(("32-true", "bf16-mixed", 32))}, []),
        ({"fit.compile": Choice((False, True, {"mode": "max-autotune", "dynamic": True}))}, []),
        ({"fit.compile.mode": Choice(("default", "max-autotune"))}, []),
        ({"fit.compile": True, "fit.precision": "bf16-mixed", "fit.max_epochs": 3}, []),
        (
            {"fit.precision": Choice(("32-true", "bf16-mixd"))},
            [
                "space.fit.precision.choice.1: precision is never 'bf16-mixd'. Did you mean bf16-mixed?",
            ],
        ),
        (
            {"fit.precision": 8},
            ["space.fit.precision: precision is never 8. Use one of: 32-true, bf16-mixed, 32."],
        ),
        ({"fit.precision": Int(16, 32)}, ["space.fit.precision: precision is no number. Write a choice."]),
        (
            {"fit.compile": "yes"},
            ["space.fit.compile: compile is never 'yes'. Use one of: false, true, max-autotune."],
        ),
        (
            {"fit.compile.modes": Choice(("default", "max-autotune"))},
            ["space.fit.compile.modes: compile.modes is no argument. Did you mean mode?"],
        ),
    ],
)
def test_a_value_that_an_argument_never_has_is_a_fault_where_the_file_fixes_it(
    space: dict[str, Any], faults: list[str]
) -> None:
    assert chosen(space) == faults


def test_so_is_one_in_fit_of_the_trainer() -> None:
    assert chosen({}, fit={"compile": {"mode": "default"}, "precision": 32}) == []
    assert chosen({}, fit={"compile": {"fast": True}, "precision": None}) == [
        "trainer.fit.compile: compile.fast is no argument. Use one of: mode, dynamic.",
    ]


def test_a_parameter_that_only_goes_by_position_cannot_be_given(root: Path) -> None:
    assert told({"model.b": 1}, sign("demo_trainers.net:only")) == [
        "trainer.model: a of only cannot be given by its name. Remove the / from its signature."
    ]


def two(space: dict[str, Any], torch: dict[str, Any], keras: dict[str, Any]) -> list[str]:
    plain = search(space, several=True)
    return [
        f"{fault.where}: {fault.what}. {fault.mend}"
        for fault in project.signature_faults(plain, {"torch": torch, "keras": keras})
    ]


TORCH = {"error": None, "model": signed("lr", "drop"), "data": signed("batch"), "fit": signed("max_epochs")}
KERAS = {
    "error": None,
    "model": signed("lr", owner="net"),
    "data": signed(owner="data"),
    "fit": signed("batch", owner="fit"),
}
BROKEN = {
    "error": {"part": "model", "text": "InputError: t.net:Net: there is no module t. Look at it."},
    "model": None,
    "data": signed("batch"),
    "fit": None,
}


def test_a_parameter_that_both_trainers_take_needs_no_condition() -> None:
    assert two({"model.lr": Float(0, 1)}, TORCH, KERAS) == []


def test_a_parameter_that_one_trainer_does_not_take_needs_a_when() -> None:
    assert two({"model.drop": Float(0, 1)}, TORCH, KERAS) == [
        "space.model.drop: keras does not take drop. Add when: {trainer: torch}"
    ]
    assert two({"model.drop": Float(0, 1, when={"trainer": "torch"})}, TORCH, KERAS) == []


def test_a_condition_on_something_that_only_one_trainer_has_will_do() -> None:
    space = {
        "data.batch": Int(1, 2, when={"trainer": "torch"}),
        "model.drop": Float(0, 1, when={"data.batch": 1}),
        "fit.batch": Int(1, 2, when={"trainer": "keras"}),
    }
    assert two(space, TORCH, KERAS) == []


def test_a_constant_goes_to_the_trainers_that_take_it_and_one_must() -> None:
    assert two({"data.batch": 3}, TORCH, KERAS) == []
    assert two({"data.bacth": 3}, TORCH, KERAS) == [
        "space.data.bacth: bacth is no parameter of Net.__init__ or data. Did you mean batch?"
    ]


def test_a_trainer_that_cannot_be_imported_is_one_fault_and_casts_no_doubt_on_the_rest() -> None:
    space = {"model.unheard": 3, "model.lr": Float(0, 1), "data.batch": 4}
    assert two(space, BROKEN, KERAS) == ["trainers.torch.model: there is no module t. Look at it"]
    plain = {"error": "SyntaxError: invalid syntax", "model": None, "data": None, "fit": None}
    assert told_by(search({"model.a": 1}), plain) == [
        "trainer.model: SyntaxError: invalid syntax. Mend the module or the address."
    ]


def told_by(plan: Search, found: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in project.signature_faults(plan, {"trainer": found})]


def test_what_is_taken_is_what_arguments_wants() -> None:
    takes = project.taken({"torch": TORCH, "keras": {**KERAS, "model": signed(variadic=True), "data": None}})
    assert takes["keras"] == {"model": None, "data": [], "fit": ["batch"]}
    plan = search({"model.lr": Float(0, 1), "data.batch": 3}, several=True)
    assert plan.arguments({"trainer": "torch", "model.lr": 0.5}, takes)[1]["data"] == {"batch": 3}
    assert plan.arguments({"trainer": "keras", "model.lr": 0.5}, takes)[1]["data"] == {}


def test_faults_of_signatures_know_their_place_in_the_file() -> None:
    faults = project.signature_faults(
        search({"model.widht": 1}), {"trainer": {"error": None, "model": signed("width")}}
    )
    assert faults == [
        Fault("space.model.widht", "widht is no parameter of Net.__init__", "Did you mean width?")
    ]
    assert (faults[0].spot, faults[0].at_key) == (("space", "model.widht"), True)


# --- the hash --------------------------------------------------------------------------------


def change(name: str) -> Callable[[Path], None]:
    return lambda root: (root / "demo_trainers" / name).write_text("y = 2\n") and None


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("net.py", True),
        ("parts.py", True),
        ("more.py", True),
        ("deep.py", True),
        ("__init__.py", True),
        ("unused.py", False),
    ],
)
def test_the_hash_follows_the_code_that_a_trainer_imports(root: Path, name: str, differs: bool) -> None:
    before = project.code_hash(["demo_trainers.net:ResNet"], root)
    change(name)(root)
    assert (project.code_hash(["demo_trainers.net:ResNet"], root) != before) is differs


def test_the_hash_is_the_same_wherever_the_root_is_and_imports_nothing(root: Path, tmp_path: Path) -> None:
    import shutil

    before = project.code_hash(["demo_trainers.broken:X", "demo_trainers.net:ResNet"], root)
    moved = shutil.copytree(root / "demo_trainers", tmp_path / "elsewhere" / "demo_trainers").parent
    assert project.code_hash(["demo_trainers.net:ResNet", "demo_trainers.broken:X"], moved) == before
    assert "demo_trainers.net" not in sys.modules
