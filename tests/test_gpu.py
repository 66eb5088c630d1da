"""GPUs that trials share: who sees which, how much memory each may have, how many go on one.

No GPU is needed: decisions are numbers, nvidia-smi is a program on the path, and devices are names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from automl import gpu_memory, packing
from automl.events import State
from automl.gpu_memory import CONTEXT_BYTES, MIB, Use
from automl.packing import Shares
from automl.results import Attempt, Trial

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
    assert (shares.of(a_trial()), shares.least, shares.given(0.5)) == (0.5, 0.5, None)


def test_where_there_is_no_gpu_auto_means_none() -> None:
    shares = Shares("auto", there=False)
    assert (shares.of(a_trial()), shares.least, shares.given(0.0)) == (0, 0, None)
