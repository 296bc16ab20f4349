"""Campaigns, their candidates and targets, and the runners.

Version 1. Tables as they were then: what changed later is in later files.
"""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "hullscape_version", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("provenance", sa.Text, nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("updated", sa.Float(53), nullable=False),
        sa.Column("started", sa.Float(53), nullable=False),
        sa.Column("finished", sa.Float(53), nullable=False),
        sa.Column("seconds_sampling", sa.Float(53), nullable=False),
        sa.Column("seconds_relaxing", sa.Float(53), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("heartbeat", sa.Float(53), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )
    _create_candidates()
    create_targets()
    op.create_table(
        "runners",
        sa.Column("slot", sa.String(200), primary_key=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("heartbeat", sa.Float(53), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
    )


def _create_candidates() -> None:
    op.create_table(
        "candidates",
        campaign_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("novel", sa.Integer, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("structures", sa.LargeBinary, nullable=False),
        sa.Index("candidates_by_sequence", "campaign_id", "sequence", unique=True),
        sa.Index("candidates_by_id", "campaign_id", "id", unique=True),
        sa.Index("candidates_by_state", "campaign_id", "state", "novel", "verdict"),
    )


def create_targets() -> None:
    """Make the table that the first stores of version 1 did not have yet."""
    op.create_table(
        "targets",
        campaign_id(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("structure", sa.LargeBinary, nullable=False),
    )


def campaign_id() -> sa.Column:
    """Return the first column of a table whose rows belong to campaigns."""
    owner = sa.ForeignKey("campaigns.id", ondelete="CASCADE")
    return sa.Column("campaign_id", sa.String(64), owner, primary_key=True)
