"""The short form: a few kills of each kind, at fixed seeds. `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.faults.play import play
from tests.faults.scenario import Plan, Stage
from tests.faults.stages import on_sqlite


def test_killed_drivers_and_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    stage = Stage("local", on_sqlite, {"driver": 1, "worker": 2})
    verdict = play(stage, Plan("short", seed=1, kills=6, trials=12), tmp_path / "round")
    assert len(verdict.kills) >= 6
    assert verdict.violations == []
