"""The short form: a few kills of each kind, at fixed seeds. `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.faults.play import play
from tests.faults.scenario import Plan
from tests.faults.stages import cluster, local, served


def test_killed_drivers_and_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    with local(tmp_path) as stage:
        verdict = play(stage, Plan("short", seed=1, kills=6, trials=12), tmp_path / "round")
    assert len(verdict.kills) >= 6
    assert verdict.violations == []


def test_neither_does_a_database_or_a_tracking_server_that_dies(tmp_path: Path) -> None:
    with served(tmp_path) as stage:
        verdict = play(stage, Plan("short-served", seed=5, kills=6, trials=24), tmp_path / "round")
    assert {"postgres", "mlflow", "tracker"} <= {kill.kind for kill in verdict.kills}
    assert verdict.violations == []


def test_nor_do_rays_actors_and_nodes(tmp_path: Path) -> None:
    with cluster(tmp_path) as stage:
        verdict = play(stage, Plan("short-cluster", seed=26, kills=4, trials=16), tmp_path / "round")
    assert {"actor", "node"} <= {kill.kind for kill in verdict.kills}
    assert verdict.violations == []
