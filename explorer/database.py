"""How the store's database is opened.

SQLite in write-ahead mode by default, PostgreSQL by URL. Nothing outside
this file, `explorer.write_lock` and `explorer.migrate` speaks a dialect.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, Insert, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from explorer.lease import HEARTBEAT_EXPIRY
from explorer.migrate import bring_up_to_date
from explorer.schema import StoreError, shown
from explorer.write_lock import Watch

BUSY_SECONDS = 30  # how long a write waits for another writer before it gives up
IDLE_SECONDS = 8.0  # after which PostgreSQL ends a transaction of somebody who does nothing
RETRY_SECONDS = (0.0002, 0.0015)  # between two tries of a write to begin: it takes 0.5 ms
CLOCK_SECONDS = HEARTBEAT_EXPIRY / 2  # by which a machine's clock may be off from the server's
INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
LOOK_SECONDS = 1.0  # how often one that waits looks at who keeps it waiting


def open_engine(url: str | Path | None) -> Engine:
    """Connect, make the tables of a new database, and bring an older one up to date.

    Raises
    ------
    StoreError
        When the database cannot be opened, is of another kind, or belongs to a newer version or
        another program.
    """
    address = make_address(url)
    try:
        _refuse_other_kind(address)
        engine = create_engine(address, pool_pre_ping=not address.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        elif engine.dialect.name == "postgresql":
            _prepare_postgresql(engine)
        bring_up_to_date(engine)
        if engine.dialect.name == "postgresql":
            _refuse_other_time(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"cannot open the database {shown(address)}: {cause}") from error
    return engine


def _refuse_other_kind(address: str) -> None:
    if make_url(address).get_backend_name() not in INSERTS:
        raise StoreError(
            "expected a SQLite file or a URL such as postgresql+psycopg://user@host/db, got "
            f"{shown(address)}"
        )


def _refuse_other_time(engine: Engine) -> None:
    """Refuse a server's database when this machine's clock is another one than the server's.

    Who lives is told by the time of the last sign of life: of two machines whose clocks differ each
    would take the other for dead, and its campaigns away from it, without an end.

    Raises
    ------
    StoreError
        When they differ by so much.
    """
    with engine.begin() as connection:
        before = time.time()
        there = float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")))
        after = time.time()
    ahead = before - there if before > there else min(after - there, 0.0)
    if abs(ahead) > CLOCK_SECONDS:
        raise StoreError(
            f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} "
            f"that of the database server {shown(engine.url)}: set both by NTP; runners know each "
            "other to be alive by the time"
        )


def make_address(url: str | Path | None) -> str:
    """Return the URL of a database: given, a file's path, or the user's own."""
    text = str(url) if url is not None else os.environ.get("HULLSCAPE_STORE", "")
    if not text:
        text = str(_home() / "campaigns.db")
    return text if "://" in text else f"sqlite:///{Path(text).expanduser().resolve()}"


def refuse_missing(url: str | None) -> None:
    """Refuse a file that is named and is not there: opening it would make an empty database.

    Raises
    ------
    StoreError
        With its place.
    """
    address = make_address(url)
    if url is None or not address.startswith("sqlite"):
        return
    file = make_url(address).database
    if file and not Path(file).is_file():
        raise StoreError(f"there is no database {file}: name the one that the page or worker uses")


@cache
def upsert(table: Table, dialect: str) -> Insert:
    """Return what inserts rows, and replaces those of the same primary key: it has one row, ever.

    Made once: that takes longer than to carry it out.
    """
    new = INSERTS[dialect](table)
    keys = [column.name for column in table.primary_key]
    rest = {each.name: new.excluded[each.name] for each in table.c if not each.primary_key}
    return new.on_conflict_do_update(index_elements=keys, set_=rest)


def folder_of(engine: Engine) -> Path:
    """Return the folder beside the database, where logs go."""
    file = engine.url.database
    return Path(file).parent if engine.dialect.name == "sqlite" and file else _home()


def _home() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415 - only without HULLSCAPE_HOME

    chosen = os.environ.get("HULLSCAPE_HOME")
    return Path(chosen).expanduser() if chosen else user_data_path("hullscape")


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _settings(connection, _record) -> None:
        # A process that freezes within a transaction would keep its locks as long as it sleeps.
        limit = int(IDLE_SECONDS * 1000)
        connection.cursor().execute(f"SET idle_in_transaction_session_timeout = {limit}")
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def _lost(context) -> None:
        # The driver has another class for the end of such a session than for any other lost one.
        error = context.sqlalchemy_exception
        if context.is_disconnect and not isinstance(error, OperationalError):
            raise OperationalError(
                error.statement, error.params, error.orig, connection_invalidated=True
            )


def _prepare_sqlite(engine: Engine) -> None:
    Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def _pragmas(connection, _record) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
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
        if connection.get_execution_options().get("writes", False):
            _flush_or_not(connection)
            _begin_to_write(connection)
        else:
            connection.exec_driver_sql("BEGIN")


def _flush_or_not(connection: Connection) -> None:
    """Wait for the disk at the end of the transaction, or leave that to the next that does.

    Without, it outlives the end of every process, but perhaps not a power cut: SQLite then goes
    back to the last transaction that waited, and misses none before it.
    """
    waits = connection.get_execution_options().get("flushes", True)
    driver = connection.connection.driver_connection
    driver.execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")


def _begin_to_write(connection: Connection) -> None:
    """Wait for SQLite's write lock, and look at times whether a frozen runner keeps it.

    SQLite's own way to wait sleeps up to 0.1 s between two tries, while others come and go.
    """
    watch, end = Watch(Path(connection.engine.url.database)), time.monotonic() + BUSY_SECONDS
    look = time.monotonic() + LOOK_SECONDS
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while not _begun(connection):
            time.sleep(random.uniform(*RETRY_SECONDS))
            if time.monotonic() > end:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            if time.monotonic() > look:
                watch.look(connection)
                look = time.monotonic() + LOOK_SECONDS
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _begun(connection: Connection) -> bool:
    """Try to begin a transaction that writes; False while somebody else is in one."""
    try:
        connection.connection.driver_connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the same again, as an error of SQLAlchemy
    return True
