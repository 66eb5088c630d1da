"""The training alone: what a search would cost if searching cost nothing. No tuner, no tracker, no disk.

- One process for each slot, as with Optuna; each trains its share of the budget, one trial after another.
- Points drawn from the shared space beforehand; nothing is reported, and nobody asks for the results.
- `medium`: there is nobody to cut a trial, so each is trained to the second rung, about as far as successive
  halving lets them come on the mean. Compare its training in slot time, which is what the framework itself
  leaves between two epochs and between two trials, not its wall.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

from contenders.base import (
    FACTOR,
    GRACE_EPOCHS,
    SEED,
    SLOTS,
    SPACE,
    Pick,
    Workload,
    outcome,
    python,
    tell,
    told,
)

__all__ = ["command", "outcome"]


def command(folder: object, workload: Workload) -> list[str]:
    return python("alone", workload)


def point(generator: random.Random) -> dict[str, Any]:
    """A point of the shared space. Scales do not matter here: no parameter changes what an epoch costs."""
    return {
        name: generator.choice(what.options)
        if isinstance(what, Pick)
        else generator.uniform(what.low, what.high)
        for name, what in SPACE.items()
    }


def work(workload: Workload, slot: int) -> None:
    """The process of a slot: prints the value of each of its trials."""
    from contenders.training import fit_keras, fit_lightning

    fit = fit_keras if workload.framework == "keras" else fit_lightning
    generator = random.Random(SEED + slot)
    own = range(slot, workload.trials, SLOTS)
    if workload.pruned:
        workload = replace(workload, epochs=GRACE_EPOCHS * FACTOR)
    print(json.dumps([fit(workload, point(generator), []) for _ in own]))


def main() -> None:
    workload, options = told()
    if "slot" in options:
        work(workload, options["slot"])
        return
    commands = [python("alone", workload, slot=slot) for slot in range(SLOTS)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit(f"the processes exited with {[process.returncode for process in running]}")
    values = [value for text in said for value in json.loads(text.splitlines()[-1])]
    tell(max(values), ["TRAINED"] * len(values), "no search")


if __name__ == "__main__":
    main()
