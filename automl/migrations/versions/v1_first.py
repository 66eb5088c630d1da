"""Schema 1: searches, their events, and who holds the lease on each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the first tables, as the first version made them."""
    op.create_table("automl_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.create_table(
        "automl_searches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("created_s", sa.Double, nullable=False),
    )
    _events()
    _leases()


def _events() -> None:
    op.create_table(
        "automl_events",
        sa.Column("search_id", sa.Integer, sa.ForeignKey("automl_searches.id"), primary_key=True),
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("attempt", sa.Integer),
        sa.Column("time_s", sa.Double, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    for kind in ("asked", "finished"):
        op.execute(
            f"CREATE UNIQUE INDEX automl_{kind}_once ON automl_events (search_id, trial) "
            f"WHERE kind = '{kind}'"
        )


def _leases() -> None:
    op.create_table(
        "automl_leases",
        sa.Column("search_id", sa.Integer, sa.ForeignKey("automl_searches.id"), primary_key=True),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("token", sa.String(40)),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started_s", sa.Double, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("period_s", sa.Double, nullable=False),
    )
