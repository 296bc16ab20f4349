"""The border between Wyckoff crystals, structures and atoms, and the gate on it."""

import numpy as np
import pytest
from pymatgen.core import Composition, DummySpecies, Lattice, Structure

from explorer.crystals import (
    from_atoms,
    gate,
    min_distance,
    spacegroup_of,
    to_atoms,
    to_structure,
)
from model.crystal import Site, WyckoffCrystal

PEROVSKITE = WyckoffCrystal(
    221,
    (Site("a", "Ca", ()), Site("b", "Ti", ()), Site("c", "O", ())),
    (3.9, 3.9, 3.9, 90.0, 90.0, 90.0),
)
ROCK_SALT = WyckoffCrystal(
    225, (Site("a", "Na", ()), Site("b", "Cl", ())), (5.6, 5.6, 5.6, 90.0, 90.0, 90.0)
)


def rock_salt() -> Structure:
    """Return its primitive cell."""
    return to_structure(ROCK_SALT)


@pytest.mark.parametrize("crystal", [PEROVSKITE, ROCK_SALT])
def test_a_crystal_keeps_group_and_formula_as_a_structure(crystal: WyckoffCrystal) -> None:
    """Both cells of a crystal have its space group and its formula."""
    for primitive in (True, False):
        structure = to_structure(crystal, primitive=primitive)
        assert spacegroup_of(structure) == crystal.spacegroup
        assert structure.composition.reduced_formula == (
            Composition(crystal.formula).reduced_formula
        )


def test_the_primitive_cell_is_the_small_one() -> None:
    """Face centring makes the conventional cell four times as large."""
    assert len(to_structure(ROCK_SALT)) == 2
    assert len(to_structure(ROCK_SALT, primitive=False)) == 8


def test_atoms_and_back_is_the_same_structure() -> None:
    """The way through ASE keeps cell, order and coordinates, also outside the cell."""
    structure = rock_salt()
    structure.translate_sites([0], [1.25, 0, 0], to_unit_cell=False)
    back = from_atoms(to_atoms(structure))
    assert np.allclose(back.frac_coords, structure.frac_coords)
    assert np.allclose(back.lattice.matrix, structure.lattice.matrix)
    assert back.species == structure.species


def broken(kind: str) -> Structure:
    """Return a structure with one thing wrong."""
    cubic = Lattice.cubic
    pair = [[0, 0, 0], [0.5, 0.5, 0.5]]
    nan = float("nan")
    return {
        "NaN coordinate": Structure(cubic(4), ["Na", "Cl"], [[0, 0, 0], [nan, 0, 0]]),
        "infinite cell": Structure(Lattice(np.diag([4, 4, np.inf])), ["Na"], [[0, 0, 0]]),
        "flat cell": Structure(Lattice([[4, 0, 0], [4, 1e-5, 0], [0, 0, 4]]), ["Na"], [[0, 0, 0]]),
        "collapsed cell": Structure(cubic(0.6), ["Na", "Cl"], pair),
        "exploded cell": Structure(cubic(150), ["Na", "Cl"], pair),
        "needle": Structure(Lattice.orthorhombic(4, 4, 900), ["Na"], [[0, 0, 0]]),
        "same place": Structure(cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0]]),
        "too close": Structure(cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.1, 0, 0]]),
        "close image": Structure(cubic(4), ["Na", "Cl"], [[0.02, 0, 0], [0.95, 0, 0]]),
        "disorder": Structure(cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]]),
        "no element": Structure(cubic(4), [DummySpecies("X")], [[0, 0, 0]]),
        "empty": Structure(cubic(4), [], []),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("NaN coordinate", "non-finite coordinates"),
        ("infinite cell", "non-finite cell"),
        ("flat cell", "degenerate cell angles"),
        ("collapsed cell", "cell length"),
        ("exploded cell", "volume per atom"),
        ("needle", "cell length"),
        ("same place", "closer than 0.7"),
        ("too close", "closer than 0.7"),
        ("close image", "closer than 0.7"),
        ("disorder", "partially occupied"),
        ("no element", "unknown element X"),
        ("empty", "no atoms"),
    ],
)
def test_the_gate_names_what_is_wrong(kind: str, words: str) -> None:
    """Each kind of unfit structure is refused in words, and spglib never sees it."""
    structure = broken(kind)
    assert words in gate(structure)
    assert spacegroup_of(structure) is None


def test_the_gate_lets_sound_crystals_pass() -> None:
    """Rock salt, and a hydrogen molecule with its 0.74 Å, are sound."""
    assert gate(rock_salt()) == ""
    molecule = Structure(Lattice.cubic(4), ["H", "H"], [[0, 0, 0], [0.185, 0, 0]])
    assert gate(molecule) == ""


def test_a_single_atom_meets_its_own_image() -> None:
    """The distance counts periodic images of the same atom."""
    structure = Structure(Lattice.orthorhombic(2.0, 3.0, 4.0), ["Na"], [[0, 0, 0]])
    assert min_distance(structure, cutoff=2.5) == pytest.approx(2.0)
    assert min_distance(structure, cutoff=1.0) == float("inf")
