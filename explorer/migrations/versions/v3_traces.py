"""The way of each relaxation.

Version 3.
"""

import sqlalchemy as sa
from alembic import op

from explorer.migrations.versions.v1_campaigns import campaign_id

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Add what version 2 lacks."""
    op.create_table(
        "traces",
        campaign_id(),
        sa.Column("candidate_id", sa.String(32), primary_key=True),
        sa.Column("trace", sa.LargeBinary, nullable=False),
    )
