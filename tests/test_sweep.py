"""Which files of ended trials stay: the best, those of trials that go on, and nothing that a kill left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fsspec
import pytest

from automl import storage
from automl.desk import Desk
from automl.engines.base import Answer, Task
from automl.search import Objective
from automl.sweep import Sweep
from tests.test_desk import Office, end, plan, report, take

TWO = [Objective("loss", "minimize"), Objective("size", "minimize")]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    here = Office(tmp_path)
    with closing(here.ledger):
        yield here
        here.lease.release()


def files(office: Office, trial: int, *names: str) -> list[Path]:
    places = [office.folder / "runs" / "s" / "trials" / str(trial) / name for name in names]
    for place in places:
        place.mkdir(parents=True)
    return places


def kept(office: Office, kind: str = "weights") -> list[int]:
    """The trials that have files of a kind."""
    return [number for number, place in storage.held(f"{office.folder}/runs", "s") if kind in place]


def one(office: Office, desk: Desk, loss: float, **metrics: Any) -> Task:
    """A trial that ends with weights."""
    task = take(desk)
    (weights,) = files(office, task.trial, "weights-00000001")
    report(desk, task, loss=loss, **metrics)
    end(desk, task, weights=str(weights))
    return task


def die(office: Office) -> None:
    """The driver is killed before it swept: its thread never ran, and nothing was closed."""
    office.desk._sweep.abandon()
    office.lease.release()


@pytest.mark.parametrize(("keep", "stay"), [(3, [1, 3, 4]), (1, [1]), (9, [0, 1, 2, 3, 4, 5])])
def test_the_weights_of_the_best_are_kept_over_drivers(office: Office, keep: int, stay: list[int]) -> None:
    desk = office.open(plan(keep=keep))
    for loss in (0.5, 0.2, 0.9, 0.4):
        one(office, desk, loss)
    desk = office.reopen(plan(keep=keep))
    for loss in (0.3, 0.8):
        one(office, desk, loss)
    office.shut()
    assert kept(office) == stay


def test_a_smaller_keep_takes_the_others_along(office: Office) -> None:
    desk = office.open(plan(keep=3))
    for loss in (0.5, 0.2, 0.4):
        one(office, desk, loss)
    office.reopen(plan(keep=1))
    office.shut()
    assert kept(office) == [1]


def test_with_two_objectives_the_pareto_front_stays_and_what_left_it_goes(office: Office) -> None:
    desk = office.open(plan(objective=TWO, keep=1))
    for loss, size in ((0.5, 5.0), (0.4, 6.0), (0.6, 6.0), (0.7, 1.0)):
        one(office, desk, loss, size=size)
    assert office.shut()
    assert kept(office) == [0, 1, 3]
    desk = office.open(plan(objective=TWO, keep=1))
    one(office, desk, 0.4, size=5.0)
    office.shut()
    assert kept(office) == [3, 4]


def test_the_checkpoints_of_an_ended_trial_and_the_weights_of_a_failed_one_go(office: Office) -> None:
    desk = office.open(plan())
    ended, runs = take(desk), take(desk)
    for task in (ended, runs):
        _, new = files(office, task.trial, "checkpoint-00000001", "checkpoint-00000002")
        desk.hear(task, {"kind": "checkpointed", "step": 2, "path": str(new)})
    (weights,) = files(office, ended.trial, "weights-00000002")
    end(desk, ended, weights=str(weights))
    office.shut()
    assert office.history().trials[0].reason == "missing"
    assert list((office.folder / "runs/s/trials/0").iterdir()) == []
    assert len(list((office.folder / "runs/s/trials/1").iterdir())) == 2


def test_what_an_attempt_wrote_and_could_not_tell_of_goes_with_its_trial(office: Office) -> None:
    desk = office.open(plan())
    task = take(desk)
    files(office, task.trial, "checkpoint-00000003", "weights-00000002", ".weights-0badcafe")
    end(desk, task, "failed", cause="code", error="ValueError: no")
    office.shut()
    assert list((office.folder / "runs/s/trials/0").iterdir()) == []


def test_what_a_pruned_trial_brought_to_the_storage_after_it_was_told_goes_as_well(office: Office) -> None:
    """Checkpoints and weights are on their way while training goes on; one is told by its end, one never."""
    desk = office.open(plan())
    told, cut = take(desk), take(desk)
    for task in (told, cut):
        nan = {"kind": "report", "step": 1, "metrics": {"loss": math.nan}}
        assert desk.hear(task, nan) is Answer.END
    desk._sweep._thread.submit(int).result()  # what was there then is gone
    for task in (told, cut):
        files(office, task.trial, "checkpoint-00000001", "weights-00000001")
    desk.hear(told, {"kind": "ended", "outcome": "pruned"})
    desk._sweep._thread.submit(int).result()
    assert list((office.folder / "runs/s/trials/0").iterdir()) == []
    assert len(list((office.folder / "runs/s/trials/1").iterdir())) == 2
    office.shut()
    assert list((office.folder / "runs/s/trials/1").iterdir()) == []


def test_what_a_driver_that_died_did_not_sweep_goes_with_the_next(office: Office) -> None:
    desk = office.open(plan(keep=1))
    for loss in (0.5, 0.2):
        one(office, desk, loss)
    failed, runs = take(desk), take(desk)
    for task in (failed, runs):
        files(office, task.trial, "checkpoint-00000001", "weights-00000001")
    end(desk, failed, "failed", cause="code", error="ValueError: no")
    office.desk._sweep.finish()
    for number in (0, 1, 2):  # as if none of it had been done
        folder = office.folder / "runs" / "s" / "trials" / str(number)
        for name in ("checkpoint-00000001", ".checkpoint-0badcafe", "weights-00000001"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "log.txt").write_text("hello")
    die(office)

    office.open(plan(keep=1))
    office.shut()
    assert kept(office) == [1, runs.trial]
    assert kept(office, "checkpoint") == [runs.trial]
    assert [len(list((office.folder / f"runs/s/trials/{n}").iterdir())) for n in (0, 1, 2)] == [1, 2, 1]


def test_after_an_orderly_end_the_next_driver_looks_at_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(office, office.open(plan()), 0.5)
    looked: list[Any] = []

    def look(*_: Any) -> list[Any]:
        looked.append(1)
        return []

    monkeypatch.setattr(storage, "held", look)
    office.reopen(plan())
    office.shut()
    assert looked == []
    office.open(plan(keep=2))
    office.shut()
    assert looked == [1]


def test_weights_of_a_trial_that_the_changed_search_has_no_place_for_stay(tmp_path: Path) -> None:
    trials = [
        _trial(0, values=None, told=[0.1], weights=str(tmp_path)),
        _trial(1, values=[0.2], told=[0.2], weights=str(tmp_path)),
    ]
    for number in (0, 1):
        (tmp_path / "s" / "trials" / str(number) / "weights-00000001").mkdir(parents=True)
    sweep = Sweep(plan(keep=1), str(tmp_path))
    sweep.recall(trials, swept=False)
    sweep.finish()
    assert (tmp_path / "s" / "trials" / "0" / "weights-00000001").is_dir()


def test_nothing_goes_while_the_ledger_is_away_nor_once_the_search_is_another_drivers(tmp_path: Path) -> None:
    away = [True]
    places = [_weights(tmp_path, number) for number in (0, 1, 2)]
    sweep = Sweep(plan(keep=1), str(tmp_path), lambda: away[0])
    trials = [_trial(n, values=[3.0 - n], told=None, weights=str(places[n])) for n in (0, 1, 2)]
    for trial in trials[:2]:
        sweep.after(trial)
    sweep.finish()
    assert [place.is_dir() for place in places] == [True, True, True]
    sweep.finish_late()
    assert places[0].is_dir()
    away[0] = False
    sweep.finish_late()
    assert [place.is_dir() for place in places] == [False, True, True]

    away[0] = True
    lost = Sweep(plan(keep=1), str(tmp_path), lambda: away[0])
    for trial in trials[1:]:
        lost.after(trial)
    lost.abandon()
    away[0] = False
    lost.finish_late()
    assert [place.is_dir() for place in places] == [False, True, True]


def test_a_remote_storage_is_looked_at_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "memory://sweeps/runs"
    for number in range(4):
        folder = storage.TrialFolder(place, "s", number, tmp_path)
        folder.put("weights", 1, lambda into: (into / "w").touch())
        folder.put("checkpoint", 1, lambda into: (into / "c").touch())
    memory, finds = fsspec.filesystem("memory"), list[Any]()
    find = type(memory).find

    def counted(*arguments: Any, **more: Any) -> Any:
        finds.append(arguments)
        return find(*arguments, **more)

    monkeypatch.setattr(type(memory), "find", counted)
    held = list(storage.held(place, "s"))
    assert len(finds) == 1
    assert held[:2] == [(0, f"{place}/s/trials/0/{kind}-00000001") for kind in ("checkpoint", "weights")]
    assert len(held) == 8


def _weights(folder: Path, number: int) -> Path:
    place = folder / "s" / "trials" / str(number) / "weights-00000001"
    place.mkdir(parents=True)
    return place


def _trial(number: int, **facts: Any) -> Any:
    from automl.events import State
    from automl.results import Trial

    return Trial(number, {}, "trainer", "startup", "random", 0.0, state=State.COMPLETE, **facts)
