"""The tables of the store, as this version of the program knows them.

A change here goes with a new file in `explorer/migrations/versions` and the next `VERSION`.
"""

from __future__ import annotations

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

VERSION = 6

metadata = MetaData()

versions = Table("hullscape_version", metadata, Column("version", Integer, primary_key=True))

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("message", Text, nullable=False, default=""),
    Column("wanted", String(16), nullable=False, default="run"),
    Column("provenance", Text, nullable=False, default="{}"),
    Column("created", Float(53), nullable=False),
    Column("updated", Float(53), nullable=False),
    Column("started", Float(53), nullable=False, default=0.0),
    Column("finished", Float(53), nullable=False, default=0.0),
    Column("seconds_sampling", Float(53), nullable=False, default=0.0),
    Column("seconds_relaxing", Float(53), nullable=False, default=0.0),
    Column("sequence", BigInteger, nullable=False, default=0),
    Column("owner", String(200), nullable=False, default=""),
    Column("heartbeat", Float(53), nullable=False, default=0.0),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("deleted", Float(53), nullable=False, server_default="0"),  # when; 0 for never
    Column("person", String(200), nullable=False, server_default=""),  # "" without login
    Column("shared", Integer, nullable=False, server_default="0"),
)

candidates = Table(
    "candidates",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # the draw index: a crystal has one row, ever
    Column("id", String(32), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("novel", Integer, nullable=False),  # 1 yes, 0 no, -1 not known
    Column("verdict", Text, nullable=False),  # the reason without its figures, for counting
    Column("facts", Text, nullable=False),  # the candidate as JSON, without its structures
    Column("structures", LargeBinary, nullable=False),  # its structures, compressed JSON
    Index("candidates_by_sequence", "campaign_id", "sequence", unique=True),
    Index("candidates_by_id", "campaign_id", "id", unique=True),
    Index("candidates_by_state", "campaign_id", "state", "novel", "verdict"),
)

targets = Table(
    "targets",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("structure", LargeBinary, nullable=False),  # compressed JSON
)

samples = Table(
    "samples",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sample", LargeBinary, nullable=False),  # see explorer.samples
)

marks = Table(
    "marks",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("candidate_id", String(32), primary_key=True),
    Column("starred", Integer, nullable=False),
    Column("tags", Text, nullable=False),  # JSON
    Column("note", Text, nullable=False),
    Column("updated", Float(53), nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("candidate_id", String(32), primary_key=True),
    Column("trace", LargeBinary, nullable=False),  # an npz file, see explorer.trace
)

underway = Table(
    "underway",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # the draw index of a waiting candidate
    Column("state", LargeBinary, nullable=False),  # an npz file, see explorer.partial
)

runners = Table(
    "runners",
    metadata,
    Column("slot", String(200), primary_key=True),  # a machine, or one of its GPUs
    Column("owner", String(200), nullable=False),
    Column("heartbeat", Float(53), nullable=False),
    Column("fence", BigInteger, nullable=False),
)


class StoreError(RuntimeError):
    """The database cannot be used as asked; one line that says why and what to do."""


def shown(address: str | URL) -> str:
    """Return a database's address without its password."""
    try:
        return make_url(address).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"
