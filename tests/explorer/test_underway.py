"""Relaxations underway: they go on elsewhere from where they were, to the very same result."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from toy_potentials import ELEMENTS, BatchedPotential, emt

from explorer.batch_evaluation import CalculatorModel
from explorer.batch_relaxation import Batch
from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, Relaxation, State
from explorer.lease import LeaseLostError, Leases, new_owner
from explorer.partial import from_bytes, to_bytes
from explorer.relax import Relaxer
from explorer.relaxation import Limits
from explorer.store import Store

LIMITS = Limits(fmax=1e-3, smax=1e-4, max_steps=60)


def alloy(a: float) -> Structure:
    """Return a cubic cell of four atoms in a place that none of them likes."""
    sites = [[0, 0, 0], [0.54, 0.5, 0.02], [0.5, 0, 0.5], [0, 0.47, 0.5]]
    return Structure(Lattice.cubic(a), ["Cu", "Al", "Cu", "Cu"], sites)


def batch(keep_symmetry: bool = False, rattle: float = 0.0) -> Batch:
    """Return an engine with the toy potential, whose answers depend on no other crystal."""
    model, limits = CalculatorModel(emt().calculator()), replace(LIMITS, rattle=rattle)
    return Batch(model, emt().level, limits, keep_symmetry=keep_symmetry)


def finished(engine: Batch) -> dict[str, Relaxation]:
    """Relax until all is done."""
    done: dict[str, Relaxation] = {}
    while len(engine):
        done |= dict(engine.advance())
    return done


def finished_alone(engine: Batch, structure: Structure, state: bytes = b"") -> Relaxation:
    """Relax one crystal until it is done."""
    engine.add("it", structure, state)
    return finished(engine)["it"]


def assert_same(found: Relaxation, expected: Relaxation) -> None:
    """Compare to the last bit, the way included; only the clock may differ."""
    assert (found.steps, found.energy_per_atom) == (expected.steps, expected.energy_per_atom)
    assert (found.converged, found.reason) == (expected.converged, expected.reason)
    assert np.array_equal(found.structure.lattice.matrix, expected.structure.lattice.matrix)
    assert np.array_equal(found.structure.frac_coords, expected.structure.frac_coords)
    assert np.array_equal(found.forces, expected.forces)
    assert found.trace.to_bytes() == expected.trace.to_bytes()


@pytest.mark.parametrize("keep_symmetry", [False, True])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_relaxation_goes_on_in_another_process_as_if_nothing_had_been(steps, keep_symmetry):
    """Energies, steps, geometry and the way there are those of one that nobody disturbed."""
    items = {"a": alloy(3.9), "b": alloy(3.5)}
    undisturbed, killed, fresh = (batch(keep_symmetry) for _ in range(3))
    for name, structure in items.items():
        undisturbed.add(name, structure)
        killed.add(name, structure)
    for _ in range(steps):
        killed.advance()
    for name, state in killed.states(0.0):
        fresh.add(name, items[name], state)
    assert len(fresh) == 2
    expected = finished(undisturbed)
    assert expected["a"].steps > 8
    for name, result in finished(fresh).items():
        assert_same(result, expected[name])


@pytest.mark.parametrize("later", [0, 1, 4])
def test_a_rattled_crystal_goes_on_too_and_still_knows_what_it_was(later):
    """Just shaken, or some steps after: the outcome is the same, by how much it fell included."""
    undisturbed, killed, fresh = (batch(rattle=0.1) for _ in range(3))
    once = finished_alone(batch(), alloy(3.9))
    expected = finished_alone(undisturbed, alloy(3.9))
    killed.add("it", alloy(3.9))
    for _ in range(once.steps + 1 + later):
        killed.advance()
    ((_, state),) = killed.states(0.0)
    assert any(name.startswith("rest_") for name in from_bytes(state))
    found = finished_alone(fresh, alloy(3.9), state)
    assert_same(found, expected)
    assert found.lowered == expected.lowered
    assert found.lowered is not None


def test_only_what_was_silent_for_long_is_told():
    """Short relaxations are never written, long ones once in a while."""
    engine = batch()
    engine.add("a", alloy(3.9))
    assert engine.states(0.0) == []
    engine.advance()
    assert engine.states(60.0) == []
    assert len(engine.states(0.0)) == 1


@pytest.mark.parametrize(
    "state",
    [b"PK\x03\x04", b"nonsense", to_bytes({"clock": {"steps": 3}})],
    ids=["half a file", "no file", "parts are missing"],
)
def test_a_state_that_cannot_be_read_is_begun_anew(state):
    """It costs the work, not the structure."""
    engine, expected = batch(), batch()
    engine.add("a", alloy(3.9), state)
    expected.add("a", alloy(3.9))
    assert_same(finished(engine)["a"], finished(expected)["a"])


def test_a_state_of_another_crystal_is_begun_anew():
    """Its geometry does not fit, and nothing of it is kept."""
    other, engine, expected = batch(), batch(), batch()
    other.add("a", alloy(3.9))
    other.advance()
    small = alloy(3.9).copy()
    small.remove_sites([3])
    ((_, state),) = other.states(0.0)
    engine.add("a", small, state)
    expected.add("a", small)
    assert_same(finished(engine)["a"], finished(expected)["a"])


@pytest.fixture(scope="module")
def relaxer() -> Iterator[Relaxer]:
    """One worker with the toy potential, which tells of every step."""
    toy = BatchedPotential("together", "1", "0" * 12, ELEMENTS, "none")
    options = {"fmax": LIMITS.fmax, "smax": LIMITS.smax, "max_steps": LIMITS.max_steps}
    with Relaxer(toy, workers=1, save_seconds=0.0, **options) as shared:
        yield shared


ITEMS = [(0, alloy(3.9)), (1, alloy(3.5)), (2, alloy(4.1))]


def steps_of(state: bytes) -> int:
    """Return how far a relaxation had come."""
    return int(from_bytes(state)["clock"]["steps"])


def test_a_killed_worker_costs_a_step_of_what_it_held(relaxer):
    """What another worker gets goes on from there, so no step is counted twice."""
    expected = dict(relaxer.relax(ITEMS))
    told: dict[int, list[int]] = {key: [] for key, _ in ITEMS}
    killed = set()

    def follow(states: dict[int, bytes]) -> None:
        for key, state in states.items():
            told[key].append(steps_of(state))
        worker = relaxer._busy()[0].process.pid
        if not killed and min(map(len, told.values())) >= 5:
            killed.add(worker)
            os.kill(worker, signal.SIGKILL)

    results = dict(relaxer.relax(ITEMS, save=follow))
    assert len(killed) == 1
    for key, _ in ITEMS:
        assert_same(results[key], expected[key])
        assert told[key] == sorted(set(told[key]))


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    """Open a store of its own file."""
    opened = Store(tmp_path / "campaigns.db")
    yield opened
    opened.close()


def test_a_stopped_campaign_goes_on_where_it_was(relaxer, store):
    """A stop in the middle writes where every relaxation is; a verdict ends what is kept of it."""
    expected = dict(relaxer.relax(ITEMS))
    campaign_id = store.create(CampaignSpec(elements=("Al", "Cu")))
    lease = Leases(store.engine, new_owner()).take()
    waiting = [
        Candidate(id=f"{key:06d}", index=key, state=State.WAITING, initial=structure)
        for key, structure in ITEMS
    ]
    store.put_candidates(lease, waiting)
    asked = iter([False] * 3)
    for _ in relaxer.relax(
        ITEMS,
        should_stop=lambda: next(asked, True) and bool(store.underway(campaign_id)),
        save=lambda states: store.put_underway(lease, states),
    ):
        pass
    begun = store.underway(campaign_id)
    assert max(steps_of(state) for state in begun.values()) > 0
    told = []
    results = dict(relaxer.relax(ITEMS, begun=begun, save=told.append))
    for key, _ in ITEMS:
        assert_same(results[key], expected[key])
    for key, state in begun.items():
        first = next((states[key] for states in told if key in states), None)
        assert first is None or steps_of(first) > steps_of(state)
    settled = [item.with_relaxation(results[item.index]) for item in waiting]
    store.put_candidates(lease, settled[:1])
    assert set(store.underway(campaign_id)) == set(begun) - {0}
    store.put_candidates(lease, settled[1:])
    assert store.underway(campaign_id) == {}


def test_where_a_relaxation_is_may_be_written_by_the_holder_of_the_lease_alone(store):
    """The newest replaces the one before; a runner that was replaced is refused."""
    campaign_id = store.create(CampaignSpec(elements=("Al", "Cu")))
    runner = Leases(store.engine, new_owner())
    stale = runner.take()
    store.put_underway(stale, {0: b"a", 1: b"b"})
    store.put_underway(stale, {1: b"c"})
    assert store.underway(campaign_id) == {0: b"a", 1: b"c"}
    runner.release(stale)
    Leases(store.engine, new_owner()).take()
    assert store.underway(campaign_id) == {0: b"a", 1: b"c"}
    with pytest.raises(LeaseLostError):
        store.put_underway(stale, {0: b"late"})
