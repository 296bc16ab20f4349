"""The store on a real PostgreSQL server: the same promises as on SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from explorer import database
from explorer import lease as leases
from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.lease import LeaseLostError, Leases, new_owner
from explorer.marks import Mark
from explorer.migrate import REVISIONS
from explorer.schema import metadata
from explorer.store import Store, StoreError
from explorer.users import QuotaError, User

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
SEARCHED = os.pathsep.join([*map(str, FOLDERS), os.environ.get("PATH", "")])
USER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root


def run(program: str, *options: str) -> None:
    """Run one of the server's programs, as a user that it accepts."""
    command = [shutil.which(program, path=SEARCHED) or program, *options]
    subprocess.run(command, user=USER, cwd="/", check=True, stdout=subprocess.DEVNULL)


class Server:
    """A PostgreSQL server of its own, reached by a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._names = folder, count()
        if USER:
            shutil.chown(folder, USER)
        run("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder}"
        data, log = f"{self.folder}/data", f"{self.folder}/log"
        run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self, how: str) -> None:
        """Stop it; "immediate" is what a crash of the machine is to its clients."""
        run("pg_ctl", "-D", f"{self.folder}/data", "-w", "-m", how, "stop")

    def address(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"campaigns_{next(self._names)}"
        engine = create_engine(self.address("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.address(name)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run a server; its socket needs a path shorter than pytest's folders."""
    with TemporaryDirectory(prefix="hullscape-pg-") as folder:
        started = Server(Path(folder))
        yield started
        started.stop("immediate")


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    """Open a store in a database of its own."""
    opened = Store(server.new_database())
    yield opened
    opened.close()


def queued(store: Store) -> str:
    """Queue a campaign that nobody runs."""
    return store.create(CampaignSpec(elements=("Cs", "Cl")))


def waiting(index: int) -> Candidate:
    """Make a candidate that waits for its relaxation."""
    return Candidate(id=f"{index:06d}", index=index, state=State.WAITING)


def test_campaigns_live_there_as_in_a_file(store):
    """Candidates, counts, commands, marks and deletion."""
    campaign_id = queued(store)
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    store.put_candidates(lease, [waiting(0), waiting(1)], seconds_sampling=0.5)
    store.put_candidates(lease, [replace(waiting(0), state=State.RELAXED, novel=True)])
    changed, newest = store.candidates(campaign_id, since=2)
    assert [(item.index, str(item.state)) for item in changed] == [(0, "relaxed")]
    assert newest == store.campaign(campaign_id).sequence == 3
    counts = store.campaign(campaign_id).counts
    assert (counts["drawn"], counts["novel"], counts["waiting"]) == (2, 1, 1)
    store.command(campaign_id, "pause")
    assert runner.release(lease) == CampaignState.PAUSED
    assert store.mark(campaign_id, "000000", note="Å") == Mark(note="Å")
    store.delete(campaign_id)
    assert store.campaigns() == []


def test_its_tables_are_those_that_the_program_knows(store):
    """Made by the same steps as a file's."""
    with store.engine.connect() as connection:
        options = {"version_table": REVISIONS}
        assert (
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        )


def test_several_processes_may_open_a_new_database_together(server):
    """The tables are made once and nobody sees an error; other programs' tables stay."""
    url = server.new_database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
    engine.dispose()
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store(url), range(6)))
    assert stores[0].campaign(queued(stores[5])).state == CampaignState.QUEUED
    for opened in stores:
        opened.close()


def test_a_runner_that_wakes_up_late_is_refused(store, monkeypatch):
    """Its transaction finds the lease gone, also while the new holder writes."""
    campaign_id = queued(store)
    frozen = Leases(store.engine, new_owner()).take()
    store.put_candidates(frozen, [waiting(0)])
    monkeypatch.setattr(leases, "HEARTBEAT_EXPIRY", -1.0)
    fresh = Leases(store.engine, new_owner()).take()
    with pytest.raises(LeaseLostError):
        store.put_candidates(frozen, [waiting(1), waiting(2)])
    store.put_candidates(fresh, [waiting(1)])
    assert [item.index for item in store.candidates(campaign_id)[0]] == [0, 1]


def test_a_runner_that_freezes_while_it_writes_keeps_nobody_waiting(server, monkeypatch):
    """The server ends its transaction; when it wakes up it finds its connection lost, no more."""
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(leases, "HEARTBEAT_EXPIRY", -1.0)
    store = Store(server.new_database())
    queued(store)
    frozen = Leases(store.engine, new_owner()).take()
    with pytest.raises(OperationalError), store.engine.begin() as connection:
        leases.confirm(connection, frozen, message="half written")
        fresh = Leases(store.engine, new_owner()).take()
        leases.confirm(connection, frozen)
    assert fresh.fence == frozen.fence + 1
    assert store.campaign(fresh.campaign_id).message == leases.LOADING
    store.close()


def test_of_several_runners_one_gets_the_campaign(store):
    """Together they ask; the fencing number is given once."""
    queued(store)
    runners = [Leases(store.engine, new_owner()) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda runner: runner.take(), runners))
    assert [lease.fence for lease in taken if lease] == [1]


def test_writers_of_several_campaigns_do_not_lose_or_double(store):
    """Each campaign's sequence numbers follow each other without a gap."""
    names = [queued(store) for _ in range(4)]
    runner = Leases(store.engine, new_owner())
    held = [runner.take(name) for name in names]

    def write(lease) -> None:
        for index in range(0, 40, 4):
            store.put_candidates(lease, [waiting(index + i) for i in range(4)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, held))
    for name in names:
        found, newest = store.candidates(name)
        assert [item.index for item in found] == list(range(newest)) == list(range(40))


def test_what_several_tabs_say_of_a_candidate_together_is_kept(store):
    """A star and a note at the same moment: one was lost, or met an error of the database."""
    campaign_id = queued(store)
    store.put_candidates(Leases(store.engine, new_owner()).take(), [waiting(0)])
    said = ({"starred": True}, {"note": "x"}, {"tags": ["y"]})
    for _ in range(10):
        store.mark(campaign_id, "000000", starred=False, note="", tags=[])
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda one: store.mark(campaign_id, "000000", **one), said))
        assert store.marks(campaign_id)["000000"] == Mark(True, ("y",), "x")


def test_a_quota_holds_for_a_user_who_asks_in_several_tabs_together(store, monkeypatch):
    """Campaigns that are not there yet count too."""
    monkeypatch.setenv("HULLSCAPE_MAX_OPEN", "3")
    ada = store.of(User("ada"))

    def ask(_: int) -> bool:
        with suppress(QuotaError):
            return bool(queued(ada))
        return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, range(24))) == 3


@pytest.mark.parametrize(("seconds", "words"), [(30, "30 s ahead of"), (-30, "30 s behind")])
def test_a_machine_with_another_time_than_the_server_is_refused(
    server, monkeypatch, seconds, words
):
    """Two of them took one campaign from each other again and again, and none came to work."""
    url, now = server.new_database(), time.time
    Store(url).close()
    monkeypatch.setattr(database.time, "time", lambda: now() + seconds)
    with pytest.raises(StoreError, match=f"clock is {words} that of the database server .* NTP"):
        Store(url)


def test_a_server_that_crashed_and_came_back_is_found_again(server, store):
    """What was acknowledged is there, and the lease goes on."""
    campaign_id = queued(store)
    lease = Leases(store.engine, new_owner()).take()
    store.put_candidates(lease, [waiting(0)])
    server.stop("immediate")
    server.start()
    store.put_candidates(lease, [waiting(1)])
    assert [item.index for item in store.candidates(campaign_id)[0]] == [0, 1]


def test_a_server_that_is_not_there_is_told_in_one_line_without_the_password(server):
    """Whoever sees the message must not learn it."""
    url = server.address("nowhere").replace("postgres@", "postgres:secret@")
    with pytest.raises(StoreError, match=r"cannot open the database .*nowhere") as caught:
        Store(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
