"""Brings an older ledger up to the newest schema, step by step, by Alembic's operations.

Loaded only where a ledger is older. The versions are our own, in `automl_schema`: Alembic keeps no table
here, since Optuna and MLflow both take `alembic_version` for theirs. Knows no event and no lease.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection


def upgrade(db: Connection, version: int | None) -> None:
    """Make the tables of a ledger those of the newest schema, within the caller's transaction.

    Args:
        db: a connection whose transaction commits or rolls back all of it.
        version: the schema that is there; None where there is none.
    """
    steps = ScriptDirectory(str(Path(__file__).parent))
    missing = list(steps.iterate_revisions("heads", "base" if version is None else str(version)))
    with Operations.context(MigrationContext.configure(db)):
        for step in reversed(missing):
            step.module.upgrade()
