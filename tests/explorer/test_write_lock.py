"""SQLite's write lock: a frozen runner that keeps it is ended, anybody else is waited for."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.exc import OperationalError

from explorer import database, lease, write_lock
from explorer.lease import Leases, new_owner
from explorer.store import Store
from explorer.write_lock import lock_holder

KEEPER = """
import os, signal, sys
from sqlalchemy import update
from explorer.lease import Leases, new_owner
from explorer.schema import runners
from explorer.store import Store
store = Store(sys.argv[1])
if sys.argv[2] not in {"another program", "beginner"}:
    Leases(store.engine, new_owner()).take_slot("gpu")
if "long gone" in sys.argv[2]:
    with store.engine.begin() as connection:
        connection.execute(update(runners).values(heartbeat=1.0))
with store.engine.execution_options(writes=True).begin():
    print("has it", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""

Keep = Callable[[str], subprocess.Popen]


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    """Open a store of its own file."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


@pytest.fixture
def keep(store: Store) -> Iterator[Keep]:
    """Give a function that starts a process, which takes the write lock and falls asleep."""
    started = []

    def start(who: str) -> subprocess.Popen:
        command = [sys.executable, "-c", KEEPER, store.url, who]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "has it\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every sign of life be too old, and no writer wait for long."""
    for module in (lease, write_lock):
        monkeypatch.setattr(module, "HEARTBEAT_EXPIRY", -1.0)
    monkeypatch.setattr(database, "BUSY_SECONDS", 3)
    monkeypatch.setattr(database, "LOOK_SECONDS", 0.2)


def slot_taken(store: Store) -> bool:
    """Take the slot as the next runner does."""
    return Leases(store.engine, new_owner()).take_slot("gpu")


@pytest.mark.usefixtures("impatient")
def test_a_runner_that_froze_while_it_wrote_is_ended_and_its_slot_taken(store, keep):
    """What it had not committed is all that is lost."""
    frozen = keep("runner")
    assert lock_holder(store.folder / "campaigns.db") == frozen.pid
    assert slot_taken(store)
    assert frozen.wait(10) == -signal.SIGKILL


@pytest.mark.usefixtures("impatient")
def test_a_runner_that_froze_in_its_first_transaction_is_ended(store, tmp_path):
    """Nobody has heard of it yet; it is known by its program, and by being stopped."""
    program = tmp_path / "hullscape"
    program.write_text(KEEPER)
    command = [sys.executable, str(program), store.url, "beginner"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as frozen:
        assert frozen.stdout.readline() == "has it\n"
        assert slot_taken(store)
        assert frozen.wait(10) == -signal.SIGKILL


@pytest.mark.usefixtures("impatient")
def test_another_program_is_waited_for_and_left_alone(store, keep):
    """A process that is no runner of this store keeps its lock, however long."""
    other = keep("another program")
    with pytest.raises(OperationalError, match="locked"):
        slot_taken(store)
    assert other.poll() is None
    assert lock_holder(store.folder / "campaigns.db") == other.pid


@pytest.mark.usefixtures("impatient")
def test_a_process_that_only_has_the_number_of_a_runner_is_left_alone(store, keep):
    """A process younger than the runner's last sign of life is another one."""
    other = keep("a process with the number of a runner that is long gone")
    with pytest.raises(OperationalError, match="locked"):
        slot_taken(store)
    assert other.poll() is None


def test_a_runner_that_was_heard_of_lately_is_waited_for(store, keep, monkeypatch):
    """A slow disk is no reason to end who waits for it."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    monkeypatch.setattr(write_lock, "HEARTBEAT_EXPIRY", 1e9)
    slow = keep("runner")
    with pytest.raises(OperationalError, match="locked"):
        slot_taken(store)
    assert slow.poll() is None


def test_nobody_keeps_the_lock_of_a_database_at_rest(store, tmp_path):
    """Nor that of a database that does not exist."""
    assert lock_holder(store.folder / "campaigns.db") is None
    assert lock_holder(tmp_path / "nowhere.db") is None
