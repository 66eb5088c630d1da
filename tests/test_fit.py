"""`fit.precision`, `fit.compile` and `fit.jit_compile`: what they change, and what they leave as it was."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from automl.host import Host
from tests.test_frameworks import (
    CPUS,
    ROOT,
    SUBJECTS,
    Run,
    judged_elsewhere,
    runner,
    stopped_and_resumed,
)

COMPILED = "trainers.probe_lightning:CompiledNet"
TOLD = "trainers.probe_keras:compiled"
# What compiled code computes differs in its last digits, and it draws other random numbers.
STILL = {"lr": 0.05, "dropout": 0.0}


@pytest.fixture(scope="module")
def hosts() -> Iterator[Callable[[str], Host]]:
    made: dict[str, Host] = {}
    yield lambda framework: made.setdefault(framework, Host(str(ROOT), CPUS))
    for host in made.values():
        host.close()


@pytest.fixture
def lightning(hosts: Callable[[str], Host], tmp_path: Path) -> Run:
    return runner(hosts("lightning"), SUBJECTS["lightning"], tmp_path)


@pytest.fixture
def keras(hosts: Callable[[str], Host], tmp_path: Path) -> Run:
    return runner(hosts("keras"), SUBJECTS["keras"], tmp_path)


def last(metric: str, attempt: Any) -> float:
    assert attempt.ended["outcome"] == "complete", attempt.log
    return float(attempt.curve[-1][1][metric])


def offered(host: Host, framework: str) -> dict[str, list[Any]]:
    """The values that arguments of `fit` may have, as `automl check` is told."""
    subject = SUBJECTS[framework]
    trainer = {"framework": framework, "model": subject.model, "data": subject.data}
    found = host.inspect({"it": trainer}, 120.0)["it"]
    assert found["error"] is None
    return {p["name"]: p["options"] for p in found["fit"]["parameters"] if "options" in p}


def test_both_frameworks_offer_the_same_words_of_precision(hosts: Callable[[str], Host]) -> None:
    lightning, keras = (offered(hosts(name), name) for name in ("lightning", "keras"))
    both = {"32-true", "64-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", 16, 32, 64}
    assert [both - set(each["precision"]) for each in (lightning, keras)] == [set(), set()]
    assert {"mixed_bfloat16", "mixed_float16", "float32"} <= set(keras["precision"])
    assert {False, True, "max-autotune", "reduce-overhead"} <= set(lightning["compile"])
    assert keras["jit_compile"] == [True, False, "auto"]


# --- precision -------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_a_trial_in_mixed_precision_learns_and_goes_on_as_if_it_had_never_stopped(
    framework: str, word: str, hosts: Callable[[str], Host], tmp_path: Path
) -> None:
    run = runner(hosts(framework), SUBJECTS[framework], tmp_path)
    mixed = {"fit_": {"precision": word}}
    whole, full = run(**mixed), run(trial=2)
    assert last("val_loss", whole) != last("val_loss", full)
    assert last("val_loss", whole) == pytest.approx(last("val_loss", full), rel=0.3)
    assert stopped_and_resumed(run, after=2, **mixed).curve == whole.curve[2:]
    # The worker's next trial computes as it did before.
    assert run(trial=3).curve == full.curve


def policies(attempt: Any) -> str:
    with zipfile.ZipFile(Path(attempt.ended["weights"]) / "model.keras") as kept:
        return kept.read("config.json").decode()


@pytest.mark.parametrize(
    ("word", "policy"),
    [("mixed_bfloat16", "mixed_bfloat16"), ("bf16-mixed", "mixed_bfloat16"), (64, "float64")],
)
def test_keras_takes_its_own_words_and_lightnings(keras: Run, word: str | int, policy: str) -> None:
    attempt = keras(model=TOLD, fit_={"precision": word})
    assert last("bits", attempt) == {"mixed_bfloat16": 16, "float64": 64}[policy]
    assert f'"{policy}"' in policies(attempt)
    assert last("bits", keras(model=TOLD, trial=1)) == 32


@pytest.mark.parametrize("framework", ["lightning", "keras"])
def test_weights_of_a_trial_in_mixed_precision_predict_elsewhere(
    framework: str, hosts: Callable[[str], Host], tmp_path: Path
) -> None:
    attempt = runner(hosts(framework), SUBJECTS[framework], tmp_path)(fit_={"precision": "bf16-mixed"})
    assert judged_elsewhere(attempt) == pytest.approx([last("val_loss", attempt)], rel=0.02)


# --- compile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [True, "reduce-overhead", {"dynamic": True, "fullgraph": True}])
def test_a_compiled_module_learns_what_the_module_learns(lightning: Run, asked: Any) -> None:
    plain = lightning(model=COMPILED, model_=STILL)
    compiled = lightning(model=COMPILED, model_=STILL, trial=1, fit_={"compile": asked})
    assert (last("compiled", plain), last("compiled", compiled)) == (0, 1)
    assert last("val_loss", compiled) == pytest.approx(last("val_loss", plain), rel=1e-4)
    assert "fit.compile" not in compiled.log


def test_a_compiled_trial_is_resumed_and_its_weights_need_no_compiler(lightning: Run) -> None:
    changes = {"model_": {"lr": 0.05, "dropout": 0.2}, "fit_": {"compile": True}}
    whole = lightning(**changes)
    assert stopped_and_resumed(lightning, after=2, **changes).curve == whole.curve[2:]
    assert judged_elsewhere(whole) == pytest.approx([last("val_loss", whole)], rel=1e-5)


def test_the_tenth_compiled_trial_of_a_worker_is_compiled_as_the_first_was(lightning: Run) -> None:
    # torch gives up on code that it has compiled for eight modules, if nobody has it forget them.
    fit = {"compile": {"backend": "aot_eager"}, "max_epochs": 1}
    attempts = [lightning(model=COMPILED, model_=STILL, trial=n, fit_=fit) for n in range(10)]
    assert [last("compiled", each) for each in attempts] == [1] * 10
    assert len({each.started["pid"] for each in attempts}) == 1


def test_steps_that_never_call_the_module_are_told_that_nothing_was_compiled(lightning: Run) -> None:
    attempt = lightning(model="trainers.probe_lightning:StepsNet", fit_={"compile": True, "max_epochs": 1})
    assert attempt.ended["outcome"] == "complete"
    assert "fit.compile: nothing was compiled. Have the steps of StepsNet call self(x)" in attempt.log


def test_without_a_compiler_the_trial_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    host = Host(str(ROOT), CPUS)
    attempt = runner(host, SUBJECTS["lightning"], tmp_path)(fit_={"compile": True})
    host.close()
    assert attempt.ended["cause"] == "code"
    assert "fit.compile needs a C++ compiler" in attempt.ended["error"]
    assert "Install g++, or leave fit.compile out" in attempt.ended["error"]


# --- jit_compile -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiled_with", "asked", "used"),
    [(False, True, 1), (True, False, 0), (True, None, 1), (True, "auto", 0)],
)
def test_jit_compile_of_fit_goes_before_what_the_model_was_compiled_with(
    keras: Run, compiled_with: bool, asked: bool | str | None, used: int
) -> None:
    fit: Mapping[str, Any] = {} if asked is None else {"jit_compile": asked}
    attempt = keras(model=TOLD, model_={"jit": compiled_with}, fit_={"epochs": 1, **fit})
    assert last("jit", attempt) == used


def test_a_jit_compiled_trial_goes_on_as_if_it_had_never_stopped(keras: Run) -> None:
    changes = {"fit_": {"jit_compile": True}}
    whole = keras(**changes)
    assert stopped_and_resumed(keras, after=2, **changes).curve == whole.curve[2:]
