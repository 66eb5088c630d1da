"""Schema 2: requests to a driver, heartbeats by the database's clock, and which automl made the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add to schema 1; a driver that began with that one goes on writing."""
    op.add_column("automl_schema", sa.Column("written_by", sa.String(40)))
    op.add_column("automl_leases", sa.Column("beaten_s", sa.Double))
    op.create_table(
        "automl_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("search_id", sa.Integer, sa.ForeignKey("automl_searches.id"), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("asked_s", sa.Double, nullable=False),
        sa.Column("asked_by", sa.String(255), nullable=False),
        sa.Column("answered_s", sa.Double),
    )
    op.create_index("automl_requests_search", "automl_requests", ["search_id"])
