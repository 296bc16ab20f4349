"""Relaxations that are underway.

Version 5.
"""

import sqlalchemy as sa
from alembic import op

from explorer.migrations.versions.v1_campaigns import campaign_id

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add what version 4 lacks."""
    op.create_table(
        "underway",
        campaign_id(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
