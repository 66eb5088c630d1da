"""The plan as a value: from Python, to plain data and YAML and back, and split into arguments."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import automl
from automl import policies, specfile
from automl.errors import InputError
from automl.search import Budget, Objective, Policy, Resources, Search, Timeout, Tracking, Trainer, mask_url
from automl.space import Choice, Float, Int, Space, same

NET = Trainer("lightning", "trainers.net:Net", "trainers.net:Data", {"max_epochs": 3})


def make(**words: Any) -> Search:
    """A small sound search, with some words changed."""
    sound: dict[str, Any] = {
        "name": "digits",
        "objective": Objective("val_acc", "maximize"),
        "trainer": NET,
        "space": {"model.lr": Float(1e-4, 1e-1, log=True), "model.depth": 18},
        "budget": Budget(trials=50),
    }
    return Search(**{**sound, **words})


def faults(**words: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        make(**words)
    return [f"{fault.where}: {fault.what}" for fault in caught.value.faults]


def test_the_python_door_takes_the_words_of_the_file() -> None:
    search = automl.Search(
        name="digits",
        objective=[automl.Objective("acc", "maximize"), {"metric": "loss", "direction": "minimize"}],
        trainers={"torch": NET, "keras": {"framework": "keras", "model": "a.b:c", "data": "a.b:d"}},
        space={"model.lr": automl.Float(1e-4, 1e-1, log=True), "model.act": {"choice": ["relu", "gelu"]}},
        budget=automl.Budget(trials=50, time="2h"),
        search={"sampler": "tpe"},
        pruner={"name": "none"},
        resources={"cpus": 2, "gpus": 0.5},
        tracking=False,
        storage=Path("runs"),
    )
    assert [objective.metric for objective in search.objectives] == ["acc", "loss"]
    assert list(search.full_space.params) == ["trainer", "model.lr", "model.act"]
    assert (search.budget.time_s, search.tracking, search.storage) == (7200.0, None, "runs")
    assert (search.sampler, search.pruner) == (Policy("tpe"), Policy("none"))
    assert search.resources == Resources(2, 0.5)


def test_all_faults_of_a_search_from_python_are_told_at_once() -> None:
    assert faults(name="a b", space={"lr": Float(0, 1)}, retries=-1, sampler="tpee") == [
        "name: 'a b' is no name",
        "retries: -1 is too small",
        "search.sampler: there is no sampler 'tpee'",
        "space.lr: lr is not where a parameter can go",
    ]


def test_what_is_left_out_is_named() -> None:
    with pytest.raises(InputError) as caught:
        Search("digits")
    assert [fault.where for fault in caught.value.faults] == ["objective", "trainer", "space", "budget"]


@pytest.mark.parametrize(
    ("make", "whats"),
    [
        (lambda: Budget(), ["needs trials or time, it would never end"]),
        (lambda: Budget(trials=0, time="2x"), ["'2x' is no time", "0 is too small"]),
        (lambda: Budget(time=-1), ["-1 is no time above zero"]),
        (lambda: Timeout(silence=0, trial="1"), ["0 is no time above zero", "'1' is no time"]),
        (lambda: Timeout(silence_s=None), ["missing"]),  # type: ignore[arg-type]
        (lambda: Resources(0, -1, 0), ["0 is not above zero", "-1 is negative", "0 is too small"]),
        (lambda: Resources(gpus=1.5), ["1.5 is a fraction of several GPUs"]),
        (lambda: Objective("", "max"), ["'' is not text", "'max' is none of minimize, maximize"]),
        (lambda: Trainer("lightning", "a.b:C"), ["missing, and lightning needs it"]),
        (lambda: Trainer("function", "a.b:c", fit={"x": 1}), ["a function has no fit"]),
        (lambda: Trainer("keras", "a.b", "a:b"), ["'a.b' is no address of a class or function"]),
        (
            lambda: Trainer("keras", "a:b", "a:b", {"f": open}),
            ["<built-in function open> is not a JSON value"],
        ),
        (lambda: Tracking("mlruns"), ["not a tracking server's or a database's URL"]),
    ],
)
def test_each_part_is_checked_when_it_is_made(make: Any, whats: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert [fault.what for fault in caught.value.faults] == whats


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5h", 5400), (90, 90), ("1d", 86400)]
)
def test_time_is_text_with_a_unit_or_seconds(text: Any, seconds: float) -> None:
    assert Budget(time=text).time_s == seconds
    assert Budget(time_s=seconds) == Budget(time=text)


def test_a_class_given_as_an_object_becomes_its_address() -> None:
    assert Trainer("function", Policy).model == "automl.policies:Policy"
    assert Trainer("function", inspect.getsource).model == "inspect:getsource"


def test_what_no_worker_could_import_is_refused_with_the_mend() -> None:
    class Local:
        pass

    main = ModuleType("__main__")
    exec("class Net: pass", main.__dict__)
    for target, mend in (
        (Local, "top level"),
        (main.Net, "%%writefile trainers/net.py"),
        (lambda: 0, "top level"),
    ):
        with pytest.raises(InputError, match=mend):
            Trainer("function", target)


def test_a_search_survives_yaml_and_plain_data(tmp_path: Path) -> None:
    search = make(
        start_with=[{"model.lr": 0.01}],
        pruner=Policy("hyperband", {"min_resource": 2}),
        budget=Budget(trials=3, time_s=0.5),
        ledger="sqlite:///other.db",
    )
    file = tmp_path / "a.yaml"
    file.write_text(search.to_yaml())
    assert specfile.load(file) == search
    assert Search.from_plain(json.loads(json.dumps(search.to_plain()))) == search


def test_replacing_a_part_checks_the_whole_again() -> None:
    assert dataclasses.replace(make(), seed=3).seed == 3
    with pytest.raises(InputError, match="grid needs a step"):
        dataclasses.replace(make(), sampler=Policy("grid"))


def test_no_password_is_ever_written() -> None:
    search = make(
        ledger="postgresql+psycopg://me:s3cr3t@db/x",
        tracking=Tracking("http://me:s3cr3t@mlflow:5000"),
    )
    assert "s3cr3t" not in search.to_yaml() + json.dumps(search.to_plain()) + search.text
    assert search.to_plain()["ledger"] == "postgresql+psycopg://me:***@db/x"


def test_a_storage_with_a_password_is_refused_for_the_ledger_says_where_weights_lie() -> None:
    with pytest.raises(InputError, match=r"storage: s3://key:\*\*\*@bucket/runs has a password in it"):
        make(storage="s3://key:s3cr3t@bucket/runs")
    make(storage="s3://key:***@bucket/runs")  # as a ledger of before may have it


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@s:s/w@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p?q@h/d", "postgresql://u:***@h/d"),
        ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("https://h/x?X-Token=abc#a", "https://h/x?X-Token=***#a"),
        ("cannot reach http://a:b@h and http://c:d@e", "cannot reach http://a:***@h and http://c:***@e"),
        ("sqlite:///automl.db", "sqlite:///automl.db"),
        ("http://h:5000/path", "http://h:5000/path"),
        ("runs", "runs"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_another_objective_trainer_or_space_is_another_search_and_the_rest_is_not() -> None:
    assert make().identity_difference(make(budget=Budget(trials=9), retries=0, seed=4, tracking=False)) == []
    other = make(
        objective=Objective("val_acc", "minimize"),
        trainer=dataclasses.replace(NET, fit={"max_epochs": 4}),
        space={"model.lr": Float(1e-4, 1.0, log=True), "model.width": 3},
    )
    assert make().identity_difference(other) == [
        "objective: was {'metric': 'val_acc', 'direction': 'maximize'}, "
        "is {'metric': 'val_acc', 'direction': 'minimize'}",
        "trainer.fit: was {'max_epochs': 3}, is {'max_epochs': 4}",
        "space.model.lr: was {'float': [0.0001, 0.1], 'log': True}, is {'float': [0.0001, 1.0], 'log': True}",
        "space.model.depth: was 18, is gone",
        "space.model.width: is new, 3",
    ]


def test_a_trials_parameters_become_arguments_of_what_it_runs() -> None:
    trainer = dataclasses.replace(NET, fit={"max_epochs": 3, "opts": {"a": 1}})
    space = {
        "model.lr": Float(0, 1),
        "model.head.width": Int(1, 9),
        "model.head.depth": 2,
        "data.path": "digits",
        "fit.opts.b": Int(1, 2),
    }
    search = make(trainer=trainer, space=space)
    name, arguments = search.arguments({"model.lr": 0.5, "model.head.width": 3, "fit.opts.b": 2})
    assert name == "trainer"
    assert arguments == {
        "model": {"lr": 0.5, "head": {"width": 3, "depth": 2}},
        "data": {"path": "digits"},
        "fit": {"max_epochs": 3, "opts": {"a": 1, "b": 2}},
    }
    assert search.trainers["trainer"].fit == {"max_epochs": 3, "opts": {"a": 1}}


def test_with_several_trainers_a_constant_goes_to_those_that_take_it() -> None:
    search = make(trainer=None, trainers={"a": NET, "b": NET}, space={"model.x": 1, "data.y": 2, "fit.z": 3})
    takes = {"a": {"model": ["x"], "data": [], "fit": None}, "b": {"model": None, "data": ["y"], "fit": []}}
    assert search.arguments({"trainer": "a"}, takes) == (
        "a",
        {"model": {"x": 1}, "data": {}, "fit": {"max_epochs": 3, "z": 3}},
    )
    assert search.arguments({"trainer": "b"}, takes)[1]["data"] == {"y": 2}


def test_a_condition_on_the_trainer_holds_where_there_is_one_only() -> None:
    space = {"model.x": Int(0, 1, when={"trainer": "torch"})}
    search = make(trainer=None, trainers={"torch": NET}, space=space)
    assert search.full_space.active("model.x", {})


def test_the_tables_of_arguments_are_optunas() -> None:
    """Each argument in the table exists, and each that is left out is no number, text or flag, or is ours."""
    from optuna import pruners, samplers

    ours = {"seed", "consider_prior", "consider_endpoints", "restart_strategy", "inc_popsize"}
    classes = {
        "tpe": samplers.TPESampler,
        "random": samplers.RandomSampler,
        "gp": samplers.GPSampler,
        "cmaes": samplers.CmaEsSampler,
        "nsgaii": samplers.NSGAIISampler,
        "qmc": samplers.QMCSampler,
        "median": pruners.MedianPruner,
        "percentile": pruners.PercentilePruner,
        "successive_halving": pruners.SuccessiveHalvingPruner,
        "hyperband": pruners.HyperbandPruner,
    }
    tables = {**policies.SAMPLER_ARGUMENTS, **policies.PRUNER_ARGUMENTS}
    assert set(tables) - set(classes) == {"auto", "none", "grid"}
    for name, kind in classes.items():
        parameters = inspect.signature(kind).parameters
        assert set(tables[name]) <= set(parameters), name
        for left_out in set(parameters) - set(tables[name]) - ours:
            annotation = str(parameters[left_out].annotation)
            simple = annotation.removesuffix(" | None") in ("int", "float", "str", "bool")
            assert not simple or left_out.startswith("warn_"), f"{name}: {left_out}: {annotation}"


def test_importing_the_plan_imports_no_vendor() -> None:
    import subprocess

    heavy = ("optuna", "torch", "tensorflow", "keras", "ray", "mlflow", "sqlalchemy", "pandas", "numpy")
    code = f"import sys, automl.specfile, automl.project; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- any valid search ------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "a",
        "b",
        "lr",
        ":0",
        "a:",
        "a: b",
        "- a",
        "on",
        "null",
        "1e-5",
        "é",
        "x y",
        "#",
        "",
        "2024-01-01",
        "~",
        "=",
        "<<",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | WORDS, inner, max_size=3)
    ),
    max_leaves=5,
)
NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def floats(draw: Any) -> Float:
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    if draw(st.booleans()):
        return Float(abs(low) + 1e-9, abs(low) + 1e-9 + (high - low), log=True)
    return Float(low, high, step=(high - low) / 4 if high - low > 1e-3 and draw(st.booleans()) else None)


@st.composite
def ints(draw: Any) -> Int:
    low = draw(st.integers(1, 10**6))
    high = low + draw(st.integers(1, 10**6))
    log = draw(st.booleans())
    return Int(low, high, log, None if log else draw(st.none() | st.integers(1, high - low)))


def _distinct(options: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for option in options:
        if not any(same(option, earlier) for earlier in kept):
            kept.append(option)
    return kept


CHOICES = st.lists(JSON, min_size=1, max_size=4).map(lambda options: Choice(_distinct(options)))
CONSTANTS = JSON.filter(lambda value: not isinstance(value, dict))


@st.composite
def spaces(draw: Any) -> dict[str, Any]:
    space: dict[str, Any] = {
        f"model.p{i}": p for i, p in enumerate(draw(st.lists(floats() | ints() | CHOICES, max_size=4)))
    }
    parent = draw(CHOICES)
    space["data.parent"] = parent
    wanted = draw(st.sampled_from(parent.options))
    wanted = [wanted] if isinstance(wanted, list) else wanted
    space["data.child"] = dataclasses.replace(draw(floats() | ints() | CHOICES), when={"data.parent": wanted})
    return {**space, **{f"fit.c{i}": value for i, value in enumerate(draw(st.lists(CONSTANTS, max_size=2)))}}


@st.composite
def searches(draw: Any) -> Search:
    objectives = [
        Objective(
            f"m{i}",
            draw(st.sampled_from(["minimize", "maximize"])),
            draw(st.none() | NUMBERS),
            draw(st.sampled_from(["last", "best"])),
        )
        for i in range(draw(st.integers(1, 2)))
    ]
    trainer = Trainer("keras", "a.b:C", "d:E", draw(st.dictionaries(st.sampled_from(["epochs", "w"]), JSON)))
    several = draw(st.booleans())
    return Search(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        objectives=objectives,
        trainer=None if several else trainer,
        trainers={"one": trainer, "1": NET} if several else None,
        space=draw(spaces()),
        budget=Budget(draw(st.integers(1, 99)), draw(st.none() | st.floats(0.001, 1e6))),
        seed=draw(st.integers(0, 2**32 - 1)),
        sampler=draw(st.sampled_from([Policy(), Policy("tpe", {"n_startup_trials": 3}), Policy("random")])),
        resources=Resources(
            draw(st.sampled_from([1, 0.5, 4])),
            draw(st.sampled_from([0, 0.25, 2])),
            draw(st.sampled_from(["auto", 3])),
        ),
        retries=draw(st.integers(0, 5)),
        keep=draw(st.integers(1, 5)),
        timeout=Timeout(draw(st.floats(0.001, 1e6)), draw(st.none() | st.floats(0.001, 1e6))),
        tracking=draw(st.sampled_from([None, Tracking(), Tracking("http://h:1", "é", "r")])),
    )


@settings(max_examples=60, deadline=None)
@given(searches())
def test_any_valid_search_survives_yaml_and_plain_data(search: Search) -> None:
    import tempfile

    plain = search.to_plain()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "search.yaml"
        file.write_text(search.to_yaml(), encoding="utf-8")
        from_file = specfile.load(file)
    from_plain = Search.from_plain(json.loads(json.dumps(plain)))
    assert from_file == search == from_plain
    assert same(from_file.to_plain(), plain) and same(from_plain.to_plain(), plain)
    assert isinstance(search.space, Space)
