"""A short round of faults on purpose, and a witness that does notice what must never be seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from fault_machine import Machine
from fault_round import SPEC, Report, disturbed, undisturbed
from fault_witness import Witness, differences

from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, State
from explorer.lease import Leases, new_owner
from explorer.store import Store

SEED = 3
CRYSTALS = 8
FAULT_SEED = 49  # begins with a kill of the runner, before it has drawn anything
KINDS = ("kill_worker", "lock_database", "fill_disk", "kill_runner")


def test_a_campaign_survives_kills_a_locked_database_and_a_full_disk(tmp_path: Path) -> None:
    """Nothing is lost, doubled or settled twice, and it ends like the undisturbed one."""
    expected = undisturbed(tmp_path / "calm", SEED, CRYSTALS)
    report = Report()
    with Machine(tmp_path / "storm", web=False) as machine:
        disturbed(machine, Random(FAULT_SEED), expected, SEED, KINDS, report, 3, after_results=0.0)
    assert report.wrong == []
    assert report.rounds == 1
    figures = json.loads(json.dumps(report.figures()))
    assert figures["kills"] >= figures["faults"]["kill_runner"] >= 1
    assert set(expected) == set(range(CRYSTALS))


@pytest.fixture
def followed(tmp_path: Path) -> Witness:
    """Follow a campaign that this test runs by hand."""
    store = Store(tmp_path / "campaigns.db")
    return Witness(store, store.create(CampaignSpec.parse(**SPEC, n=2)))


def test_the_witness_sees_a_candidate_that_is_settled_twice(followed: Witness) -> None:
    """Relaxing again what has its verdict is work done twice."""
    lease = Leases(followed.store.engine, new_owner()).take()
    waiting = Candidate(id="000000", index=0, state=State.WAITING)
    for state in (State.WAITING, State.RELAXED, State.FAILED):
        followed.store.put_candidates(lease, [replace(waiting, state=state)])
        followed.look()
    assert followed.broken == ["000000 was settled twice: relaxed, then failed"]


def test_the_witness_sees_a_crystal_that_changes_or_vanishes(followed: Witness) -> None:
    """A draw index has one crystal, and what was once seen is there in the end."""
    lease = Leases(followed.store.engine, new_owner()).take()
    for name in ("000000", "other"):
        followed.store.put_candidates(lease, [Candidate(id=name, index=0, state=State.WAITING)])
        followed.look()
    assert followed.broken == ["crystal 0 was 000000, then other"]
    expected = {i: Candidate(id=str(i), index=i, energy_per_atom=-3.5) for i in range(2)}
    found = {0: replace(expected[0], energy_per_atom=-3.4), 2: expected[1]}
    assert differences(found, expected) == [
        "crystal 1 is lost",
        "crystal 2 was never asked for",
        "0: energy_per_atom is -3.4, expected -3.5",
    ]
    long = replace(expected[0], steps=30)
    assert differences({0: replace(long, energy_per_atom=-3.4)}, {0: long}) == []
    assert differences({0: replace(long, formula="AlCu")}, {0: long}) != []
