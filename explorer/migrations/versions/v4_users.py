"""Whose campaigns they are, and whether others may look.

Version 4.
"""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add what version 3 lacks."""
    op.add_column(
        "campaigns", sa.Column("person", sa.String(200), nullable=False, server_default="")
    )
    op.add_column("campaigns", sa.Column("shared", sa.Integer, nullable=False, server_default="0"))
