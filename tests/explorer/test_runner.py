"""The runner: killed, frozen, paused or started twice, it loses nothing and doubles nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pymatgen.core import Lattice, Structure
from sqlalchemy import select, update

from explorer import schema
from explorer.baselines import Drawn
from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.laboratory import BLOCK
from explorer.lease import Leases, new_owner
from explorer.runner import Runner, ensure_runner
from explorer.samples import Sample
from explorer.store import Store, StoreError

N = 8
SPEC = {
    "elements": "Al-Cu",
    "subset": True,
    "max_atoms": 6,
    "n": N,
    "seed": 3,
    "fmax": 0.2,
    "max_steps": 12,
    "relax_known": True,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open a store of its own, and end every runner that works on it afterwards."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    for process in runners(opened):
        process.kill()
        process.wait(10)
    opened.close()


def runners(store: Store) -> list[psutil.Process]:
    """Find the living runner processes of a store, by the address in their environment."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        try:
            if "explorer.runner" in command and is_of(store, process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def is_of(store: Store, process: psutil.Process) -> bool:
    """Whether a living process was told of this store."""
    alive = process.status() != psutil.STATUS_ZOMBIE
    return alive and process.environ().get("HULLSCAPE_STORE") == store.url


def start(store: Store, *options: str) -> subprocess.Popen:
    """Start a runner that leaves as soon as there is nothing to do."""
    environment = os.environ | {"HULLSCAPE_STORE": store.url, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "explorer.runner", "--idle", "0", "--device", "cpu"]
    command += ["--workers", "1", *options]
    log = (store.folder / "runner.log").open("ab")
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait for a condition; what it waited for is in the traceback when it never comes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def seen(store: Store, campaign_id: str) -> Campaign:
    """Read a campaign, which must not have failed as a whole."""
    campaign = store.campaign(campaign_id)
    assert campaign.state != CampaignState.FAILED, campaign.message
    return campaign


def settled(store: Store, campaign_id: str) -> int:
    """Count the candidates with a verdict after relaxation."""
    counts = seen(store, campaign_id).counts
    return counts["relaxed"] + counts["failed"]


def outcome(store: Store, campaign_id: str) -> dict[str, tuple]:
    """Return what became of each candidate, without what may differ in the last digits."""
    candidates, _ = store.candidates(campaign_id)
    assert len({item.id for item in candidates}) == len(candidates)
    return {
        item.id: (
            *(item.formula, str(item.state), item.reason, item.crystal, item.matched),
            *(item.novel, item.targets),
        )
        for item in candidates
    }


def energies(store: Store, campaign_id: str) -> dict[str, float]:
    """Return the energies of relaxed and unconverged candidates, eV/atom."""
    candidates, _ = store.candidates(campaign_id, structures=False)
    return {item.id: item.energy_per_atom for item in candidates if item.energy_per_atom}


def test_a_campaign_killed_at_any_moment_ends_like_an_undisturbed_one(store):
    """Kill -9 while drawing and while relaxing: same crystals, states and energies, each once."""
    killed = store.create(CampaignSpec.parse(**SPEC))
    for moment in (0, 2):
        runner = start(store)
        until(lambda m=moment: store.drawn(killed) > 0 and settled(store, killed) >= m)
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    undisturbed = store.create(CampaignSpec.parse(**SPEC))
    assert start(store).wait(300) == 0
    for campaign_id in (killed, undisturbed):
        campaign = seen(store, campaign_id)
        assert (campaign.state, campaign.counts["drawn"]) == (CampaignState.FINISHED, N)
    assert settled(store, killed) > 2
    assert store.underway(killed) == {}
    assert outcome(store, killed) == outcome(store, undisturbed)
    assert energies(store, killed) == pytest.approx(energies(store, undisturbed), abs=1e-4)


def other_program(index: int) -> Sample:
    """Return crystal `index` of a file: four can be relaxed, crowded ones follow."""
    if index < 4:
        cell, symbols = Lattice.cubic(2.9 + 0.15 * index), ["Al", "Cu"]
    else:
        cell, symbols = Lattice.cubic(1.5), ["Al"] * (1 + index % 5) + ["Cu"]
    places = [[k / len(symbols)] * 3 for k in range(len(symbols))]
    return Sample.of(Drawn(index, given=Structure(cell, symbols, places)))


def test_another_programs_crystals_go_on_where_a_killed_runner_left_them(store):
    """They come from the store, in their order, each once; nobody needs their file."""
    samples = [other_program(index) for index in range(BLOCK + 5)]
    asked = SPEC | {"generator": "file", "samples": "gone.zip", "n": 99}
    campaign_id = store.create(CampaignSpec.parse(**asked), samples=samples)
    runner = start(store)
    until(lambda: seen(store, campaign_id).counts["drawn"] >= BLOCK)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert start(store).wait(300) == 0
    assert seen(store, campaign_id).state == CampaignState.FINISHED
    candidates, _ = store.candidates(campaign_id)
    formulas = {one.index: one.formula for one in candidates}
    assert sorted(formulas) == list(range(len(samples)))
    for index, sample in enumerate(samples):
        assert formulas[index] == sample.drawn(index).structure.composition.reduced_formula
    assert settled(store, campaign_id) > 0


def test_pause_stop_and_resume_in_the_middle_of_relaxations(store):
    """A pause is obeyed within moments with work in flight; resume goes on; stop keeps it all."""
    # So many crystals that some still wait when the first one is relaxed.
    asked = SPEC | {"n": 4 * N, "max_steps": 500, "fmax": 0.001}
    campaign_id = store.create(CampaignSpec.parse(**asked))
    ensure_runner(store)
    until(lambda: seen(store, campaign_id).counts["waiting"] > 0)
    store.command(campaign_id, "pause")
    until(lambda: store.campaign(campaign_id).state == CampaignState.PAUSED, seconds=10)
    before = settled(store, campaign_id)
    store.command(campaign_id, "resume")
    until(lambda: settled(store, campaign_id) > before)
    store.command(campaign_id, "stop")
    until(lambda: store.campaign(campaign_id).state == CampaignState.STOPPED, seconds=10)
    counts = store.campaign(campaign_id).counts
    assert counts["drawn"] == 4 * N
    assert counts["waiting"] > 0
    assert store.runner_alive()


def test_however_many_pages_ask_one_runner_starts(store):
    """Several processes that see no runner start several; one stays."""
    code = "import sys; from explorer.runner import *; ensure_runner(Store(sys.argv[1]))"
    pages = [subprocess.Popen([sys.executable, "-c", code, store.url]) for _ in range(3)]
    assert [page.wait() for page in pages] == [0, 0, 0]
    until(store.runner_alive)
    until(lambda: len(runners(store)) == 1)
    assert not ensure_runner(store)


def test_a_frozen_runner_is_replaced_and_leaves_when_it_wakes(store):
    """The page that started it starts another, which takes the slot over."""
    ensure_runner(store)
    until(store.runner_alive)
    (frozen,) = runners(store)
    frozen.suspend()
    until(lambda: ensure_runner(store))
    (fresh,) = set(runners(store)) - {frozen}
    until(lambda: holder(store) == fresh.pid)
    frozen.resume()
    until(lambda: not is_of(store, frozen) if frozen.is_running() else True)
    assert fresh.is_running()


def holder(store: Store) -> int:
    """Return the process that has the slot."""
    with store.engine.begin() as connection:
        return int(connection.scalar(select(schema.runners.c.owner)).rsplit("/", 2)[1])


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Campaign]]:
    """Give one runner two campaigns that cannot go on, and return what became of them."""
    store = Store(tmp_path_factory.mktemp("refused") / "campaigns.db")
    begun = store.create(CampaignSpec.parse(**SPEC))
    leases = Leases(store.engine, new_owner())
    lease = leases.take()
    store.describe(lease, {"checkpoint": "other-weights"})
    store.put_candidates(lease, [Candidate(id="000000", index=0, state=State.REJECTED)])
    leases.release(lease)
    nameless = store.create(CampaignSpec.parse(**SPEC | {"potential": "no-such-potential"}))
    assert start(store).wait(60) == 0
    yield {"begun": store.campaign(begun), "nameless": store.campaign(nameless)}
    store.close()


def test_a_campaign_does_not_go_on_with_another_network(refused):
    """What was begun with other weights is refused: its crystals would be of two networks."""
    assert refused["begun"].state == CampaignState.FAILED
    assert "begun with checkpoint other-weights" in refused["begun"].message


def test_a_campaign_that_cannot_begin_fails_with_one_clear_line(refused):
    """A potential that does not exist is the campaign's failure, in words, not the runner's."""
    assert refused["nameless"].state == CampaignState.FAILED
    assert "no-such-potential" in refused["nameless"].message
    assert "\n" not in refused["nameless"].message


def test_a_campaign_of_a_newer_program_is_left_to_that_one(store):
    """It failed for good, and one of them hid all campaigns of the database from the page."""
    newer, mine = (store.create(CampaignSpec.parse(**SPEC)) for _ in range(2))
    told = CampaignSpec.parse(**SPEC).model_dump() | {"dreams": 3}
    with store.engine.begin() as connection:
        table = schema.campaigns
        change = update(table).where(table.c.id == newer).values(spec=json.dumps(told))
        connection.execute(change)
    assert [campaign.id for campaign in store.campaigns()] == [mine]
    with pytest.raises(StoreError, match="another version of Hullscape: dreams"):
        store.campaign(newer)
    store.command(mine, "stop")
    runner = Runner(store)
    assert runner.leases.take_slot(runner.slot)
    assert runner.work_once()
    assert not runner.work_once()
    with store.engine.begin() as connection:
        row = connection.execute(select(table).where(table.c.id == newer)).one()
    assert (row.state, row.owner) == (CampaignState.QUEUED, "")
    assert "runner of the version" in row.message


def test_sigterm_gives_the_campaign_back(store):
    """A reboot leaves the campaign in the queue, with what was committed."""
    campaign_id = store.create(CampaignSpec.parse(**SPEC | {"max_steps": 500, "fmax": 0.001}))
    runner = start(store)
    until(lambda: seen(store, campaign_id).counts["waiting"] > 0)
    runner.terminate()
    assert runner.wait(15) == 0
    assert store.campaign(campaign_id).state == CampaignState.QUEUED
    assert store.campaign(campaign_id).counts["drawn"] == N
