"""Giving up: what is far above the hull and hardly falls, never what still may come near it."""

from __future__ import annotations

import pickle
from math import inf

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure
from toy_potentials import emt

from explorer.batch_relaxation import Batch
from explorer.candidate import Candidate, State
from explorer.crystals import gate
from explorer.hopeless import FAR, GIVEN_UP, LEAST_STEPS, SKIPPED, Ceiling, Ceilings, beyond_hope
from explorer.laboratory import Library
from explorer.potentials import potential
from explorer.references import ReferencePhases
from explorer.relaxation import Limits


def falling(first: float, last: float, steps: int, rate: float) -> list[float]:
    """Energies that fall exponentially."""
    return list(last + (first - last) * np.exp(-rate * np.arange(steps)))


@pytest.mark.parametrize(
    ("energies", "hopeless"),
    [
        (falling(3.0, 2.9, 40, 0.3), True),
        (falling(3.0, 2.9, LEAST_STEPS, 0.3), False),  # everything gets so many steps
        (falling(5.0, 0.0, 20, 0.1), False),  # high, but falling fast
        (falling(3.0, 0.5, 40, 0.3), False),  # below the ceiling
        ([3.0, *[2.0 + 0.1 * (k % 2) for k in range(30)]], True),  # rises are taken back
    ],
)
def test_height_and_fall_decide(energies, hopeless):
    """A ceiling of 1 eV/atom."""
    assert beyond_hope(energies, 1.0) is hopeless


def test_the_ceilings_follow_the_hull():
    """They lie so far above the hull at the composition, on the potential's scale."""
    chosen = potential("chgnet", "cpu")
    for mode in ("potential", "dft"):
        library = Library("chgnet", None, "Al-Ca-Cu", mode)
        ceiling = sent(Ceiling(library, chosen.level, below=0.25))
        for phase in ReferencePhases.shipped("Al-Ca-Cu", "chgnet").phases[:12]:
            formula = phase.formula
            ceilings = ceiling(Structure(Lattice.cubic(9), *_atoms(formula)))
            for energy, above in zip(ceilings, (0.25, FAR, 0.0), strict=True):
                placed = library.hull(formula).place(formula, energy, chosen.level)
                assert placed.energy_above_hull == pytest.approx(above, abs=1e-6)


def sent(ceiling: Ceiling) -> Ceiling:
    """Return what a worker process gets."""
    return pickle.loads(pickle.dumps(ceiling))  # noqa: S301 - our own


def _atoms(formula: str) -> tuple[list[str], np.ndarray]:
    """Some structure of a formula."""
    counts = Composition(formula).get_el_amt_dict()
    symbols = [symbol for symbol, count in counts.items() for _ in range(round(count))]
    return symbols, np.random.default_rng(0).random((len(symbols), 3))


def test_a_hopeless_crystal_ends_early_and_says_so():
    """Its neighbour in the batch goes on to its own end."""
    sites = [[0, 0, 0], [0.53, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    copper = Structure(Lattice.cubic(3.9), ["Cu"] * 4, sites)
    chosen, limits = emt(), Limits(fmax=0.0, smax=0.0, max_steps=40)
    batch = Batch(
        chosen.model(),
        chosen.level,
        limits,
        ceiling=lambda structure: Ceilings(inf, -50.0, -51.0) if structure.volume > 60 else None,
    )
    assert batch.add("hopeless", copper.copy().scale_lattice(62)) is None
    assert batch.add("kept", copper) is None
    ended = {}
    while len(batch):
        ended |= dict(batch.advance())
    assert ended["hopeless"].reason.startswith(GIVEN_UP)
    assert not ended["hopeless"].converged
    assert LEAST_STEPS <= ended["hopeless"].steps < 25
    assert ended["hopeless"].energy_per_atom is not None
    assert ended["kept"].reason == limits.too_many_steps


def test_what_begins_too_high_is_not_relaxed():
    """One evaluation tells; it leaves no energy that could be taken for a relaxed one."""
    chosen = emt()
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.9), ["Cu"], [[0, 0, 0]])
    copper.perturb(0.1)
    (energy,) = chosen.static_energies([copper])
    for margin, skipped in ((0.01, False), (-0.01, True)):
        ceilings = Ceilings(energy + margin, inf, energy - 0.5)
        batch = Batch(chosen.model(), chosen.level, Limits(), ceiling=lambda _, c=ceilings: c)
        batch.add("copper", copper)
        ended = {}
        while len(batch):
            ended |= dict(batch.advance())
        told = Candidate("000000", 0, initial=copper, state=State.WAITING).with_relaxation(
            ended["copper"]
        )
        assert ended["copper"].skipped is skipped
        assert (told.state, told.energy_per_atom is None, told.relaxed is None) == (
            (State.SKIPPED, True, True) if skipped else (State.RELAXED, False, False)
        )
        assert told.reason == (f"{SKIPPED}: begins 0.50 eV/atom above the hull" * skipped)


def test_no_known_phase_is_lost():
    """Known phases near the hull, shaken hard, relax to the end under the rule."""
    chosen, rng = potential("chgnet", "cpu"), np.random.default_rng(7)
    library = Library("chgnet", None, "", "potential")
    batch = Batch(chosen.model(), chosen.level, Limits(), ceiling=Ceiling(library, chosen.level))
    taken = 0
    for system in ("Al-Ca-Cu", "Ca-O-Ti", "Mg-O-Si", "Li-O-P", "Ga-Ni-Tb"):
        for phase in ReferencePhases.shipped(system, "chgnet").phases:
            shaken = phase.structure.copy()
            if len(shaken) > 8 or len(shaken.composition) < 2:
                continue
            shaken.apply_strain(rng.normal(0, 0.05, 3))
            shaken.perturb(0.25)
            if not gate(shaken):
                taken += batch.add((system, phase.id), shaken) is None
    reasons = []
    while len(batch):
        reasons += [relaxation.reason for _, relaxation in batch.advance()]
    assert len(reasons) == taken > 8
    assert not [reason for reason in reasons if reason.startswith(GIVEN_UP)]
