"""The tables of the store, and how its database is opened.

SQLite in write-ahead mode by default, any SQLAlchemy database by URL. Nothing outside `_sqlite`
speaks a dialect.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

VERSION = 1
BUSY_SECONDS = 30  # how long a write waits for another writer before it gives up

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


def open_engine(url: str | Path | None) -> Engine:
    """Connect, and make the tables of a new database.

    Raises
    ------
    StoreError
        When the database cannot be opened or belongs to another version or program.
    """
    address = make_address(url)
    try:
        engine = create_engine(address, pool_pre_ping=not address.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        _prepare_tables(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"cannot open the database {_shown(address)}: {cause}") from error
    return engine


def make_address(url: str | Path | None) -> str:
    """Return the URL of a database: given, a file's path, or the user's own."""
    text = str(url) if url is not None else os.environ.get("HULLSCAPE_STORE", "")
    if not text:
        text = str(_home() / "campaigns.db")
    return text if "://" in text else f"sqlite:///{Path(text).expanduser().resolve()}"


def folder_of(engine: Engine) -> Path:
    """Return the folder beside the database, where logs go."""
    file = engine.url.database
    return Path(file).parent if engine.dialect.name == "sqlite" and file else _home()


def _home() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415 - only without HULLSCAPE_HOME

    chosen = os.environ.get("HULLSCAPE_HOME")
    return Path(chosen).expanduser() if chosen else user_data_path("hullscape")


def _shown(address: str | URL) -> str:
    try:
        return make_url(address).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


def _prepare_sqlite(engine: Engine) -> None:
    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _pragmas(connection, _record) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        if mode.lower() != "wal":
            raise StoreError(
                f"{engine.url.database}: expected SQLite's write-ahead mode, got {mode!r}: "
                "move the database to a local disk, or use PostgreSQL by URL"
            )

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:
        # A transaction that will write takes its place in the queue at once: one that begins by
        # reading could find itself overtaken, which SQLite refuses instead of waiting.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_tables(engine: Engine) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        tables = set(inspect(connection).get_table_names())
        if versions.name in tables:
            found = connection.scalar(select(versions.c.version))
            if found == VERSION and targets.name not in tables:
                targets.create(connection)  # a store from before there were target lists
        elif tables.isdisjoint(metadata.tables):
            metadata.create_all(connection)
            connection.execute(versions.insert().values(version=VERSION))
            found = VERSION
        else:
            found = "of another program"
    if found != VERSION:
        raise StoreError(
            f"{_shown(engine.url)}: expected version {VERSION} of the store, got {found}: "
            "open it with the Hullscape that wrote it, or name another database"
        )
