"""Crystals of another generator that a campaign judges.

Version 6.
"""

import sqlalchemy as sa
from alembic import op

from explorer.migrations.versions.v1_campaigns import campaign_id

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Add what version 5 lacks."""
    op.create_table(
        "samples",
        campaign_id(),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sample", sa.LargeBinary, nullable=False),
    )
