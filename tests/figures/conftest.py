"""A small chemical system with invented energies, for figures and views."""

import itertools

import pytest
from pymatgen.core import Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.hull import Hull
from explorer.phases import phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases

LEVEL = EnergyLevel("invented 1", "0123456789ab", "none")


def cell(*symbols: str) -> Structure:
    """Return a row of atoms along a cube's diagonal; only its composition matters."""
    coords = [[k / len(symbols)] * 3 for k in range(len(symbols))]
    return Structure(Lattice.cubic(4.0 + len(symbols)), symbols, coords)


def hull_of(elements: tuple[str, ...]) -> Hull:
    """Return a hull with every element at 0 and every equal mixture of two at -0.4 eV/atom."""
    pure = [phase_from_structure(f"el-{e}", cell(e), 0.0, "test", spacegroup=225) for e in elements]
    mixed = [
        phase_from_structure(f"mix-{a}{b}", cell(a, b), -0.4, "test", spacegroup=221)
        for a, b in itertools.combinations(elements, 2)
    ]
    high = phase_from_structure("high", cell(elements[0]), 0.3, "test", spacegroup=229)
    return Hull(ReferencePhases(LEVEL, (*pure, *mixed, high), elements))


def relaxed(index: int, *symbols: str, above: float, energy: float) -> Candidate:
    """Return a candidate that relaxed and was placed `above` the hull."""
    structure = cell(*symbols)
    return Candidate(
        id=f"{index:06d}",
        index=index,
        formula=structure.composition.reduced_formula,
        spacegroup_relaxed=123,
        state=State.RELAXED,
        novel=True,
        energy_per_atom=energy,
        energy_above_hull=above,
        decomposition="0.5 Al + 0.5 Ca",
        initial=structure,
        relaxed=structure,
        level=LEVEL,
    )


@pytest.fixture
def make_hull():
    """Return the maker of hulls."""
    return hull_of


@pytest.fixture
def make_candidate():
    """Return the maker of relaxed candidates."""
    return relaxed
