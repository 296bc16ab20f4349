"""Candidates that are one crystal once they are relaxed."""

from dataclasses import replace

from pymatgen.core import Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.twins import twins

SALT = Structure.from_spacegroup(225, Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
OTHER = Structure.from_spacegroup(221, Lattice.cubic(3.4), ["Na", "Cl"], [[0] * 3, [0.5] * 3])


def relaxed(index: int, structure: Structure, energy: float) -> Candidate:
    """Return a candidate that relaxed to a structure."""
    return Candidate(
        *(f"{index:06d}", index), formula="NaCl", state=State.RELAXED, novel=True,
        relaxed=structure, energy_per_atom=energy,
    )  # fmt: skip


def test_crystals_that_became_one_are_named_by_the_first_drawn() -> None:
    """In whatever order they come, and whatever cell they are in."""
    cells = [SALT, SALT.get_primitive_structure(), OTHER, SALT.copy().make_supercell(2)]
    found = [relaxed(k, cell, -3.5) for k, cell in enumerate(cells)]
    assert twins(found) == {"000001": "000000", "000003": "000000"}
    assert twins(found[::-1]) == twins(found)


def test_another_energy_is_another_crystal_and_what_did_not_relax_is_none() -> None:
    """A matcher's tolerance lets pass what a relaxation has told apart."""
    first, second = relaxed(0, SALT, -3.5), relaxed(1, SALT, -3.45)
    assert twins([first, second]) == {}
    failed = replace(second, state=State.FAILED, energy_per_atom=-3.5)
    assert twins([first, failed]) == {}
