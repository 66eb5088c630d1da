"""Plays rounds on a stage until enough was killed, and judges each. Keeps the folder of one that broke."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.facts import Fact
from tests.faults.judge import OTHER, Violation, judge
from tests.faults.judge_mlflow import judge_mlflow
from tests.faults.scenario import Plan, Round, Stage, Stuck
from tests.faults.table import Verdict, recovered_s

# So often a user would give the same command again because MLflow was behind at the end.
SETTLES = 3


def rounds(stage: Stage, kills: int, seed: int, folder: Path) -> Iterator[Verdict]:
    """Search after search until `kills` were done."""
    done, number = 0, 0
    choose = random.Random(f"{seed} {stage.name}")
    while done < kills:
        number += 1
        most, trials = stage.each
        few = min(most, kills - done)
        trials = max(6, trials * few // most)
        plan = Plan(f"{stage.name}-{number}", choose.randrange(2**31), few, trials)
        plan = replace(
            plan, sampler=choose.choice(["tpe", "random"]), pruner=choose.choice(["none", "median"])
        )
        verdict = play(stage, plan, folder / plan.name)
        done += len(verdict.kills)
        yield verdict


def play(stage: Stage, plan: Plan, folder: Path) -> Verdict:
    """One round and its verdict; the folder stays where something was broken."""
    begun_s = time.monotonic()
    folder.mkdir(parents=True)
    game = Round(stage, plan, folder)
    broken: list[Violation] = []
    try:
        game.play()
    except Stuck as stuck:
        broken.append(Violation(OTHER, str(stuck)))
    left = game.left_alive()
    facts = game.book.reread()
    broken += judge(facts, plan, _twin(stage, plan, folder) if stage.twin else None)
    if stage.tracking:
        while stage.shown(plan.name) < facts[-1].n and game.settled < SETTLES:
            game.settle()
            facts = game.book.reread()
        broken += judge_mlflow(stage.tracking, facts, plan)
    broken += [Violation(OTHER, f"a process is left: {each}") for each in left]
    broken += [Violation(OTHER, f"a file is left: {each}") for each in game.left_lying()]
    if game.book.held():
        broken.append(Violation(OTHER, "the lease was not given back"))
    recovered: dict[str, list[float]] = defaultdict(list)
    for kill in game.kills:
        if (seconds := recovered_s(kill, game.book.facts, game.shown)) is not None:
            recovered[kill.kind].append(seconds)
    game.book.close()
    if broken:
        _tell(plan, folder, broken)
    else:
        shutil.rmtree(folder)
    return Verdict(stage.name, game.kills, broken, recovered, time.monotonic() - begun_s, facts)


def _twin(stage: Stage, plan: Plan, folder: Path) -> list[Fact]:
    """The rows of the same search when nobody disturbs it."""
    beside = folder / "twin"
    beside.mkdir()
    game = Round(stage, replace(plan, kills=0), beside)
    game.play()
    return game.book.reread()


def _tell(plan: Plan, folder: Path, broken: list[Violation]) -> None:
    lines = [f"  {each.kind}: trial {each.trial}: {each.text}" for each in broken]
    text = "\n".join([f"BROKEN: {plan}", *lines, f"  evidence: {folder}", ""])
    (folder / "broken.txt").write_text(text)
    print(text, file=sys.stderr, flush=True)
