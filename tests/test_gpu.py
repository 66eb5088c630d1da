"""GPUs that trials share: who sees which, how much memory each may have, how many go on one.

No GPU is needed: decisions are numbers, nvidia-smi is a program on the path, and devices are names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from automl import gpu_memory, packing
from automl.engines.local import Local
from automl.errors import InputError
from automl.events import State
from automl.gpu_memory import CONTEXT_BYTES, MIB, Use
from automl.packing import Shares
from automl.results import Attempt, Trial
from automl.run import run
from automl.search import Budget, Resources
from tests.patience import task_of
from tests.shares import FACTS, played
from tests.test_desk import Office, end, one, plan, report, take
from tests.test_engines import SOURCE, Watcher, a_search, states

GIB = 1 << 30
TOTAL = 80 * GIB


# --- memory of one process -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "limit"),
    [
        (0.5, 40 * GIB - CONTEXT_BYTES),
        (0.25, 20 * GIB - CONTEXT_BYTES),
        (1, None),
        (2, None),
        (0, None),
    ],
)
def test_a_share_of_a_gpu_is_a_share_of_its_memory_context_included(gpus: float, limit: int | None) -> None:
    assert gpu_memory.limit_bytes(TOTAL, gpus) == limit


def test_the_shares_of_a_small_gpu_are_not_all_context() -> None:
    assert gpu_memory.limit_bytes(2 * GIB, 0.25) == GIB // 4


@pytest.mark.parametrize("count", range(2, 21))
def test_as_many_processes_as_share_a_gpu_fit_on_it(count: int) -> None:
    limit = gpu_memory.limit_bytes(TOTAL, (10_000 // count) / 10_000)
    assert limit is not None
    assert count * (limit + CONTEXT_BYTES) <= TOTAL


def test_what_a_trial_has_had_counts_its_process_too() -> None:
    use = Use(peak_bytes=6 * GIB, held_bytes=2 * GIB, total_bytes=TOTAL)
    assert use.beside_bytes(3 * GIB) == GIB
    assert use.beside_bytes(None) == use.beside_bytes(2 * GIB) == CONTEXT_BYTES
    assert use.facts(GIB) == {"gpu_peak_bytes": 7 * GIB, "gpu_total_bytes": TOTAL}


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program of that name first on the path, whose body is a shell script."""

    def put(body: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


SAYS = f"""
case "$1 $3" in
  "--query-gpu=memory.total 0") echo 40960 ;;
  "--query-gpu=memory.total GPU-b") echo 81920 ;;
  "--query-compute-apps=pid,used_memory "*) echo "1, 300"; echo "{os.getpid()}, 1500" ;;
  *) echo "No devices were found" >&2; exit 6 ;;
esac
"""


def test_the_memory_of_a_device_is_what_nvidia_smi_says(nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi(SAYS)
    assert gpu_memory.total_bytes("0") == 40 * GIB
    assert gpu_memory.total_bytes("7") is None
    assert gpu_memory.limits_bytes(["0", "GPU-b", "7"], 0.5) == [
        20 * GIB - CONTEXT_BYTES,
        40 * GIB - CONTEXT_BYTES,
        None,
    ]
    assert gpu_memory.limits_bytes(["0"], 1) == [None]


def test_what_a_process_holds_is_what_nvidia_smi_says(nvidia_smi: Callable[[str], None]) -> None:
    nvidia_smi(SAYS)
    assert gpu_memory.process_bytes() == 1500 * MIB
    assert gpu_memory.process_bytes(4711) is None


def test_without_nvidia_smi_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_memory.total_bytes("0") is None
    assert gpu_memory.process_bytes() is None


# --- how many to a GPU -----------------------------------------------------------------------


def measured(*peaks_gib: float, trainer: str = "torch") -> list[Trial]:
    """Trials that ended, each with the peak of its process."""
    trials = []
    for number, peak in enumerate(peaks_gib):
        attempt = Attempt(1, outcome="complete", gpu_peak_bytes=int(peak * GIB), gpu_total_bytes=TOTAL)
        trials.append(a_trial(number, trainer))
        trials[-1].attempts.append(attempt)
    return trials


def a_trial(number: int = 99, trainer: str = "torch", gpus: float | None = None) -> Trial:
    return Trial(number, {}, trainer, "sampler", "tpe", 0.0, State.WAITING, gpus=gpus)


def test_until_one_was_measured_every_trial_has_a_whole_gpu() -> None:
    assert Shares("auto", there=True).of(a_trial()) == 1


@pytest.mark.parametrize(
    ("peak_gib", "to_a_gpu"),
    [(1, 20), (7, 10), (15, 4), (20, 3), (26.6, 2), (36, 2), (37, 1), (79, 1)],
)
def test_as_many_trials_go_on_a_gpu_as_fit_with_a_margin(peak_gib: float, to_a_gpu: int) -> None:
    share = Shares("auto", True, measured(peak_gib)).of(a_trial())
    assert int(1 / share) == to_a_gpu
    assert peak_gib * (1 + packing.MARGIN) <= share * 80 or share == 1


def test_each_trainer_is_measured_by_itself() -> None:
    shares = Shares("auto", True, measured(15))
    assert shares.of(a_trial(trainer="torch")) == 0.25
    assert shares.of(a_trial(trainer="keras")) == 1


def test_one_giant_does_not_take_the_place_of_three_others_and_several_do() -> None:
    assert Shares("auto", True, measured(15, 15, 15, 60)).of(a_trial()) == 0.25
    assert Shares("auto", True, measured(15, 15, 60, 60)).of(a_trial()) == 1


def test_a_trial_that_ran_out_of_memory_in_its_share_gets_twice_as_much_up_to_the_whole() -> None:
    assert [packing.more(share) for share in (0.05, 0.25, 0.3333, 0.5, 1)] == [0.1, 0.5, 1, 1, 1]
    assert Shares("auto", True, measured(15)).of(a_trial(gpus=0.5)) == 0.5


def test_a_share_that_the_file_names_is_everybodys() -> None:
    shares = Shares(0.5, True, measured(1))
    assert (shares.of(a_trial()), shares.given(0.5)) == (0.5, None)
    assert packing.extremes(0.5, there=True) == (0.5, 0.5)


def test_where_there_is_no_gpu_auto_means_none() -> None:
    shares = Shares("auto", there=False)
    assert (shares.of(a_trial()), shares.given(0.0)) == (0, None)
    assert packing.extremes("auto", there=False) == (0, 0)


@pytest.mark.parametrize(
    ("taken", "gpus", "devices"),
    [
        ({}, 1, ["6"]),
        ({}, 2, ["6", "7"]),
        ({}, 3, None),
        ({}, 0, []),
        ({"6": 0.5}, 1, ["7"]),
        ({"7": 0.5}, 0.25, ["7"]),
        ({"6": 0.5, "7": 0.25}, 0.5, ["6"]),
        ({"6": 0.75, "7": 1.0}, 0.5, None),
        ({"6": 3 * 0.3333, "7": 1.0}, 0.3333, None),
        ({"6": 2 * 0.3333, "7": 1.0}, 0.3333, ["6"]),
    ],
)
def test_a_share_goes_where_most_is_taken_and_whole_gpus_stay_free(
    taken: dict[str, float], gpus: float, devices: list[str] | None
) -> None:
    assert packing.choose(["6", "7"], taken, gpus) == devices


# --- a search --------------------------------------------------------------------------------


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    here = Office(tmp_path, gpus=True)
    with closing(here.ledger):
        yield here
        here.lease.release()


AUTO = plan(resources=Resources(gpus="auto"))


def test_the_first_trial_is_measured_and_a_resumed_search_packs_the_same(office: Office) -> None:
    desk = office.open(AUTO)
    first, beside = take(desk), take(desk)
    assert (first.resources["gpus"], beside.resources["gpus"]) == (1, 1)
    end(desk, beside, "stopped", **FACTS)
    assert take(desk).resources["gpus"] == 1
    report(desk, first)
    end(desk, first, **FACTS)
    assert take(desk).resources == {"cpus": 1, "gpus": 0.25, "ranks": 1}
    desk = office.reopen(AUTO)
    assert {take(desk).resources["gpus"] for _ in range(3)} == {0.25}


def test_a_trial_that_is_short_of_memory_in_its_share_gets_more_before_it_is_infeasible(
    office: Office,
) -> None:
    desk = office.open(AUTO)
    one(desk, **FACTS)
    for share in (0.25, 0.5, 1):
        task = take(desk)
        assert (task.trial, task.resources["gpus"], task.micro) == (1, share, 1)
        end(desk, task, "failed", cause="memory", error="CUDA out of memory")
        desk = office.reopen(AUTO) if share == 0.25 else desk
    trial = office.history().trials[1]
    assert (trial.state, trial.reason) == (State.FAILED, "infeasible")
    assert [a.gave_way for a in trial.attempts] == [True, True, False]
    assert take(desk).resources["gpus"] == 0.25


def test_a_task_that_does_not_fit_waits_and_is_the_next(office: Office) -> None:
    desk = office.open(plan(budget=Budget(trials=2)))
    assert task_of(desk, lambda task: False) is None
    assert [trial.number for trial in desk.history.trials.values()] == [0]  # it is known, and waits
    assert task_of(desk, lambda task: task.trial != 0) is None
    assert not desk.done
    assert [take(desk).trial, take(desk).trial] == [0, 1]


def on_ray(root: Path) -> list[dict[str, Any]]:
    env = {**os.environ, "PYTHONPATH": str(SOURCE.parents[1])}
    env.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "tests.shares", str(root)]
    said = subprocess.run(
        command, cwd=SOURCE.parents[1], env=env, capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0, said.stderr
    return list(json.loads(said.stdout.splitlines()[-1]))


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_after_the_first_trial_four_share_its_gpu_and_a_larger_one_gets_more(engine: str, root: Path) -> None:
    seen = on_ray(root) if engine == "ray" else played(Local(str(root), cpus=8, gpus=["0"]))
    assert {each["device"] for each in seen if each["kind"] == "started"} == {"0"}
    running: dict[int, float] = {}
    most = 0
    for each in seen:
        if each["kind"] == "started":
            running[each["trial"]] = each["gpus"]
            assert sum(running.values()) <= 1
            most = max(most, len(running))
        else:
            del running[each["trial"]]
    assert most == 4
    shares = [(each["trial"], each["gpus"]) for each in seen if each["kind"] == "started"]
    assert shares[0] == (0, 1)
    assert [gpus for trial, gpus in shares if trial == 6] == [0.25, 0.5]
    assert {gpus for trial, gpus in shares if trial not in (0, 6)} == {0.25}
    # Warm workers serve their share: of ten attempts one had the whole GPU, four its quarters and one the
    # half, in the place of two quarters at least, which the last two may have to start again.
    assert len(shares) == 10
    assert len({each["pid"] for each in seen if "pid" in each}) <= 8


def test_without_a_gpu_auto_runs_on_cpus_and_says_so(root: Path) -> None:
    told: list[str] = []

    class Listener(Watcher):
        def say(self, text: str) -> None:
            told.append(text)

    search = a_search(trials=2, resources=Resources(gpus="auto"))
    outcome = run(search, Local(str(root), cpus=2, gpus=[]), view=Listener())
    assert states(outcome) == {"COMPLETE": 2}
    assert "resources.gpus: auto: there is no GPU here, so trials run on CPUs alone" in told


def test_so_does_check(root: Path) -> None:
    command = [sys.executable, "-m", "automl", "check", "search_spaces/quadratic.yaml"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE.parents[1]), "CUDA_VISIBLE_DEVICES": ""}
    env.pop("RAY_ADDRESS", None)
    said = subprocess.run(
        [*command, "--set", "resources.gpus=auto"], cwd=root, env=env, capture_output=True, text=True
    )
    assert (said.returncode, said.stdout) == (0, "search_spaces/quadratic.yaml: no faults\n")
    assert "there is no GPU here" in said.stderr


def test_auto_is_a_word_of_the_file_that_is_written_and_read() -> None:
    search = a_search(resources={"gpus": "auto"})
    assert type(search).from_plain(search.to_plain()).resources.gpus == "auto"
    with pytest.raises(InputError, match="gpus: 'some' is not a finite number"):
        a_search(resources={"gpus": "some"})
