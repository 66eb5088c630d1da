"""The long form: `python -m tests.faults --kills 200 --seed 0`. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.play import rounds
from tests.faults.stages import STAGES
from tests.faults.table import Verdict, said, table

# How the kills are shared out: where everything is of one machine they cost least time.
SHARES = {"local": 0.5, "served": 0.29, "cluster": 0.19, "frameworks": 0.02}


def main() -> int:
    """Plays on every stage in turn, prints the table."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many, on all stages together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", choices=list(STAGES), action="append", help="these alone")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    begun_s = time.monotonic()
    verdicts: list[Verdict] = []
    # A stop ends the servers too, and what was seen so far is still worth its table.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        for verdict in _verdicts(asked, folder):
            verdicts.append(verdict)
            _progress(verdicts, begun_s)
    minutes = (time.monotonic() - begun_s) / 60
    print(f"Seed {asked.seed}, {len(verdicts)} searches, {minutes:.0f} minutes; {said(verdicts)}.\n")
    print(table(verdicts))
    with contextlib.suppress(OSError):
        folder.rmdir()  # only where no evidence is kept
    return 1 if any(v.violations for v in verdicts) else 0


def _verdicts(asked: argparse.Namespace, folder: Path) -> Iterator[Verdict]:
    names = asked.stage or list(STAGES)
    for name in names:
        kills = round(asked.kills * SHARES[name] / sum(SHARES[each] for each in names))
        with STAGES[name](folder) as stage:
            yield from rounds(stage, kills, asked.seed, folder)


def _progress(verdicts: list[Verdict], begun_s: float) -> None:
    kills, broken = sum(len(v.kills) for v in verdicts), sum(len(v.violations) for v in verdicts)
    last = verdicts[-1]
    text = f"{last.stage}, {last.wall_s:.0f} s; in all {kills} kills, {broken} violations"
    print(f"{time.monotonic() - begun_s:6.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
