"""Writes golden ledgers: real searches by the automl that Python finds, as SQL text with the facts beside it.

    PYTHONPATH=. python tests/golden/make.py NAME

makes tests/golden/NAME. What is particular to this machine is replaced by @ROOT@, @MACHINE@ and host-a.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import automl
from automl.brain import Brain
from automl.ledger import Ledger
from automl.machine import machine_id
from automl.results import History, show
from automl.specfile import load

HERE = Path(__file__).parent
# Searches that do not come to their end: the signal, and the number of reports after which it comes.
CUT = {"killed": (signal.SIGKILL, 22), "stopped": (signal.SIGTERM, 7)}
ROOT, MACHINE = "@ROOT@", "@MACHINE@"


def main(name: str) -> None:
    into = HERE / name
    into.mkdir()
    for spec in sorted((HERE / "searches").glob("*.yaml")):
        with tempfile.TemporaryDirectory(prefix="automl-golden-") as folder:
            root = Path(shutil.copytree(HERE.parent / "project", Path(folder).resolve() / "project"))
            shutil.copy(spec, root / "search_spaces")
            _search(root, spec.stem)
            _keep(root, spec.stem, into)
        print(f"{into / spec.stem}.sql")


def _search(root: Path, name: str) -> None:
    command = [sys.executable, "-m", "automl", "search", f"search_spaces/{name}.yaml", "--engine", "local"]
    driver = subprocess.Popen(
        command, cwd=root, env=os.environ | {"AUTOML_LEDGER": "", "AUTOML_OWNER": "ann@host-a"}
    )
    if name in CUT:
        number, reports = CUT[name]
        while _reports(root) < reports and driver.poll() is None:
            time.sleep(0.02)
        driver.send_signal(number)
    driver.wait()
    time.sleep(1)  # workers of a killed driver leave with it


def _reports(root: Path) -> int:
    try:
        with sqlite3.connect(root / "automl.db") as db:
            return int(db.execute("SELECT count(*) FROM automl_events WHERE kind = 'reported'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # it is being made


def _keep(root: Path, name: str, into: Path) -> None:
    (into / f"{name}.sql").write_text(_neutral("\n".join(_dump(root / "automl.db")) + "\n", root))
    facts = json.dumps(_facts(root, name), indent=1)
    (into / f"{name}.json").write_text(_neutral(facts, root) + "\n")
    for file in sorted((root / "runs").rglob("checkpoint-*/*")):
        kept = into / f"{name}.files" / file.relative_to(root)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, kept)


def _dump(file: Path) -> Iterator[str]:
    with sqlite3.connect(file) as db:
        rows = db.execute("SELECT * FROM automl_events").fetchall()
        lines = list(db.iterdump())
    with sqlite3.connect(":memory:") as again:
        again.executescript("\n".join(lines))
        assert again.execute("SELECT * FROM automl_events").fetchall() == rows, "the dump is not faithful"
    yield from lines


def _facts(root: Path, name: str) -> dict[str, Any]:
    """What `show --json` says, and what its sampler would suggest next."""
    os.chdir(root)
    ledger = Ledger(f"sqlite:///{root / 'automl.db'}", create=False)
    events = list(ledger.events(name))
    ledger.close()
    history, brain = History(name, events), Brain(load(f"search_spaces/{name}.yaml"))
    brain.replay(events)
    asked = brain.ask(len(history.trials))
    return {"show": show(history, False), "next": asked.params if asked else None}


def _neutral(text: str, root: Path) -> str:
    package, host = str(Path(automl.__file__).parent), socket.gethostname()
    for here, there in (
        (str(root), ROOT),
        (package, "@AUTOML@"),
        (machine_id(), MACHINE),
        (platform.platform(), "Linux"),
        (f"'{host}'", "'host-a'"),
        (f'"{host}"', '"host-a"'),
    ):
        text = text.replace(here, there)
    return text


if __name__ == "__main__":
    main(sys.argv[1])
