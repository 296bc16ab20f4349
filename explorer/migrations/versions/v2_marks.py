"""Marks on candidates, and campaigns that were put away.

Version 2.
"""

import sqlalchemy as sa
from alembic import op

from explorer.migrations.versions.v1_campaigns import campaign_id, create_targets

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add what version 1 lacks."""
    if not sa.inspect(op.get_bind()).has_table("targets"):
        create_targets()
    op.add_column(
        "campaigns", sa.Column("deleted", sa.Float(53), nullable=False, server_default="0")
    )
    op.create_table(
        "marks",
        campaign_id(),
        sa.Column("candidate_id", sa.String(32), primary_key=True),
        sa.Column("starred", sa.Integer, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("updated", sa.Float(53), nullable=False),
    )
