"""Bring a database to the tables that this version of the program knows, or refuse it.

An older database is copied beside itself first, and changed in one transaction; a newer one, or
one of another program, is left as it is.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text

from explorer.schema import VERSION, StoreError, metadata, shown, versions

REVISIONS = "hullscape_revision"  # Alembic's own name may be taken in a shared database
ADVISORY_LOCK = 0x68756C6C  # any number that other programs are unlikely to take


def bring_up_to_date(engine: Engine) -> None:
    """Make the tables of a new database, and add to an older one what it lacks.

    Raises
    ------
    StoreError
        When the database is newer than the program, or belongs to another one.
    """
    with engine.begin() as connection:
        if _version(connection) == VERSION:
            return
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            # SQLite's writers queue already; here nothing else keeps two from making one table.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        found = _version(connection)
        if found == VERSION:
            return
        if found and engine.dialect.name == "sqlite":
            _back_up(Path(engine.url.database), found)
        _upgrade(connection, found)


def _version(connection: Connection) -> int:
    """Return the version of the tables, 0 for a new database; refuse what is not ours to change."""
    where = shown(connection.engine.url)
    tables = set(inspect(connection).get_table_names())
    if versions.name in tables:
        found = connection.scalar(select(versions.c.version))
        if isinstance(found, int) and 0 < found <= VERSION:
            return found
        raise StoreError(
            f"{where}: expected version {VERSION} of the store or older, got {found}: "
            "open it with the Hullscape that wrote it, or name another database"
        )
    # A server's database may be shared with other programs; a file has one.
    shared = connection.dialect.name != "sqlite" and tables.isdisjoint(metadata.tables)
    if tables and not shared:
        raise StoreError(
            f"{where}: expected a database of Hullscape, got one with the tables "
            f"{', '.join(sorted(tables)[:3])}: name another database"
        )
    return 0


def _back_up(file: Path, version: int) -> Path:
    """Copy a database as it was when the transaction at hand began."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = file.with_name(f"{file.stem}-version-{version}-{stamp}{file.suffix}")
    part = copy.with_name(f".{copy.name}.part")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
    part.replace(copy)
    return copy


def _upgrade(connection: Connection, found: int) -> None:
    """Run the steps from a version to the newest, inside the connection's transaction."""
    from alembic import command  # noqa: PLC0415 - only for a database that has to change
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    scripts = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.attributes["connection"] = connection
    if found and not inspect(connection).has_table(REVISIONS):
        command.stamp(config, str(found))  # a store from before there were migrations
    command.upgrade(config, str(VERSION))
    connection.execute(versions.delete())
    connection.execute(versions.insert().values(version=VERSION))
