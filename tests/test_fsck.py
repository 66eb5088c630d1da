"""Whole searches are damaged by hand, one way at a time: fsck finds exactly that, and mends what it can."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

import automl
from automl import fsck_storage
from automl.cli import app
from automl.differences import Difference
from automl.errors import LeaseHeld, NoSuchSearch
from automl.events import Event
from automl.fsck import Checkup, fsck
from automl.ledger import Ledger
from automl.plan import plan
from automl.results import History
from automl.run import Silent, run
from automl.search import Search
from automl.specfile import load
from automl.storage import TrialFolder
from automl.trackers import audit
from automl.trackers import base as trackers
from tests.test_engines import SOURCE
from tests.test_trackers import Server, empty_mlflow, wait_until  # noqa: F401  a fixture

LIGHTNING, FUNCTION = "tiny-lightning", "resumes"
# An interrupted search of a callable that keeps checkpoints; trial 2 waits with two of them.
STEPS, STOPPED_AT = 5, 3


class Interrupts(Silent):
    """Ctrl-C as soon as trial 2 has kept its third checkpoint."""

    def event(self, event: Event) -> None:
        if (event.kind, event.trial, event.data.get("step")) == ("checkpointed", 2, STOPPED_AT):
            os.kill(os.getpid(), signal.SIGINT)


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Path:  # noqa: F811
    """A project with a Lightning search that ended, in MLflow, and one of a callable that was stopped.

    One trial after the other: which of them was the best for how long, and wrote weights, is always the same.
    """
    root = tmp_path_factory.mktemp("searched") / "project"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns("__pycache__", "runs", "*.db*"))
    shutil.copy(empty_mlflow, root / "mlflow.db")
    overrides = ["keep=2", "tracking={register: tiny}", "resources.parallel=1", "seed=5"]
    assert run(load(root / "search_spaces/tiny_lightning.yaml", overrides), "local").exit_code == 0
    function = load(root / "search_spaces/resumes.yaml", ["budget.trials=3", "resources.parallel=1"])
    assert run(function, "local", view=Interrupts()).state == "STOPPED"
    return root


@dataclass
class Place:
    """A project of this test's own, to be damaged."""

    root: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.root / 'automl.db'}"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(f"sqlite:///{self.root / 'mlflow.db'}")

    def history(self, name: str) -> History:
        return History(name, self.events(name))

    def events(self, name: str) -> list[Event]:
        book = Ledger(self.url)
        found = list(book.events(name))
        book.close()
        return found

    def append(self, name: str, *events: Event) -> None:
        book = Ledger(self.url)
        with book.lease(name) as lease:
            lease.append(events)
        book.close()

    def sql(self, file: str, *statements: str) -> None:
        with sqlite3.connect(self.root / file) as db:
            for statement in statements:
                assert db.execute(statement).rowcount != 0, f"nothing was damaged by {statement}"

    def ledger(self, statement: str) -> None:
        mine = f"search_id = (SELECT id FROM automl_searches WHERE name = '{FUNCTION}')"
        self.sql("automl.db", statement.replace("MINE", mine))

    def trial(self, number: int, name: str = FUNCTION) -> Path:
        return self.root / "runs" / name / "trials" / str(number)

    def checkpoints(self, number: int) -> list[Path]:
        return sorted(self.trial(number).glob("checkpoint-*"))

    # --- MLflow ----------------------------------------------------------------------------

    def run_of(self, number: int | None) -> str:
        """The run of a trial, or of the search."""
        table = "SELECT run_uuid FROM tags JOIN runs USING (run_uuid) WHERE lifecycle_stage = 'active'"
        which = "key = 'automl.id'" if number is None else f"key = 'automl.trial' AND value = '{number}'"
        with sqlite3.connect(self.root / "mlflow.db") as db:
            return str(db.execute(f"{table} AND {which}").fetchone()[0])

    def run_sql(self, number: int | None, statement: str) -> None:
        self.sql("mlflow.db", statement.replace("{run}", f"'{self.run_of(number)}'"))


@pytest.fixture
def place(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the searched project under its own path, as the ledger and MLflow name it."""
    root = tmp_path / "project"
    shutil.copytree(searched, root)
    for file, tables in TABLES.items():
        with sqlite3.connect(root / file) as db:
            for table, column in tables:
                db.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(searched), str(root))
                )
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Place(root)


TABLES = {
    "automl.db": [("automl_events", "data")],
    "mlflow.db": [
        ("runs", "artifact_uri"),
        ("experiments", "artifact_location"),
        ("logged_models", "artifact_location"),
    ],
}


def lines(found: Checkup) -> list[str]:
    return [str(difference) for difference in found.differences]


def expect(found: list[str], patterns: list[str]) -> None:
    """Exactly these lines, in this order."""
    assert len(found) == len(patterns), found
    for line, pattern in zip(found, patterns, strict=True):
        assert re.search(pattern, line), f"{line!r} is not {pattern!r}"


def test_searches_that_nothing_happened_to_agree(place: Place) -> None:
    found = fsck(FUNCTION, deep=True)
    assert (found.differences, found.ok, found.compared) == ([], True, ["ledger", "storage"])
    assert found.state == "STOPPED"
    assert compare(place) == []


# --- the ledger against itself ---------------------------------------------------------------------


def tail_of(place: Place, number: int) -> None:
    """The driver dies while a trial runs: nothing after its last report was written."""
    last = [e.n for e in place.events(FUNCTION) if e.kind == "reported" and e.trial == number][-1]
    place.ledger(f"DELETE FROM automl_events WHERE MINE AND n > {last}")


def position(place: Place, kind: str, trial: int, step: int = 0) -> int:
    found = [
        e.n
        for e in place.events(FUNCTION)
        if (e.kind, e.trial, e.data.get("step") or step) == (kind, trial, step)
    ]
    return found[0]


LEDGER: dict[str, tuple[Callable[[Place], None], list[str]]] = {
    "a gap": (
        lambda p: p.ledger(f"DELETE FROM automl_events WHERE MINE AND n = {position(p, 'reported', 0, 2)}"),
        [r"^ledger, event \d+, trial 0: position \d+ is missing before it\. .*backup"],
    ),
    "a step twice": (
        lambda p: p.ledger(
            "UPDATE automl_events SET data = replace(data, '\"step\":3', '\"step\":2') "
            "WHERE MINE AND kind = 'reported' AND trial = 1"
        ),
        [r"trial 1: step 2 counts a second time"],
    ),
    "a trial that starts again": (
        lambda p: p.append(FUNCTION, Event("started", 0, 2, {"node": "box"})),
        [r"trial 0: started: a trial cannot go from COMPLETE to RUNNING"],
    ),
    "a trial that ends again": (
        lambda p: p.append(FUNCTION, Event("ended", 0, 1, {"outcome": "failed"})),
        [r"trial 0: ended while it is COMPLETE"],
    ),
    "a report of a stopped attempt": (
        lambda p: p.append(FUNCTION, Event("reported", 2, 1, {"step": 4, "metrics": {"loss": 1.0}})),
        [r"trial 2: reported while it is WAITING"],
    ),
    "an attempt left out": (
        lambda p: p.ledger("UPDATE automl_events SET attempt = 2 WHERE MINE AND trial = 1 AND attempt = 1"),
        [r"trial 1: attempt 2 started after no earlier"],
    ),
    "a trial left out": (
        lambda p: p.append(FUNCTION, Event("asked", 4, None, ASKED)),
        [r"trial 4: asked, and trial 3 was not"],
    ),
    "an event of no trial": (
        lambda p: p.append(FUNCTION, Event("checkpointed", 9, 1, {"step": 1, "path": "x"})),
        [r"trial 9: checkpointed, and no such trial was asked"],
    ),
    "no values": (
        lambda p: p.ledger(
            "UPDATE automl_events SET data = json_remove(data, '$.values') "
            "WHERE MINE AND kind = 'finished' AND trial = 1"
        ),
        [r"trial 1: COMPLETE with the values None, and the search has 1 objectives"],
    ),
    "no end of an attempt": (
        lambda p: p.ledger(
            "UPDATE automl_events SET kind = 'sung' WHERE MINE AND kind = 'ended' AND trial = 0"
        ),
        [r"trial 0: sung is no kind of event", r"trial 0: COMPLETE, and attempt 1 had not ended"],
    ),
    "garbled data": (
        lambda p: p.ledger(
            f"UPDATE automl_events SET data = '{{\"st' WHERE MINE AND n = {position(p, 'reported', 0, 2)}"
        ),
        [r"trial 0: reported, and its data is no JSON: '\{\"st'"],
    ),
    "data that lacks a part": (
        lambda p: p.ledger(
            "UPDATE automl_events SET data = json_remove(data, '$.metrics') "
            f"WHERE MINE AND n = {position(p, 'reported', 0, 2)}"
        ),
        [r"trial 0: reported lacks what it should say \(KeyError: 'metrics'\)"],
    ),
    "closed twice": (
        lambda p: p.append(FUNCTION, Event("closed", data={"state": "ENDED", "reason": ""})),
        [r"closed, and its driver had closed already"],
    ),
}  # fmt: skip
ASKED = {"params": {"model.x": 0.5}, "trainer": "trainer", "source": "sampler", "sampler": "random"}


@pytest.mark.parametrize("damage", LEDGER)
def test_a_broken_ledger_is_told_and_kept_as_it_is(place: Place, damage: str) -> None:
    act, patterns = LEDGER[damage]
    act(place)
    expect(lines(fsck(FUNCTION)), patterns)
    book = Ledger(place.url)
    before = list(book.events(FUNCTION, tolerant=True))
    expect(lines(fsck(FUNCTION, repair=True)), patterns)
    assert list(book.events(FUNCTION, tolerant=True)) == before
    book.close()


def test_an_attempt_that_a_dead_driver_left_goes_back_to_waiting(place: Place) -> None:
    tail_of(place, 1)
    expect(lines(fsck(FUNCTION))[:1], [r"^ledger, trial 1: attempt 1 is RUNNING and no driver lives"])
    assert fsck(FUNCTION, repair=True).ok
    assert fsck(FUNCTION).ok
    history = place.history(FUNCTION)
    assert [str(trial.state) for trial in history.trials.values()] == ["COMPLETE", "WAITING"]
    assert history.trials[1].attempts[-1].outcome == "lost"
    # The hours in which nobody lived are no part of budget.time.
    assert history.alive_s == pytest.approx(History(FUNCTION, place.events(FUNCTION)[:-1]).alive_s)


def test_nothing_is_added_to_a_trial_whose_events_are_broken(place: Place) -> None:
    place.append(FUNCTION, Event("opened", data=dict(place.events(FUNCTION)[0].data)))
    place.append(FUNCTION, Event("started", 2, 3, {"node": "box"}))
    expect(
        lines(fsck(FUNCTION)),
        [r"trial 2: attempt 3 started after 1 earlier", r"trial 2: attempt 2 is RUNNING .*backup"],
    )
    before = place.events(FUNCTION)
    assert len(fsck(FUNCTION, repair=True).differences) == 2
    assert place.events(FUNCTION) == before


# --- the storage ------------------------------------------------------------------------------------


def truncate(folder: Path) -> None:
    file = next(path for path in sorted(folder.iterdir()) if path.name != "MANIFEST.json")
    file.write_bytes(file.read_bytes()[:-1])


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "step.txt").write_text("1")


def keep(place: Place, number: int, kind: str, step: int) -> None:
    TrialFolder(str(place.root / "runs"), FUNCTION, number, place.root).put(
        kind, step, lambda folder: (folder / "step.txt").write_text(str(step))
    )


STORAGE: dict[str, tuple[Callable[[Place], object], list[str]]] = {
    "a folder of no trial": (
        lambda p: fill(p.trial(99)),
        [r"^storage, trial 99: .*/trials/99 is of a trial that is not in the ledger\. --repair removes it"],
    ),
    "a checkpoint of an ended trial": (
        lambda p: keep(p, 0, "checkpoint", 5),
        [r"storage, trial 0: .*/checkpoint-00000005 is a checkpoint of a trial that is COMPLETE"],
    ),
    "a half-written checkpoint": (
        lambda p: fill(p.trial(2) / ".checkpoint-1234abcd"),
        [r"storage, trial 2: .*/\.checkpoint-1234abcd is half-written"],
    ),
    "a checkpoint that the ledger does not know": (
        lambda p: fill(p.trial(2) / "checkpoint-00000004"),
        [r"storage, trial 2: .*/checkpoint-00000004 is a checkpoint that the ledger has never heard of"],
    ),
    "weights of no account": (
        lambda p: fill(p.trial(0) / "weights-00000001"),
        [r"storage, trial 0: .*/weights-00000001 is not the weights that the ledger has"],
    ),
    "a lost checkpoint": (
        lambda p: shutil.rmtree(p.checkpoints(2)[-1]),
        [r"storage, trial 2: its checkpoint .* is not whole: it is not there\. After --repair .* step 2\."],
    ),
    "a cut off checkpoint": (
        lambda p: truncate(p.checkpoints(2)[-1]),
        [r"storage, trial 2: its checkpoint .* is not whole: step.txt has 0 bytes, 1 were written"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", STORAGE)
def test_a_damaged_storage_is_told_and_mended(place: Place, damage: str) -> None:
    act, patterns = STORAGE[damage]
    act(place)
    expect(lines(fsck(FUNCTION)), patterns)
    mended = fsck(FUNCTION, repair=True)
    assert mended.ok and mended.done
    assert fsck(FUNCTION, deep=True).ok


def test_a_flipped_bit_is_seen_by_a_deep_check_alone(place: Place) -> None:
    (place.checkpoints(2)[-1] / "step.txt").write_text("x")
    assert fsck(FUNCTION).ok
    expect(lines(fsck(FUNCTION, deep=True)), [r"trial 2: its checkpoint .*step.txt has other contents"])
    assert fsck(FUNCTION, deep=True, repair=True).ok


@pytest.mark.parametrize(("lost", "first"), [(1, STOPPED_AT + 1), (2, 1)])
def test_a_trial_goes_on_from_what_is_left_after_a_repair(place: Place, lost: int, first: int) -> None:
    for folder in place.checkpoints(2)[-lost:]:
        shutil.rmtree(folder)
    assert fsck(FUNCTION, repair=True).ok
    assert "is not whole" in place.events(FUNCTION)[-1].data["error"]
    search = load(place.root / "search_spaces/resumes.yaml", ["budget.trials=3", "resources.parallel=1"])
    notes = Notes()
    outcome = run(search, "local", view=notes)
    assert outcome.state == "ENDED"
    # A callable without a model, and nothing is tracked: there is nothing to complain about.
    assert [text for text in notes.said if "published" in text] == []
    trial = outcome.history.trials[2]
    assert [report.step for report in trial.reports] == [1, 2, 3, 4, 5]
    assert trial.reports[-1].metrics["first"] == first
    assert fsck(FUNCTION).ok


def storage_of(place: Place, name: str) -> list[str]:
    found = fsck_storage.compare(place.history(name), fsck_storage.Setting(str(place.root / "runs")))
    return [str(difference) for difference in found]


def test_an_object_store_is_compared_by_its_manifests(tmp_path: Path) -> None:
    """fsspec's own store in memory: what has no manifest is half-written."""
    url = f"memory://{tmp_path.name}"
    folder = TrialFolder(url, "far", 0, tmp_path)
    paths = [folder.put("checkpoint", step, lambda to: (to / "a.txt").write_text("a")) for step in (1, 2)]
    events = [Event("opened", data={"spec": {"name": "far"}}), Event("asked", 0, None, ASKED)]
    events += [Event("started", 0, 1), Event("checkpointed", 0, 1, {"step": 2, "path": paths[1]})]
    events += [Event("ended", 0, 1, {"outcome": "stopped", "again": True})]

    def told(deep: bool = False) -> list[str]:
        found = fsck_storage.compare(History("far", events), fsck_storage.Setting(url, deep=deep))
        return [str(difference) for difference in found]

    assert told() == [] and told(deep=True) == []
    TrialFolder(url, "far", 7, tmp_path).put("weights", 1, lambda to: (to / "a.txt").write_text("a"))
    files = fsspec.filesystem("memory")
    files.pipe_file(f"{paths[1]}/a.txt", b"b")
    assert [number_in(line) for line in told()] == [7]
    expect(told(deep=True)[1:], [r"trial 0: its checkpoint .*a\.txt has other contents.*on from step 1"])
    files.rm(f"{paths[1]}/MANIFEST.json")
    half = r"trial 0: .*/checkpoint-00000002 is half-written"
    expect(told()[1:], [half, r"trial 0: its checkpoint .* has no MANIFEST.json\. .* goes on from step 1"])


def number_in(line: str) -> int:
    return int(re.findall(r"trial (\d+)", line)[0])


def test_lost_weights_cannot_be_mended_and_their_trial_is_named(place: Place) -> None:
    ranked = sorted(place.history(LIGHTNING).trials.values(), key=lambda trial: trial.values or [])
    lost, pushed_out = ranked[0], ranked[2]
    assert [Path(str(trial.weights)).is_dir() for trial in ranked] == [True, True, False, False]
    shutil.rmtree(str(lost.weights))
    fill(Path(str(pushed_out.weights)))
    gone = rf"storage, trial {lost.number}: its weights .* not there\. They cannot be mended"
    extra = rf"storage, trial {pushed_out.number}: .* not among the best"
    expect(sorted(storage_of(place, LIGHTNING)), sorted([gone, extra], key=lambda text: text.split(":")[0]))


# --- MLflow -----------------------------------------------------------------------------------------


def order(place: Place, repair: bool = False) -> audit.Order:
    """What fsck would tell its child about the Lightning search."""
    spec = place.history(LIGHTNING).spec
    planned = plan(Search.from_plain(spec or {}))
    objectives = [{"metric": "val_loss", "direction": "minimize"}]
    uri = f"sqlite:///{place.root / 'mlflow.db'}"
    where = trackers.Plan(place.url, LIGHTNING, str(place.root), uri, planned.experiment, "tiny", objectives)
    return audit.Order(where, [], repair)


def compare(place: Place, repair: bool = False) -> list[str]:
    """The child's work, done here: MLflow is imported once for all tests."""
    said: list[dict[str, Any]] = []
    audit.audit(order(place, repair), said.append)
    return [str(Difference(**message["difference"])) for message in said if "difference" in message]


def second_run(place: Place, number: int | None) -> None:
    """What an answer lost on its way can make: the same run, made again."""
    run_id = place.run_of(number)
    found = place.client.get_run(run_id)
    place.client.create_run(found.info.experiment_id, found.info.start_time, found.data.tags)


def move_champion(place: Place) -> None:
    """Somebody registers a worse trial of this search and calls it champion."""
    client = place.client
    version = client.get_model_version_by_alias("tiny", "champion")
    tags = {**version.tags, "automl.value": "1000.0"}
    worse = client.create_model_version("tiny", version.source, version.run_id, {**tags, "automl.trial": "9"})
    client.set_registered_model_alias("tiny", "champion", worse.version)


def log_again(place: Place, number: int, step: int, value: float) -> None:
    point = Metric("val_loss", value, 1_790_000_000_000, step)
    place.client.log_batch(place.run_of(number), [point])


METRIC = "WHERE run_uuid = {run} AND key = 'val_loss' AND step = 2"
MLFLOW: dict[str, tuple[Callable[[Place], object], list[str]]] = {
    "a trial's status": (
        lambda p: p.run_sql(1, "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = {run}"),
        [r"^MLflow, trial 1: its run is RUNNING, not FINISHED\. --repair shows it again from the ledger\."],
    ),
    "the search's status": (
        lambda p: p.run_sql(None, "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = {run}"),
        [r"^MLflow: its run is RUNNING, not FINISHED"],
    ),
    "a tag": (
        lambda p: p.client.set_tag(p.run_of(2), "automl.state", "FAILED"),
        [r"MLflow, trial 2: tag automl.state is 'FAILED', not 'COMPLETE'"],
    ),
    "a lost tag": (
        lambda p: p.client.delete_tag(p.run_of(None), "automl.trials.COMPLETE"),
        [r"^MLflow: tag automl.trials.COMPLETE is missing"],
    ),
    "a deleted run": (
        lambda p: p.client.delete_run(p.run_of(0)),
        [r"^MLflow, trial 0: it has no run"],
    ),
    "a second run of a trial": (
        lambda p: second_run(p, 3),
        [r"^MLflow, trial 3: it has a second run, \w+\. --repair deletes it"],
    ),
    "the search's deleted run": (
        lambda p: p.client.delete_run(p.run_of(None)),
        [r"^MLflow: the search has no run"],
    ),
    "a second run of the search": (
        lambda p: second_run(p, None),
        [r"^MLflow: the search has a second run"],
    ),
    "a run that claims to be of the search": (
        lambda p: p.client.set_tag(
            p.client.create_run(p.client.get_run(p.run_of(0)).info.experiment_id).info.run_id,
            "automl.search",
            LIGHTNING,
        ),
        [r"^MLflow: run \w+ claims to be of this search, and is the run of no trial of it"],
    ),
    "a lost parameter": (
        lambda p: p.run_sql(0, "DELETE FROM params WHERE run_uuid = {run} AND key = 'model.lr'"),
        [r"MLflow, trial 0: parameter model.lr is missing\. --repair makes its run anew"],
    ),
    "all parameters lost": (
        lambda p: p.run_sql(0, "DELETE FROM params WHERE run_uuid = {run}"),
        [r"MLflow, trial 0: parameter .* is missing; parameter .* is missing\. --repair shows it again"],
    ),
    "another parameter": (
        lambda p: p.run_sql(0, "UPDATE params SET value = '7' WHERE run_uuid = {run} AND key = 'model.lr'"),
        [r"MLflow, trial 0: parameter model.lr is '7', not '0\.\d+'"],
    ),
    "the search's own parameter": (
        lambda p: p.run_sql(None, "UPDATE params SET value = '7' WHERE run_uuid = {run} AND key = 'seed'"),
        [r"^MLflow: parameter seed is '7', not '5'"],
    ),
    "a lost step": (
        lambda p: p.run_sql(1, "DELETE FROM metrics " + METRIC),
        [r"MLflow, trial 1: metric val_loss lacks step 2\. --repair shows it again"],
    ),
    "another value": (
        lambda p: p.run_sql(1, "UPDATE metrics SET value = 7 " + METRIC),
        [r"MLflow, trial 1: metric val_loss is 7\.0 at step 2, not .*anew"],
    ),
    "a step twice": (
        lambda p: log_again(p, 1, 2, 0.5),
        [r"MLflow, trial 1: metric val_loss has step 2 more than once"],
    ),
    "a step too many": (
        lambda p: log_again(p, 1, 9, 0.5),
        [r"MLflow, trial 1: metric val_loss is 0\.5 at step 9, not None"],
    ),
    "no best value": (
        lambda p: p.run_sql(None, "DELETE FROM metrics WHERE run_uuid = {run} AND step = 0"),
        [r"^MLflow: metric best.val_loss lacks step 0"],
    ),
    "a cursor that is behind": (
        lambda p: p.client.set_tag(p.run_of(None), "automl.cursor", "3"),
        [r"^MLflow: events up to 3 are shown, and the ledger has \d+"],
    ),
    "a cursor that is ahead": (
        lambda p: p.client.set_tag(p.run_of(None), "automl.cursor", "999"),
        [r"^MLflow: events up to 999 are shown"],
    ),
    "no champion": (
        lambda p: p.client.delete_registered_model_alias("tiny", "champion"),
        [r"^MLflow: tiny has no champion\. --repair publishes it again"],
    ),
    "another champion": (
        move_champion,
        [r"^MLflow: the champion of tiny is version 2, and version 1, of trial \d, is better"],
    ),
    "a deleted version": (
        lambda p: p.client.delete_model_version("tiny", "1"),
        [r"^MLflow: tiny has no version of trial \d"],
    ),
    "a model that is not told": (
        lambda p: p.client.delete_tag(p.run_of(None), "automl.model"),
        [r"^MLflow: trial \d is published, and the search's run does not say so"],
    ),
    "all of MLflow": (
        lambda p: p.sql("mlflow.db", f"UPDATE experiments SET name = 'other' WHERE name = '{LIGHTNING}'"),
        [r"^MLflow: there is no such experiment"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", MLFLOW)
def test_damaged_runs_are_told_and_mended(place: Place, damage: str) -> None:
    act, patterns = MLFLOW[damage]
    act(place)
    expect(compare(place), patterns)
    expect(compare(place, repair=True), patterns)
    assert compare(place) == []


def test_a_deleted_experiment_is_left_to_its_owner(place: Place) -> None:
    experiment = place.client.get_experiment_by_name(LIGHTNING)
    place.client.delete_experiment(experiment.experiment_id)
    expect(compare(place, repair=True), [r"deleted\. Restore it: mlflow experiments restore"])


def test_another_search_of_the_name_is_not_touched(place: Place) -> None:
    """Its ledger was deleted, or lies elsewhere: its runs are no claim."""
    client, experiment = place.client, place.client.get_experiment_by_name(LIGHTNING).experiment_id
    tags = {"automl.search": LIGHTNING, "automl.id": "another"}
    parent = client.create_run(experiment, tags=tags).info.run_id
    links = {"automl.search": LIGHTNING, "mlflow.parentRunId": parent, "automl.trial": "0"}
    client.create_run(experiment, tags=links)
    assert compare(place) == []


# --- the whole command ------------------------------------------------------------------------------


def command(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["fsck", *words])
    return done.exit_code, done.stdout, done.stderr


def test_a_search_whose_driver_died_does_not_stay_running_in_mlflow(place: Place) -> None:
    """The ledger and MLflow as a kill leaves them: nothing after the report of trial 3's second step."""
    mine = f"search_id = (SELECT id FROM automl_searches WHERE name = '{LIGHTNING}')"
    last = [
        e.n for e in place.events(LIGHTNING) if (e.kind, e.trial, e.data.get("step")) == ("reported", 3, 2)
    ]
    place.sql("automl.db", f"DELETE FROM automl_events WHERE {mine} AND n > {last[0]}")
    found = fsck(LIGHTNING)
    assert found.state == "LOST"
    told = lines(found)
    assert any(re.match("ledger, trial 3: attempt 1 is RUNNING", line) for line in told)
    assert any(re.match("MLflow: its run is FINISHED, not KILLED", line) for line in told)
    assert any(re.match("MLflow, trial 3: its run is FINISHED, not KILLED", line) for line in told)
    left = lines(fsck(LIGHTNING, repair=True))
    assert [line for line in left if not line.startswith("storage")] == []
    assert place.history(LIGHTNING).state(driver_alive=False) == ("LOST", "its driver died")
    states = [place.client.get_run(run_id).info.status for run_id in (place.run_of(3), place.run_of(None))]
    assert states == ["KILLED", "KILLED"]


def answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=1):
            return True
    except OSError:
        return False


def test_the_command_against_a_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(place.root)
    elsewhere = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    code, out, _ = command(LIGHTNING)
    assert code == 1
    expect(out.splitlines(), [rf"^MLflow: could not be compared: .*{elsewhere}.* See that the server runs"])
    server.start()
    try:
        wait_until(lambda: answers(elsewhere))
        log_again(place, 1, 2, 0.5)
        fill(place.trial(0, LIGHTNING) / ".weights-12345678")
        code, out, _ = command(LIGHTNING)
        assert code == 1
        half, twice = r"^storage, trial 0: .*half-written", r"^MLflow, trial 1: .* step 2 more than once"
        expect(out.splitlines(), [half, twice])
        code, out, _ = command(LIGHTNING, "--repair", "--json")
        shown = json.loads(out)
        assert (code, shown["ok"], shown["differences"]) == (0, True, [])
        assert (shown["compared"], shown["trials"]) == (["ledger", "storage", "MLflow"], 4)
        assert any(line.startswith("MLflow: showed again") for line in shown["done"])
    finally:
        server.stop()


def test_differences_are_data_too(place: Place) -> None:
    fill(place.trial(99))
    code, out, _ = command(FUNCTION, "--json")
    shown = json.loads(out)
    assert (code, shown["ok"], shown["driver_alive"]) == (1, False, False)
    found = shown["differences"][0]
    assert (found["part"], found["trial"], found["mendable"]) == ("storage", 99, True)
    code, out, _ = command(FUNCTION, "--json", "--repair")
    assert (code, json.loads(out)["differences"], len(json.loads(out)["done"])) == (0, [], 1)


def test_what_cannot_be_compared_at_all_is_a_wrong_input(place: Place) -> None:
    assert command("resume")[0] == 2
    assert command(FUNCTION, "--mend")[0] == 2
    with pytest.raises(NoSuchSearch):
        automl.fsck("resume", repair=True)
    book = Ledger(place.url)
    assert book.searches() == [LIGHTNING, FUNCTION], "the repair of no search has made one"
    book.close()


def test_a_living_driver_is_told_of_and_nothing_is_repaired(place: Place) -> None:
    book = Ledger(place.url)
    fill(place.trial(99))
    with book.lease(FUNCTION):
        code, out, err = command(FUNCTION)
        assert (code, len(out.splitlines())) == (1, 1)
        assert "is being run by a driver" in err
        with pytest.raises(LeaseHeld):
            fsck(FUNCTION, repair=True)
        assert command(FUNCTION, "--repair")[0] == 2
    book.close()
    assert place.trial(99).exists()
    assert automl.fsck(FUNCTION, repair=True).ok


def test_without_repair_nothing_is_written(place: Place) -> None:
    tail_of(place, 1)
    fill(place.trial(99))
    before = sorted(str(path) for path in (place.root / "runs").rglob("*")), place.events(FUNCTION)
    assert not fsck(FUNCTION).ok
    assert (sorted(str(path) for path in (place.root / "runs").rglob("*")), place.events(FUNCTION)) == before


def test_events_that_wait_for_the_ledger_are_told(place: Place) -> None:
    """tests/test_outage.py shows how they come to wait, and that a repair hands them in."""
    (place.root / "runs" / FUNCTION / "waiting.jsonl").write_text("{}\n")
    expect(lines(fsck(FUNCTION)), [r"^ledger: events of its last driver wait in .*waiting\.jsonl\. The next"])


def test_a_model_that_is_nowhere_is_packed_again(place: Place) -> None:
    """Where nothing is tracked, the packed folder is the only one."""
    path = place.root / "runs" / FUNCTION / "model"
    place.append(FUNCTION, Event("published", 0, None, {"path": str(path), "step": 5}))
    expect(
        lines(fsck(FUNCTION)), [r"^storage, trial 0: its published model .* is not there\. --repair writes"]
    )
    assert fsck(FUNCTION, repair=True).ok
    published = place.history(FUNCTION).published or {}
    assert (published["path"], published["error"]) == (None, "its folder was gone")
