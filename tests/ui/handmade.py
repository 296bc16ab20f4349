"""Campaigns made by hand: candidates whose energies are invented, in a store that is real."""

import numpy as np
from pymatgen.core import Lattice, Structure

from explorer.campaign import CampaignSpec, CampaignState
from explorer.candidate import Candidate, State, Trace
from explorer.lease import Leases, new_owner
from explorer.potentials import EnergyLevel
from explorer.store import Store
from model.crystal import Site, WyckoffCrystal

LEVEL = EnergyLevel("invented 1", "0123456789ab", "none")
HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"


def candidate(index: int, state: State = State.RELAXED, **changes) -> Candidate:
    """Return rock-salt-like CaCu; relaxed ones lie above the hull by index x 0.01 eV/atom."""
    a = 5.2 + 0.01 * index
    # the primitive cell by hand: for its 192 operations from_spacegroup takes a second
    primitive = Lattice(a / 2 * (1 - np.eye(3)))
    structure = Structure(primitive, ["Ca", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    sites = (Site("a", "Ca", ()), Site("b", "Cu", ()))
    facts = {
        "crystal": WyckoffCrystal(225, sites, (a, a, a, 90, 90, 90)),
        "formula": "CaCu",
        "spacegroup_asked": 225,
        "spacegroup_generated": 225,
        "log_likelihood": -10.0 - index,
        "initial": structure,
        "level": LEVEL,
    }
    if state == State.RELAXED:
        facts |= {
            "relaxed": structure,
            "spacegroup_relaxed": 225,
            "energy_per_atom": -2.0,
            "energy_above_hull": 0.01 * index,
            "formation_energy": 0.01 * index,
            "decomposition": "0.5 Ca + 0.5 Cu",
            "reaction": "CaCu -> Ca + Cu",
            "novel": True,
            "steps": 12,
            "converged": True,
        }
    return Candidate(id=f"{index:06d}", index=index, state=state, **(facts | changes))


def trace_of(relaxed: Candidate, steps: int = 5) -> Trace:
    """Return a relaxation that shrinks a cell to that of a candidate, every step kept."""
    scale = np.linspace(1.05, 1.0, steps)
    cell = relaxed.relaxed
    falling = np.geomspace(0.5, 1e-3, steps)
    return Trace(
        energies=relaxed.energy_per_atom + falling,
        forces=falling,
        stresses=0.1 * falling,
        frames=np.arange(steps),
        lattices=scale[:, None, None] * cell.lattice.matrix,
        coordinates=np.stack([cell.frac_coords] * steps),
        species=np.array(cell.atomic_numbers),
    )


def put(
    store: Store,
    *candidates: Candidate,
    state=CampaignState.FINISHED,
    given=None,
    traces=None,
    **spec,
) -> str:
    """Store a campaign with these candidates, at rest in `state`; returns its id.

    `given` are the structures that it looks for, `traces` how its candidates were relaxed.
    """
    fields = {"elements": ("Ca", "Cu"), "n": max(len(candidates), 1)} | spec
    leases = Leases(store.engine, new_owner())
    campaign_id = store.create(CampaignSpec(**fields), given)
    while not (lease := leases.take(campaign_id)):  # a runner of a served store was faster
        store.command(campaign_id, "stop")
        campaign_id = store.create(CampaignSpec(**fields), given)
    store.put_candidates(lease, list(candidates), traces=traces)
    leases.release(lease, state, "the disk is full" if state == CampaignState.FAILED else "")
    return campaign_id
