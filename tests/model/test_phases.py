"""Known phases: the hull of others, what a crystal may not know of itself, and the file."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition as Formula

from model.crystal import Site, WyckoffCrystal
from model.facts import INPUTS, Fact, facts_of, forget, inputs
from model.phases import KnownPhases, describe, load_phases, mixture_energy, save_phases

CUBE = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)


def perovskite(large: str, small: str, anion: str = "O") -> WyckoffCrystal:
    """Five atoms in group 221."""
    return WyckoffCrystal(221, (Site("a", large), Site("b", small), Site("c", anion)), CUBE)


def salt(metal: str, anion: str, group: int = 225) -> WyckoffCrystal:
    """Rock salt, or with group 221 caesium chloride."""
    return WyckoffCrystal(group, (Site("a", metal), Site("b", anion)), CUBE)


def oxides() -> KnownPhases:
    """Ca-Ti-O and its neighbours, at energies made up for the test."""
    crystals = [
        perovskite("Ca", "Ti"),
        perovskite("Sr", "Ti"),
        perovskite("Ba", "Ti"),
        salt("Ca", "O"),
        salt("Ca", "O", 221),
        salt("Ti", "O"),
    ]
    energies = np.array([-3.5, -3.4, -3.3, -3.2, -2.9, -2.5])
    above = np.array([0.0, 0.02, 0.2, 0.0, 0.3, 0.1])
    others = [(((8, 2), (22, 1)), -3.3), (((8, 7), (20, 3), (22, 2)), -3.45)]
    return KnownPhases([describe(one) for one in crystals], energies, above, others)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_the_best_mixture_is_the_convex_hull(size: int) -> None:
    """The simplex method places random compositions where pymatgen's hull does."""
    rng = np.random.default_rng(size)
    elements = ["Al", "Ca", "Cu", "O", "Ti"][:size]
    counts = rng.integers(0, 6, (60, size))
    counts = counts[(counts > 0).sum(axis=1) > 1]
    fractions = np.concatenate([np.eye(size), counts / counts.sum(axis=1, keepdims=True)])
    energies = np.concatenate([np.zeros(size), rng.normal(-0.5, 0.5, len(counts))])
    entries = [
        PDEntry(Formula(dict(zip(elements, row, strict=True))), energy)
        for row, energy in zip(fractions, energies, strict=True)
    ]
    diagram = PhaseDiagram(entries)
    for target in rng.dirichlet(np.ones(size), 20):
        formula = Formula(dict(zip(elements, target, strict=True)))
        expected = diagram.get_hull_energy_per_atom(formula)
        assert mixture_energy(target, fractions, energies) == pytest.approx(expected, abs=1e-6)


def test_a_composition_never_competes_with_itself() -> None:
    """Lowering CaTiO3 moves the hull of others at other compositions alone."""
    known = oxides()
    own, other = describe(perovskite("Ca", "Ti")).composition, ((8, 7), (20, 1), (22, 2))
    before = known.competition(own), known.competition(other)
    assert before[0].energy == before[0].sides == pytest.approx((2 * -3.2 + 3 * -3.3) / 5)
    assert before[0].own_phases == 0  # the energy of Ca3Ti2O7 is published, its crystal not known
    assert before[0].side_phases == 3
    lower = oxides().formation_energies - [1, 0, 0, 0, 0, 0]
    deeper = KnownPhases(known.crystals, lower, known.e_above_hull, known.others)
    assert deeper.competition(own) == before[0]
    assert deeper.competition(other).energy < before[1].energy - 0.1
    assert deeper.competition(other).sides == before[1].sides
    assert deeper.competition(other).own_phases == 1


def test_a_crystal_is_neither_its_own_neighbour_nor_its_own_polymorph() -> None:
    """Of its sites with its elements nothing is told, of others all."""
    known = oxides()
    calcium = known.neighbours(describe(perovskite("Ca", "Ti")), 0.075)
    assert calcium.count == 2
    weight = (calcium.formation_energy + 3.3) / -0.1  # of strontium, between the two
    assert 0.5 < weight < 1
    assert calcium.low == pytest.approx(weight)
    assert calcium.e_above_hull == pytest.approx(0.02 * weight + 0.2 * (1 - weight))
    assert known.neighbours(describe(perovskite("Ti", "Ca")), 0.075).count == 3
    assert known.neighbours(describe(perovskite("O", "Ca", "Ti")), 0.075).distance > 1
    assert known.neighbours(describe(salt("Na", "Cl", 216)), 0.075).count == 0
    assert known.polymorph(describe(salt("Ca", "O"))) == pytest.approx(-2.9)
    assert known.polymorph(describe(salt("Ca", "O", 221))) == pytest.approx(-3.2)
    assert np.isnan(known.polymorph(describe(perovskite("Ca", "Ti"))))


def test_the_file_holds_what_was_saved(tmp_path: Path) -> None:
    """Reading gives the same facts; without a file the error tells how to make one."""
    known, path = oxides(), tmp_path / "phases.npz"
    save_phases(path, known)
    crystals = [perovskite("Ca", "Ti"), salt("Ca", "O"), salt("Ba", "S")]
    expected = facts_of(crystals, known)
    assert np.allclose(facts_of(crystals, load_phases(path)), expected, equal_nan=True)
    assert expected[0, Fact.NEIGHBOURS] == 2
    assert expected[2, Fact.HULL] == 0
    with pytest.raises(ValueError, match=r"explorer\.prepare phases"):
        load_phases(tmp_path / "none.npz")


def test_what_is_forgotten_is_not_read() -> None:
    """A hidden system is one without phases of its own; inputs are finite whatever is unknown."""
    known = oxides()
    facts = facts_of([salt("Ca", "O"), perovskite("Ca", "Ti"), salt("Ba", "S", 216)], known)
    everything = forget(facts, np.ones(3, bool), np.zeros(3, bool))
    assert (everything[:, Fact.OWN_PHASES] == 0).all()
    assert (everything[:, Fact.HULL] == facts[:, Fact.SIDES]).all()
    assert np.isnan(everything[:, Fact.POLYMORPH]).all()
    nothing = forget(facts, np.zeros(3, bool), np.zeros(3, bool))
    assert np.allclose(nothing, facts, equal_nan=True)
    energy = torch.from_numpy(facts[:, Fact.HULL])
    told = inputs(torch.from_numpy(facts), energy)
    assert told.shape == (3, INPUTS)
    assert torch.isfinite(told).all()
    assert (inputs(torch.from_numpy(facts), energy + 0.1)[:, -3] > told[:, -3]).all()


def test_shipped_phases_cover_known_chemistry() -> None:
    """Rutile's system is known; its own energy is not among what it competes with."""
    known = load_phases()
    assert len(known) > 20_000
    calcium_titanate = known.competition(((8, 3), (20, 1), (22, 1)))
    assert calcium_titanate.energy <= calcium_titanate.sides < -3
    near = known.neighbours(describe(perovskite("Ca", "Ti")), 0.075)
    assert near.count > 100
    assert -4 < near.formation_energy < -2
    pairs = combinations(["Al", "Ca", "Cu"], 2)
    facts = facts_of([salt(*pair) for pair in pairs], known)
    assert (facts[:, Fact.HULL] < 0).any()
