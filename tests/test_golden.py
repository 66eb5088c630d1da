"""Ledgers that earlier versions wrote are read, replayed and carried on by this one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from automl import lookup, tables
from automl.brain import Brain
from automl.cli import app
from automl.errors import LedgerError
from automl.events import FINAL, Event
from automl.fsck_ledger import Books
from automl.ledger import Ledger
from automl.machine import machine_id
from automl.plan import versions
from automl.results import History, show
from automl.run import run
from automl.schema import SCHEMA
from automl.specfile import load

HERE = Path(__file__).parent / "golden"
GOLDEN = [f"{file.parent.name}/{file.stem}" for file in sorted(HERE.glob("*/*.sql"))]
CUT = [name for name in GOLDEN if name.endswith(("killed", "stopped"))]


@dataclass(frozen=True)
class Golden:
    """A golden search in a project of its own."""

    name: str
    root: Path
    facts: dict[str, Any]

    @property
    def file(self) -> Path:
        return self.root / "search_spaces" / f"{self.name}.yaml"

    def events(self) -> list[Event]:
        with closing(Ledger(f"sqlite:///{self.root}/automl.db", create=False)) as ledger:
            return list(ledger.events(self.name))


@pytest.fixture
def golden(
    request: pytest.FixtureRequest, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Golden]:
    """Its ledger, files and search file, as if they had been written here."""
    version, name = request.param.split("/")
    shutil.copy(HERE / "searches" / f"{name}.yaml", project / "search_spaces")
    if (files := HERE / version / f"{name}.files").exists():
        shutil.copytree(files, project, dirs_exist_ok=True)
    script = (HERE / version / f"{name}.sql").read_text()
    with closing(sqlite3.connect(project / "automl.db")) as db:
        db.executescript(script.replace("@ROOT@", str(project)).replace("@MACHINE@", machine_id()))
    monkeypatch.chdir(project)
    monkeypatch.delenv("AUTOML_LEDGER", raising=False)
    facts = (HERE / version / f"{name}.json").read_text().replace("@ROOT@", str(project))
    yield Golden(name, project, json.loads(facts))


@pytest.mark.parametrize("golden", GOLDEN, indirect=True)
def test_a_golden_ledger_says_what_it_said_when_it_was_written(golden: Golden) -> None:
    shown = CliRunner().invoke(app, ["show", golden.name, "--json"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert _known(golden.facts["show"], json.loads(shown.stdout)) == golden.facts["show"]


@pytest.mark.parametrize("golden", GOLDEN, indirect=True)
def test_a_golden_ledger_is_shown_in_words_from_a_part_of_its_events(
    golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for find in (lookup.find, lookup.overview):
        found = find(golden.name)
        tables.search(found.history, found.alive)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def _known(before: Any, now: Any) -> Any:
    """What is shown now without the keys that came later: shapes grow, they do not change."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {key: _known(before.get(key), value) for key, value in now.items() if key in before}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [_known(*pair) for pair in zip(before, now, strict=True)]
    return now


@pytest.mark.parametrize("golden", GOLDEN, indirect=True)
def test_a_brain_rebuilt_from_a_golden_ledger_suggests_what_its_writer_would_have(golden: Golden) -> None:
    events = golden.events()
    search, history = load(golden.file), History(golden.name, events)
    brain = Brain(search)
    brain.replay(events)
    assert brain.strangers == []
    asked = brain.ask(len(history.trials))
    assert asked is not None
    assert asked.params.keys() == golden.facts["next"].keys() or len(search.trainers) > 1
    if versions()["optuna"] == history.sessions[0].data["versions"]["optuna"]:
        assert asked.params == golden.facts["next"]


@pytest.mark.parametrize("golden", GOLDEN, indirect=True)
def test_a_golden_ledger_keeps_its_own_rules(golden: Golden) -> None:
    assert Books(golden.name, golden.events()).conclude(alive=True) == []


@pytest.mark.parametrize("golden", CUT, indirect=True)
def test_a_golden_search_that_was_cut_off_is_carried_on_to_its_end(golden: Golden) -> None:
    before = History(golden.name, golden.events())
    outcome = run(load(golden.file), "local")
    history = History(golden.name, golden.events())
    assert (outcome.state, outcome.reason) == ("ENDED", "budget.trials")
    assert sum(history.counts[state] for state in FINAL) == sum(history.counts.values()) == 5
    for number, trial in before.trials.items():
        now = history.trials[number]
        assert now.params == trial.params
        assert now.reports[: len(trial.reports)] == trial.reports
        if trial.state in FINAL:
            assert now == trial
        elif trial.checkpoint:
            assert now.attempts[-1].resumed_step == trial.checkpoint_step
    assert any(trial.checkpoint for trial in before.trials.values() if trial.state not in FINAL)


@pytest.mark.parametrize("golden", GOLDEN[:1], indirect=True)
def test_a_ledger_of_a_later_schema_is_refused_with_its_number(golden: Golden) -> None:
    with closing(sqlite3.connect(golden.root / "automl.db")) as db, db:
        db.execute("UPDATE automl_schema SET version = ?", (SCHEMA + 1,))
    with pytest.raises(
        LedgerError, match=rf"schema {SCHEMA + 1}, made by a later automl; .* knows up to {SCHEMA}\."
    ):
        golden.events()


@pytest.mark.parametrize("golden", [n for n in GOLDEN if n.endswith("finished")], indirect=True)
def test_a_golden_search_that_has_ended_stays_as_it_is(golden: Golden) -> None:
    outcome = run(load(golden.file), "local")
    shown = show(outcome.history, driver_alive=False)
    assert _known(golden.facts["show"], shown) == golden.facts["show"]
