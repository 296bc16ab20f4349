"""Older databases follow the program, a copy of them stays; what is not ours is left alone."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from explorer import migrate
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.lease import Leases, new_owner
from explorer.marks import Mark
from explorer.samples import Sample
from explorer.schema import VERSION, metadata, versions
from explorer.store import Store, StoreError

VERSION_1 = """
CREATE TABLE hullscape_version (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE campaigns (
    id VARCHAR(64) NOT NULL, spec TEXT NOT NULL, state VARCHAR(16) NOT NULL,
    message TEXT NOT NULL, wanted VARCHAR(16) NOT NULL, provenance TEXT NOT NULL,
    created FLOAT NOT NULL, updated FLOAT NOT NULL, started FLOAT NOT NULL,
    finished FLOAT NOT NULL, seconds_sampling FLOAT NOT NULL, seconds_relaxing FLOAT NOT NULL,
    sequence BIGINT NOT NULL, owner VARCHAR(200) NOT NULL, heartbeat FLOAT NOT NULL,
    fence BIGINT NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_campaigns_state ON campaigns (state);
CREATE TABLE runners (
    slot VARCHAR(200) NOT NULL, owner VARCHAR(200) NOT NULL, heartbeat FLOAT NOT NULL,
    fence BIGINT NOT NULL, PRIMARY KEY (slot));
CREATE TABLE candidates (
    campaign_id VARCHAR(64) NOT NULL, number INTEGER NOT NULL, id VARCHAR(32) NOT NULL,
    sequence BIGINT NOT NULL, state VARCHAR(16) NOT NULL, novel INTEGER NOT NULL,
    verdict TEXT NOT NULL, facts TEXT NOT NULL, structures BLOB NOT NULL,
    PRIMARY KEY (campaign_id, number),
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE);
CREATE UNIQUE INDEX candidates_by_id ON candidates (campaign_id, id);
CREATE INDEX candidates_by_state ON candidates (campaign_id, state, novel, verdict);
CREATE UNIQUE INDEX candidates_by_sequence ON candidates (campaign_id, sequence);
INSERT INTO hullscape_version VALUES (1);
INSERT INTO campaigns VALUES ('abc', '{"elements": ["Cs", "Cl"], "n": 1, "name": "salt"}', 'paused',
    '', 'pause', '{}', 1.0, 2.0, 1.5, 0.0, 0.1, 0.2, 1, '', 0.0, 3);
INSERT INTO candidates VALUES ('abc', 0, '000000', 1, 'rejected', -1, 'too close',
    '{"id": "000000", "index": 0, "state": "rejected", "reason": "too close"}',
    x'789c030000000001');
"""
TARGETS_1 = """
CREATE TABLE targets (
    campaign_id VARCHAR(64) NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
    structure BLOB NOT NULL, PRIMARY KEY (campaign_id, number),
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE CASCADE);
"""


def database(file: Path, statements: str) -> Path:
    """Make a database with the system's SQLite, without the program."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statements)
    return file


def copies(file: Path) -> list[Path]:
    """List the copies that were made of a database."""
    return sorted(file.parent.glob(f"{file.stem}-version-*{file.suffix}"))


def tables(file: Path) -> set[str]:
    """Name the tables of a database."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


def differences(store: Store) -> list:
    """List what the database lacks of the tables that the program knows, and the reverse."""
    with store.engine.connect() as connection:
        options = {"version_table": migrate.REVISIONS}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


@pytest.mark.parametrize("statements", [VERSION_1 + TARGETS_1, VERSION_1], ids=["late", "early"])
def test_a_database_of_version_1_is_copied_and_brought_up_to_date(tmp_path, statements):
    """What it held is there, what is new works, and the copy is what it was."""
    file = database(tmp_path / "campaigns.db", statements)
    store = Store(file)
    campaign = store.campaign("abc")
    assert (campaign.spec.name, str(campaign.state), campaign.deleted) == ("salt", "paused", 0.0)
    assert (campaign.person, campaign.shared) == ("", False)
    assert campaign.counts["reasons"] == {"too close": 1}
    assert store.mark("abc", "000000", starred=True) == Mark(starred=True)
    assert store.targets("abc") == store.samples("abc") == []
    assert differences(store) == []
    (copy,) = copies(file)
    assert copy.name.startswith("campaigns-version-1-")
    assert "marks" not in tables(copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT id, state FROM campaigns").fetchall() == [
            ("abc", "paused")
        ]


def test_a_database_of_version_5_gets_room_for_samples(tmp_path):
    """What it held stays, it is copied first, and a new campaign brings its crystals along."""
    file = tmp_path / "campaigns.db"
    before = Store(file)
    first = before.create(CampaignSpec(elements=("Cs", "Cl"), name="salt"))
    before.close()
    database(
        file,
        "DROP TABLE samples; UPDATE hullscape_version SET version = 5;"
        "UPDATE hullscape_revision SET version_num = '5'",
    )
    store = Store(file)
    assert differences(store) == []
    assert len(copies(file)) == 1
    assert store.samples(first) == []
    given = [Sample.of(Drawn(0, reason="unreadable: nothing"))]
    spec = CampaignSpec(elements=("Cs", "Cl"), generator="file", samples="mine.zip")
    assert store.samples(store.create(spec, samples=given)) == given
    assert store.campaign(first).spec.name == "salt"


def test_a_new_database_takes_the_same_steps_and_is_not_copied(tmp_path):
    """One made today has the very tables that the program knows, and says its version."""
    store = Store(tmp_path / "new.db")
    assert differences(store) == []
    with store.engine.begin() as connection:
        assert connection.scalar(select(versions.c.version)) == VERSION
    Store(tmp_path / "new.db")
    assert copies(tmp_path / "new.db") == []


def test_several_processes_may_migrate_one_database_together(tmp_path):
    """One does it, the others wait; there is one copy."""
    file = database(tmp_path / "campaigns.db", VERSION_1)
    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(lambda _: Store(file).campaigns()[0].id, range(6)))
    assert names == ["abc"] * 6
    assert len(copies(file)) == 1


def test_a_migration_that_breaks_off_leaves_the_database_as_it_was(tmp_path):
    """All steps or none: here the second one finds its table taken."""
    file = database(tmp_path / "campaigns.db", VERSION_1 + "CREATE TABLE marks (x INTEGER);")
    with pytest.raises(StoreError, match="cannot open the database"):
        Store(file)
    with closing(sqlite3.connect(file)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(campaigns)")]
        assert "deleted" not in columns
        assert connection.execute("SELECT version FROM hullscape_version").fetchall() == [(1,)]
    assert "targets" not in tables(file)


@pytest.mark.parametrize(
    ("statements", "complaint"),
    [
        (VERSION_1.replace("VALUES (1)", "VALUES (99)"), "or older, got 99: open it with"),
        (VERSION_1.replace("VALUES (1)", "SELECT 1 WHERE 0"), "or older, got None: open it with"),
        ("CREATE TABLE systems (id INTEGER)", "got one with the tables systems: name another"),
    ],
    ids=["newer", "no version", "another program's"],
)
def test_a_database_that_is_newer_or_not_ours_is_refused_and_left_alone(
    tmp_path, statements, complaint
):
    """One line that says what was expected; nothing is added, nothing copied."""
    file = database(tmp_path / "campaigns.db", statements)
    before = tables(file)
    with pytest.raises(StoreError, match=complaint) as caught:
        Store(file)
    assert "\n" not in str(caught.value)
    assert tables(file) == before
    assert copies(file) == []


def test_a_runner_goes_on_with_a_campaign_of_version_1(tmp_path):
    """Its fencing number counts on, and the next candidate follows the last."""
    store = Store(database(tmp_path / "campaigns.db", VERSION_1))
    store.command("abc", "resume")
    lease = Leases(store.engine, new_owner()).take()
    assert lease.fence == 4
    store.put_candidates(lease, [Candidate(id="000001", index=1, state=State.REJECTED)])
    assert [item.index for item in store.candidates("abc", since=1)[0]] == [1]
    assert store.campaign("abc").spec == CampaignSpec(elements=("Cs", "Cl"), n=1, name="salt")
