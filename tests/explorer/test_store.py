"""The store: what is committed stays, what changed is seen, and only a lease holder writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pymatgen.core import Lattice, Structure
from sqlalchemy import event, select, update

from explorer import lease as leases
from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.lease import LeaseLostError, Leases, new_owner
from explorer.runner import Pulse
from explorer.schema import VERSION, campaigns, versions
from explorer.store import Store, StoreError

CSCL = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def store(tmp_path):
    """Open a store of its own file."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


def queued(store: Store, **fields) -> str:
    """Queue a campaign that nobody runs."""
    return store.create(CampaignSpec(elements=("Cs", "Cl"), **fields))


def taken(store: Store, campaign_id: str | None = None):
    """Take a campaign as some runner would."""
    return Leases(store.engine, new_owner()).take(campaign_id)


def waiting(index: int, **fields) -> Candidate:
    """Make a candidate that waits for its relaxation."""
    values = {"formula": "CsCl", "state": State.WAITING, "novel": True, "initial": CSCL}
    return Candidate(id=f"{index:06d}", index=index, **(values | fields))


def test_a_candidate_comes_back_as_it_was_written(store):
    """Structures, numbers and state survive the database."""
    campaign_id = queued(store)
    store.put_candidates(taken(store), [waiting(0, log_likelihood=-12.5)])
    back = store.candidate(campaign_id, "000000")
    assert back.initial == CSCL
    assert (back.state, back.log_likelihood, back.novel) == (State.WAITING, -12.5, True)


def test_only_what_changed_is_read_again(store):
    """A changed candidate gets a new sequence number and comes last; others stay silent."""
    campaign_id = queued(store)
    lease = taken(store)
    store.put_candidates(lease, [waiting(0), waiting(1)])
    both, seen = store.candidates(campaign_id)
    store.put_candidates(lease, [replace(both[0], state=State.RELAXED), waiting(2)])
    changed, newest = store.candidates(campaign_id, since=seen, structures=False)
    assert [(item.index, str(item.state)) for item in changed] == [(0, "relaxed"), (2, "waiting")]
    assert changed[0].initial is None
    assert store.candidates(campaign_id, since=newest) == ([], newest)
    assert [item.index for item in store.candidates(campaign_id)[0]] == [1, 0, 2]


def test_counts_add_up_to_the_crystals_drawn(store):
    """Every state is counted once, and reasons are counted without their figures."""
    campaign_id = queued(store)
    states = [
        waiting(0),
        waiting(1, state=State.RELAXED),
        waiting(2, state=State.RELAXED, novel=False),
        waiting(3, state=State.FAILED, reason="not converged in 200 steps"),
        waiting(4, state=State.REJECTED, novel=None, reason="atoms 0.31 Å apart, expected 0.7"),
        waiting(5, state=State.REJECTED, novel=None, reason="atoms 0.4 Å apart, expected 0.7"),
        waiting(6, state=State.DUPLICATE, novel=None),
        waiting(7, state=State.KNOWN, novel=False),
    ]
    store.put_candidates(taken(store), states)
    counts = store.campaign(campaign_id).counts
    parts = ("rejected", "duplicate", "known", "waiting", "relaxed", "failed")
    assert sum(counts[part] for part in parts) == counts["drawn"] == len(states)
    assert (counts["valid"], counts["unique"], counts["novel"]) == (6, 5, 3)
    assert counts["reasons"] == {"not converged in … steps": 1, "atoms … Å apart": 2}


def test_candidates_are_counted_again_only_after_a_change(store):
    """Many pages that look at a campaign of many candidates cost one count each change."""
    campaign_id = queued(store)
    lease = taken(store)
    counted = []
    event.listen(
        store.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: counted.append("count(" in statement),
    )
    for drawn in (1, 2):
        store.put_candidates(lease, [waiting(drawn - 1)])
        for _ in range(3):
            assert store.campaign(campaign_id).counts["drawn"] == drawn
            assert store.campaigns()[0].counts["waiting"] == drawn
    assert sum(counted) == 2


def test_a_draw_index_has_one_row_however_often_it_is_written(store):
    """Writing a candidate again replaces it."""
    campaign_id = queued(store)
    lease = taken(store)
    for _ in range(3):
        store.put_candidates(lease, [waiting(0), waiting(1)])
    assert store.drawn(campaign_id) == 2
    assert len(store.candidates(campaign_id)[0]) == 2


def test_a_runner_that_wakes_up_late_is_refused(store, monkeypatch):
    """After a takeover the old lease writes nothing, not even in part."""
    campaign_id = queued(store)
    frozen = taken(store)
    assert taken(store) is None
    store.put_candidates(frozen, [waiting(0)])
    monkeypatch.setattr(leases, "HEARTBEAT_EXPIRY", -1.0)
    fresh = taken(store)
    assert fresh.fence == frozen.fence + 1
    with pytest.raises(LeaseLostError):
        store.put_candidates(frozen, [waiting(0, state=State.FAILED), waiting(1)])
    with pytest.raises(LeaseLostError):
        Leases(store.engine, frozen.owner).release(frozen, CampaignState.FAILED)
    store.put_candidates(fresh, [waiting(1)])
    assert [item.state for item in store.candidates(campaign_id)[0]] == [State.WAITING] * 2


def test_the_campaign_of_a_dead_runner_is_free_at_once(store):
    """A holder on this machine whose process has died need not be waited for."""
    campaign_id = queued(store)
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    _, _, token = new_owner().rsplit("/", 2)
    host = new_owner().rsplit("/", 2)[0]
    assert Leases(store.engine, f"{host}/{int(dead.stdout)}/{token}").take() is not None
    assert taken(store).campaign_id == campaign_id


def test_a_clock_set_back_does_not_keep_a_lease_alive(store):
    """A heartbeat from the future is not believed."""
    queued(store)
    lease = taken(store)
    with store.engine.begin() as connection:
        connection.execute(update(campaigns).values(heartbeat=time.time() + 3600))
    assert taken(store).fence == lease.fence + 1


@pytest.mark.parametrize(
    ("commands", "state"),
    [
        (["pause"], "paused"),
        (["stop"], "stopped"),
        (["pause", "resume"], "queued"),
        (["stop", "resume"], "queued"),
        (["stop", "pause"], "stopped"),
    ],
)
def test_commands_take_hold_at_once_when_nobody_runs(store, commands, state):
    """A campaign without a runner changes state with the command."""
    campaign_id = queued(store)
    for command in commands:
        store.command(campaign_id, command)
    assert store.campaign(campaign_id).state == state


def test_a_running_campaign_hears_of_its_command_by_heartbeat(store):
    """The runner reads the command, obeys, and the state follows; the last command counts."""
    campaign_id = queued(store)
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    assert runner.wanted(lease) == "run"
    assert store.command(campaign_id, "pause") == CampaignState.RUNNING
    assert runner.wanted(lease) == "pause"
    store.command(campaign_id, "stop")
    assert runner.release(lease) == CampaignState.STOPPED
    assert runner.take() is None


def test_campaigns_take_turns(store):
    """A campaign that goes back to the queue goes to its end; only what waits ends a turn."""
    first, second = queued(store), queued(store)
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    assert lease.campaign_id == first
    assert runner.somebody_waits(lease)
    assert runner.release(lease) == CampaignState.QUEUED
    lease = runner.take()
    assert lease.campaign_id == second
    store.command(first, "pause")
    assert not runner.somebody_waits(lease)


@pytest.mark.parametrize(("others", "over"), [(1, True), (0, False)])
def test_a_turn_ends_when_it_is_over_and_another_campaign_waits(store, others, over):
    """Alone a campaign is worked on without a break."""
    queued(store)
    runner = Leases(store.engine, new_owner())
    lease = runner.take()
    for _ in range(others):
        queued(store)
    beats = store.campaign(lease.campaign_id)
    with Pulse(runner, lease, None, turn_seconds=-1.0) as pulse:
        while not heartbeat(store) > beats.updated:
            assert pulse.is_alive()
    assert pulse.turn_over is over


def heartbeat(store: Store) -> float:
    """Return the newest sign of life of any holder."""
    with store.engine.begin() as connection:
        return max(connection.scalars(select(campaigns.c.heartbeat)))


def test_a_finished_campaign_stays_finished(store):
    """No command reopens it."""
    campaign_id = queued(store)
    runner = Leases(store.engine, new_owner())
    runner.release(runner.take(), CampaignState.FINISHED)
    for command in ("resume", "stop"):
        assert store.command(campaign_id, command) == CampaignState.FINISHED


def test_unknown_campaigns_and_commands_are_named(store):
    """The message says what was asked for."""
    with pytest.raises(StoreError, match="no campaign nowhere"):
        store.campaign("nowhere")
    with pytest.raises(StoreError, match="got 'explode'"):
        store.command(queued(store), "explode")


def test_one_runner_lives_in_a_slot(store):
    """Of several that start together one gets the slot, and it leaves only when nothing waits."""
    runners = [Leases(store.engine, new_owner()) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda runner: runner.take_slot("gpu"), runners))
    assert sorted(got) == [False, False, False, True]
    assert store.runner_alive()
    holder = runners[got.index(True)]
    campaign_id = queued(store)
    assert not holder.leave_slot("gpu", only_if_idle=True)
    store.command(campaign_id, "stop")
    assert holder.leave_slot("gpu", only_if_idle=True)
    assert not store.runner_alive()


def test_a_database_of_another_version_is_refused(store, tmp_path):
    """The message names both versions; the file is left as it is."""
    with store.engine.begin() as connection:
        connection.execute(update(versions).values(version=99))
    told = f"expected version {VERSION} of the store or older, got 99"
    with pytest.raises(StoreError, match=told):
        Store(tmp_path / "campaigns.db")
    with store.engine.begin() as connection:
        assert connection.scalar(select(versions.c.version)) == 99


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """One line, no traceback of the driver."""
    file = tmp_path / "notes.db"
    file.write_text("not a database, " * 100)
    with pytest.raises(StoreError, match=r"cannot open the database .*notes\.db"):
        Store(file)


def test_a_database_of_another_kind_is_refused():
    """Before its driver is asked for, and without its password."""
    with pytest.raises(StoreError, match=r"expected a SQLite file or .*postgresql.*, got mysql://"):
        Store("mysql://me:secret@host/campaigns")


def test_many_processes_may_open_a_new_database_together(tmp_path):
    """The tables are made once and nobody sees an error."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: Store(tmp_path / "new.db"), range(8)))
    ids = {queued(store) for store in stores}
    assert {item.id for item in stores[0].campaigns()} == ids


def test_a_reader_never_misses_a_row_while_writers_write(store):
    """Following the sequence numbers during writes gives every candidate."""
    campaign_id = queued(store)
    lease = taken(store)

    def write() -> None:
        for index in range(60):
            store.put_candidates(lease, [waiting(index)])

    writer = threading.Thread(target=write)
    writer.start()
    seen, indices = 0, []
    while writer.is_alive() or store.campaign(campaign_id).sequence > seen:
        changed, seen = store.candidates(campaign_id, since=seen, structures=False)
        indices += [item.index for item in changed]
    assert indices == list(range(60))


WRITER = """
import sys
from explorer.candidate import Candidate, State
from explorer.lease import Leases, new_owner
from explorer.store import Store
store = Store(sys.argv[1])
lease = Leases(store.engine, new_owner()).take()
index = store.drawn(lease.campaign_id)
while True:
    store.put_candidates(lease, [Candidate(id=f"{index:06d}", index=index, state=State.WAITING)])
    index += 1
    print(index, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(store):
    """Whatever a killed writer had reported is there, once, and the next one writes at once."""
    campaign_id = queued(store)
    said = 0
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, store.url], stdout=subprocess.PIPE, text=True
        )
        for _ in range(40):
            said = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.communicate()[0].split()
        said = int(rest[-1]) if rest else said
        found = [item.index for item in store.candidates(campaign_id)[0]]
        assert found == list(range(len(found)))
        assert len(found) >= said


NORMAL, FULL = 1, 2
"""SQLite's words for a commit that leaves the waiting for the disk to a later one, and for none."""


def test_what_cannot_be_computed_again_waits_for_the_disk(store):
    """Signs of life and what people do outlive a power cut; candidates, with the next of these."""
    levels = []

    @event.listens_for(store.engine, "commit")
    def _note(connection) -> None:
        if connection.get_execution_options().get("writes"):
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())

    held = Leases(store.engine, new_owner())
    campaign_id = queued(store)
    lease = held.take(campaign_id)
    assert levels == [FULL, FULL]
    store.put_candidates(lease, [waiting(0)])
    store.put_underway(lease, {0: b"on its way"})
    assert levels[2:] == [NORMAL, NORMAL]
    held.beat(lease)
    store.mark(campaign_id, "000000", starred=True)
    store.command(campaign_id, "pause")
    held.release(lease)
    assert levels[4:] == [FULL] * 4
