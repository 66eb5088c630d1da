"""automl, by its own command: `automl search FILE --engine ray|local`.

Configured as the README shows it: one file, the sampler and pruner by name, everything else by default.
So beside what the peers do it keeps a ledger, the log of every trial, the weights of the best three, and
packs and verifies the winner's MLflow model at the end; all of that is in its wall time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from contenders.base import FACTOR, GRACE_EPOCHS, METRIC, SEED, SLOTS, SPACE, Outcome, Pick, Span, Workload

NAME = "peers"
FILE = "search_spaces/peers.yaml"
_TRAINERS: dict[str, Any] = {
    "lightning": {"model": "trainers.peers_lightning:Net", "data": "trainers.peers_lightning:Data"},
    "keras": {"model": "trainers.peers_keras:build", "data": "trainers.peers_keras:data"},
}


def command(folder: Path, workload: Workload, engine: str) -> list[str]:
    """Write the search file."""
    file = folder / FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(spec(workload), indent=1))  # JSON is YAML
    return [sys.executable, "-m", "automl", "search", FILE, "--engine", engine]


def spec(workload: Workload) -> dict[str, Any]:
    """The search file."""
    epochs = workload.epochs
    fit = {"lightning": {"max_epochs": epochs}, "keras": {"epochs": epochs, "batch_size": 64, "verbose": 0}}
    halving = {"name": "successive_halving", "min_resource": GRACE_EPOCHS, "reduction_factor": FACTOR}
    trainer = {"framework": workload.framework, **_TRAINERS[workload.framework]}
    return {
        "name": NAME,
        "seed": SEED,
        "objective": {"metric": METRIC, "direction": "maximize"},
        "trainer": {**trainer, "fit": fit[workload.framework]},
        "space": {
            "model.width": workload.width,
            "data.copies": workload.copies,
            **{f"model.{name}": _parameter(what) for name, what in SPACE.items()},
        },
        "budget": {"trials": workload.trials},
        "search": {"sampler": "tpe", "pruner": halving if workload.pruned else "none"},
        "resources": {"cpus": 1, "parallel": SLOTS},
    }


def _parameter(what: Span | Pick) -> dict[str, Any]:
    if isinstance(what, Pick):
        return {"choice": list(what.options)}
    return {"float": [what.low, what.high], "log": what.log}


def outcome(folder: Path, workload: Workload) -> Outcome:
    """What `automl show` says."""
    ledger = f"sqlite:///{folder}/automl.db"
    shows = [sys.executable, "-m", "automl", "show", NAME, "--json", "--ledger", ledger]
    done = subprocess.run(shows, cwd=folder, capture_output=True, text=True, check=True)
    shown = json.loads(done.stdout)
    states = Counter(trial["state"] for trial in shown["trials"])
    return Outcome(shown["best"]["values"][0] if shown["best"] else None, states)
