"""The short form: a few kills of each kind, at fixed seeds. `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.play import play
from tests.faults.scenario import Plan, Stage
from tests.faults.stages import cluster, local, served

# A minute or two on two idle cores; on busy ones, several.
pytestmark = pytest.mark.timeout(900)

Script = tuple[tuple[str, ...], ...]


def survives(stage: Stage, script: Script, folder: Path, trials: int) -> None:
    """Plays a round in which all of the script is killed, and nothing may be broken."""
    wanted = [kind for moment in script for kind in moment]
    plan = Plan(f"short-{stage.name}", seed=1, kills=len(wanted), trials=trials, script=script)
    verdict = play(stage, plan, folder / "round")
    assert {kill.kind for kill in verdict.kills} == set(wanted)
    assert verdict.violations == []


def test_killed_drivers_and_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    script = (("worker",), ("driver",), ("guard",), ("worker", "driver"), ("worker",), ("driver",))
    with local(tmp_path) as stage:
        survives(stage, script, tmp_path, trials=14)


def test_neither_does_a_database_or_a_tracking_server_that_dies(tmp_path: Path) -> None:
    script = (("postgres",), ("tracker",), ("mlflow",), ("worker",), ("driver", "postgres"))
    with served(tmp_path) as stage:
        survives(stage, script, tmp_path, trials=20)


def test_nor_do_rays_actors_and_nodes(tmp_path: Path) -> None:
    with cluster(tmp_path) as stage:
        survives(stage, (("actor",), ("node",), ("worker",), ("driver",)), tmp_path, trials=30)
