"""The long form: `python -m tests.faults --kills 200 --seed 0`. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.play import rounds
from tests.faults.scenario import Stage
from tests.faults.table import Verdict, table


def main() -> int:
    """Plays on every stage in turn, prints the table."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    stage = Stage("local", lambda place: f"sqlite:///{place}/ledger.db", {"driver": 1, "worker": 2})
    verdicts: list[Verdict] = []
    begun_s = time.monotonic()
    for verdict in rounds(stage, asked.kills, asked.seed, folder):
        verdicts.append(verdict)
        done, broken = sum(len(v.kills) for v in verdicts), sum(len(v.violations) for v in verdicts)
        print(
            f"{time.monotonic() - begun_s:6.0f} s  {verdict.stage}: {done} kills, {broken} violations",
            file=sys.stderr,
            flush=True,
        )
    print(f"seed {asked.seed}, {time.monotonic() - begun_s:.0f} s, {len(verdicts)} searches\n")
    print(table(verdicts))
    return 1 if any(v.violations for v in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
