"""Real trials on a real GPU: where they train, what they may take of it, and what becomes of a failure.

Each test is a small search, on the local engine and, where it is installed, on Ray.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import automl
from automl import gpu_memory, packing
from automl.engines.base import Engine
from automl.engines.local import Local, visible_gpus
from automl.results import Trial
from automl.search import Budget, Objective, Resources, Search, Trainer
from automl.space import Choice, Float
from tests.test_engines import Watcher

pytestmark = pytest.mark.skipif(
    not visible_gpus(), reason="nvidia-smi names no GPU here; these tests train on one"
)

NETS = "trainers.on_cuda"
MIB = 1 << 20
EXAMPLES = Path(__file__).parents[1] / "trainers"


@functools.cache
def torch_sees() -> str:
    """Asked of another process: what holds a context here would hold memory of all trials' GPU."""
    code = "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name(0) or '')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    return said.stdout.strip()


@pytest.fixture(autouse=True)
def cuda() -> None:
    if not torch_sees():
        pytest.skip("there is a GPU, but this torch sees none; these tests train on one")


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed here; the local engine runs the same test")
    return str(request.param)


class Seen:
    """A desk's twin that notes what the desk does not keep: each task's share, what its worker holds.

    Args:
        desk: the real one.
    """

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self.shares: dict[tuple[int, int], float] = {}
        self.usage: dict[tuple[int, int], Mapping[str, int]] = {}
        self.together = self.most = 0
        self.taken = self.most_taken = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    def hear(self, task: Any, message: dict[str, Any]) -> Any:
        key, gpus = (task.trial, task.attempt), float(task.resources["gpus"])
        if message["kind"] == "started":
            self.shares[key] = gpus
            self.together, self.taken = self.together + 1, self.taken + gpus
            self.most = max(self.most, self.together)
            self.most_taken = max(self.most_taken, self.taken)
        if message["kind"] == "ended" and key in self.shares:
            self.usage[key] = message.get("usage") or {}
            self.together, self.taken = self.together - 1, self.taken - gpus
        return self._desk.hear(task, message)


class Played:
    """A search that has ended: its trials, its events, and what was seen on the way."""

    def __init__(self, result: automl.Result, watcher: Watcher, seen: Seen) -> None:
        history = result._outcome.history
        self.trials: list[Trial] = [history.trials[number] for number in sorted(history.trials)]
        self.state, self.reason = result.state, result.reason
        self.events, self.seen = watcher.events, seen

    @property
    def states(self) -> list[str]:
        return [str(trial.state) for trial in self.trials]

    @property
    def errors(self) -> list[str | None]:
        """For a failing assertion to show."""
        return [attempt.error for trial in self.trials for attempt in trial.attempts]

    def data(self, kind: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    def last(self, number: int, metric: str) -> float:
        return float(self.trials[number].reports[-1].metrics[metric])


def play(root: Path, engine: str, search: Search) -> Played:
    """Run a search with `automl.run`."""
    acting: Engine
    if engine == "ray":
        from automl.engines.ray_tune import RayTune

        acting = RayTune(str(root), address="local")
    else:
        acting = Local(str(root), cpus=8)
    noted: list[Seen] = []

    def run(desk: Any, before: Callable[[Any], None] = acting.run) -> None:
        noted.append(Seen(desk))
        before(noted[0])

    acting.run = run  # type: ignore[method-assign]
    watcher = Watcher()
    try:
        return Played(automl.run(search, engine=acting, view=watcher), watcher, noted[0])
    finally:  # what pytest shows of a test that failed
        for event in watcher.events:
            print(f"{event.time_s:.1f}", event.kind, event.trial, event.attempt, str(event.data)[:300])


def a_search(points: Sequence[Mapping[str, Any]], net: str = f"{NETS}:CudaNet", **more: Any) -> Search:
    """A search over such points and no others. Keywords with a dot are constants."""
    constants = {key: more.pop(key) for key in list(more) if "." in key}
    names = dict.fromkeys(name for point in points for name in point)
    choices = {
        name: Choice(list(dict.fromkeys(point[name] for point in points if name in point))) for name in names
    }
    words: dict[str, Any] = {
        "name": "cuda",
        "objective": Objective("val_loss", "minimize"),
        "trainer": Trainer("lightning", net, f"{net.partition(':')[0]}:TinyData", {"max_epochs": 2}),
        "space": {"model.lr": Float(0.01, 0.1), **choices, **constants},
        "start_with": list(points),
        "budget": Budget(trials=len(points), failures=len(points) + 1),
        "sampler": "random",
        "pruner": "none",
        "resources": Resources(cpus=0.25, gpus=1),
        "tracking": False,
    }
    return Search(**{**words, **more})


def some(count: int, **same: Any) -> list[dict[str, Any]]:
    """So many points that differ in their mark only."""
    return [{"model.mark": number, **{f"model.{k}": v for k, v in same.items()}} for number in range(count)]


# --- where a trial trains --------------------------------------------------------------------


def test_a_trial_with_a_gpu_trains_on_it_and_the_ledger_says_which(engine: str, root: Path) -> None:
    played = play(root, engine, a_search(some(2)))
    assert played.states == ["COMPLETE"] * 2, played.errors
    assert {data["device"] for data in played.data("started")} == {f"cuda:{visible_gpus()[0]}"}
    for number in range(2):
        assert played.last(number, "on_cuda") == 1
        assert played.last(number, "allocated") > 0
        assert played.last(number, "fraction") == 1
    assert played.seen.most_taken == 1  # one after the other: each has the whole device


def test_a_trial_without_a_gpu_sees_none(root: Path) -> None:
    played = play(root, "local", a_search(some(1), resources=Resources(cpus=0.25, gpus=0)))
    assert played.states == ["COMPLETE"], played.errors
    assert (played.last(0, "on_cuda"), played.last(0, "allocated")) == (0, 0)
    assert [data["device"] for data in played.data("started")] == ["cpu"]


def test_a_killed_trial_goes_on_from_its_checkpoint_on_the_gpu(root: Path) -> None:
    """Its curve is that of a trial that nobody killed."""
    trainer = Trainer("lightning", f"{NETS}:KilledNet", f"{NETS}:TinyData", {"max_epochs": 4})
    point = {"model.lr": 0.05, "model.dies": str(root / "died")}  # once, whichever search it is in
    again, whole = (
        play(root, "local", a_search([point], name=name, trainer=trainer)) for name in ("killed", "whole")
    )
    assert [a.outcome for a in again.trials[0].attempts] == ["failed", "complete"], again.errors
    assert [a.outcome for a in whole.trials[0].attempts] == ["complete"], whole.errors
    assert again.data("started")[1]["resumed_step"] == 2
    assert again.last(0, "on_cuda") == 1
    curves = [[report.metrics["val_loss"] for report in each.trials[0].reports] for each in (again, whole)]
    assert len(curves[0]) == 4
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


# --- shares ----------------------------------------------------------------------------------


def test_four_trials_share_a_gpu_and_only_the_one_that_wants_more_than_its_share_fails(
    engine: str, root: Path
) -> None:
    parts = [0.02, 0.02, 0.02, 0.8]  # the last one is too large in two parts as well
    points = [{**point, "model.part": part} for point, part in zip(some(4), parts, strict=True)]
    constants = {"model.wanted": 4, "model.folder": str(root)}
    played = play(root, engine, a_search(points, resources=Resources(cpus=0.25, gpus=0.25), **constants))
    assert played.states == ["COMPLETE"] * 3 + ["FAILED"], played.errors
    greedy = played.trials[3]
    assert greedy.reason == "infeasible"
    assert [(a.outcome, a.cause) for a in greedy.attempts] == [("failed", "memory")] * 2
    assert all("out of memory" in str(a.error) for a in greedy.attempts)
    assert (played.seen.most, played.seen.most_taken) == (4, 1)
    firsts = [trial.attempts[0] for trial in played.trials]
    assert max(each.started_s or 0 for each in firsts) < min(each.ended_s or 0 for each in firsts)
    assert len({each.pid for each in firsts}) == 4
    for number in range(3):
        total = played.trials[number].attempts[0].gpu_total_bytes
        assert total is not None
        limit = gpu_memory.limit_bytes(total, 0.25)
        assert limit is not None
        assert played.last(number, "met") == 4
        assert played.last(number, "fraction") == pytest.approx(limit / total, rel=1e-3)


def test_a_trial_that_is_short_of_memory_in_its_share_fits_in_smaller_parts(root: Path) -> None:
    points = [{**some(1)[0], "model.part": 0.3}]
    played = play(root, "local", a_search(points, resources=Resources(cpus=0.25, gpus=0.25)))
    assert played.states == ["COMPLETE"], played.errors
    first, second = played.trials[0].attempts
    assert (first.outcome, first.cause, second.outcome) == ("failed", "memory", "complete")
    assert [data["micro"] for data in played.data("started")] == [1, 2]
    # Who ran out of memory once serves no other trial.
    assert first.pid != second.pid


def test_auto_measures_the_first_trial_and_puts_four_like_it_on_its_gpu(engine: str, root: Path) -> None:
    points = some(5, part=0.2)
    constants = {"model.wanted": 4, "model.folder": str(root)}
    played = play(root, engine, a_search(points, resources=Resources(cpus=0.25, gpus="auto"), **constants))
    assert played.states == ["COMPLETE"] * 5, played.errors
    first = played.trials[0].attempts[0]
    assert first.gpu_peak_bytes and first.gpu_total_bytes
    assert 0.2 < first.gpu_peak_bytes / first.gpu_total_bytes < 0.5
    measured = [data for data in played.data("ended") if data.get("gpu_peak_bytes")]
    assert len(measured) == 5
    share = packing.needed(first.gpu_peak_bytes / first.gpu_total_bytes)
    assert played.seen.shares == {(0, 1): 1.0, **{(n, 1): share for n in range(1, 5)}}
    if share == 0.25:  # a small device's context leaves room for three
        assert (played.seen.most, played.last(4, "met")) == (4, 4)
    assert played.seen.most_taken <= 1


def test_what_auto_gave_too_little_gets_more_and_no_smaller_batches(root: Path) -> None:
    points = [{**point, "model.part": part} for point, part in zip(some(2), (0.02, 0.3), strict=True)]
    played = play(root, "local", a_search(points, resources=Resources(cpus=0.25, gpus="auto")))
    assert played.states == ["COMPLETE"] * 2, played.errors
    shares = [share for (trial, _), share in sorted(played.seen.shares.items()) if trial == 1]
    assert shares[0] < 0.25
    assert all(later >= 2 * before or later == 1 for before, later in itertools.pairwise(shares))
    assert shares[-1] >= 0.3
    assert [a.cause for a in played.trials[1].attempts] == ["memory"] * (len(shares) - 1) + [None]
    assert {data["micro"] for data in played.data("started")} == {1}


def test_what_a_trial_held_is_given_back_before_the_next_is_measured(root: Path) -> None:
    points = [{**point, "model.part": part} for point, part in zip(some(3), (0.2, 0.02, 0.02), strict=True)]
    played = play(root, "local", a_search(points))
    assert played.states == ["COMPLETE"] * 3, played.errors
    assert len({trial.attempts[0].pid for trial in played.trials}) == 1
    giant, *small = (trial.attempts[0].gpu_peak_bytes or 0 for trial in played.trials)
    total = played.trials[0].attempts[0].gpu_total_bytes or 0
    assert giant > 0.2 * total
    assert all(0.02 * total < each < 0.1 * total for each in small)
    held = [played.seen.usage[number, 1]["gpu_bytes"] for number in (1, 2)]
    assert all(each < 0.1 * total for each in held)


# --- precision and compilation ---------------------------------------------------------------


def test_precision_and_compilation_hold_for_the_trial_that_asks_for_them(root: Path) -> None:
    words = [("32-true", False), ("bf16-mixed", False), ("16-mixed", False), ("bf16-mixed", True)]
    words += [("32-true", True), ("32-true", False)]
    points = [
        {"model.mark": n, "model.lr": 0.05, "fit.precision": word, "fit.compile": compiles}
        for n, (word, compiles) in enumerate(words)
    ]
    played = play(root, "local", a_search(points))
    assert played.states == ["COMPLETE"] * 6, played.errors
    found = [(played.last(n, "bits"), played.last(n, "compiled")) for n in range(6)]
    assert found == [(32, 0), (16, 0), (16, 0), (16, 1), (32, 1), (32, 0)]
    assert {played.last(n, "on_cuda") for n in range(6)} == {1}
    # One worker trained them all, and what one of them asked for is not the next one's.
    assert len({trial.attempts[0].pid for trial in played.trials}) == 1


# --- failures --------------------------------------------------------------------------------


def test_a_device_side_assert_costs_its_trial_and_its_worker_and_no_other_trial(
    engine: str, root: Path
) -> None:
    points = [{"model.harm": harm} for harm in ("", "assert", "")]
    played = play(root, engine, _harming(points))
    assert played.states == ["COMPLETE", "FAILED", "COMPLETE"], played.errors
    failed = played.trials[1].attempts
    assert [(a.outcome, a.cause) for a in failed] == [("failed", "code")]
    assert "device-side assert" in str(failed[0].error)
    pids = [trial.attempts[0].pid for trial in played.trials]
    assert pids[0] == pids[1] != pids[2]
    assert [data["warm"] for data in played.data("started")] == [False, True, False]


def test_a_cuda_error_is_the_machines_and_the_trial_is_tried_again_elsewhere(root: Path) -> None:
    pytest.importorskip("triton", reason="the kernel that does the harm is Triton's")
    played = play(root, "local", _harming([{"model.harm": "address"}], **{"model.once": str(root / "done")}))
    assert played.states == ["COMPLETE"], played.errors
    first, second = played.trials[0].attempts
    assert (first.outcome, first.cause, second.outcome) == ("failed", "machine", "complete")
    assert "CUDA error" in str(first.error)
    assert first.pid != second.pid


def _harming(points: Sequence[Mapping[str, Any]], **more: Any) -> Search:
    space = {
        "model.harm": Choice(sorted({point["model.harm"] for point in points})),
        "data.size": Choice([96, 112]),
    }
    trainer = Trainer("lightning", f"{NETS}:HarmingNet", f"{NETS}:TinyData", {"max_epochs": 2})
    return a_search(points, trainer=trainer, space={**space, **more})


# --- data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_the_examples_come_from_pinned_memory_and_no_loader_stays(
    workers: int, root: Path
) -> None:
    shutil.copytree(EXAMPLES, root / "trainers", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pyc*"))
    nets = "trainers.on_cuda_digits"
    trainer = Trainer("lightning", f"{nets}:LoadedNet", f"{nets}:DigitsData", {"max_epochs": 2})
    space = {"model.hidden": Choice([16, 32]), "data.num_workers": workers, "data.path": "digits"}
    points = [{"model.hidden": 16}, {"model.hidden": 32}]
    played = play(root, "local", a_search(points, trainer=trainer, space=space))
    assert played.states == ["COMPLETE"] * 2, played.errors
    for number in range(2):
        assert (played.last(number, "pinned"), played.last(number, "loaders")) == (1, workers)
        assert played.seen.usage[number, 1]["processes"] == played.seen.usage[0, 1]["processes"]
