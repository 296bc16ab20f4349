"""The border: Wyckoff crystals on one side, pymatgen structures and ASE atoms on the other.

`gate` stands at it. Nothing that fails the gate may reach spglib, a matcher or a potential: spglib
dies of a NaN, and potentials answer it with a finite energy and zero force.
"""

from __future__ import annotations

import numpy as np
import spglib
from ase import Atoms
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from explorer.structure_files import (
    NamedStructure,
    StructureFileError,
    read_structures,
    write_structures,
)
from model.crystal import WyckoffCrystal

__all__ = [
    "MIN_DISTANCE",
    "NamedStructure",
    "StructureFileError",
    "from_atoms",
    "gate",
    "min_distance",
    "read_structures",
    "right_handed",
    "spacegroup_of",
    "to_atoms",
    "to_structure",
    "write_structures",
]

MIN_DISTANCE = 0.7
"""Å; no two atoms of a crystal come closer (H-H in the hydrogen molecule: 0.74)."""
VOLUME_PER_ATOM = (2.0, 500.0)
"""Å³; diamond has 5.7, caesium 117."""
MAX_CELLS = 100.0
"""Cells away from the first one that an atom may be given; looking for neighbours takes as long."""
MAX_LENGTH = 200.0
"""Å; longest lattice vector."""
MIN_FLATNESS = 1e-3
"""Cell volume over the product of the three lengths; 1 for right angles, 0 for a flat cell."""
MAX_ATOMS = 2000
"""Atoms in a cell that is worth a matcher's or a potential's time."""


def to_structure(crystal: WyckoffCrystal, primitive: bool = True) -> Structure:
    """Return the crystal as a pymatgen structure, in its primitive or conventional cell."""
    arrays = crystal.primitive() if primitive else crystal.conventional()
    return Structure(Lattice(arrays.lattice), arrays.numbers, arrays.frac_coords)


def to_atoms(structure: Structure) -> Atoms:
    """Return a structure as ASE atoms, in the same order."""
    return AseAtomsAdaptor.get_atoms(structure, msonable=False)


def right_handed(atoms: Atoms) -> Atoms:
    """Return atoms whose cell is right-handed, at the same places: its vectors, turned round.

    Calculators may divide by a volume below zero where it is not, as CHGNet's own does: the stress
    has the wrong sign then, and crystals collapse.
    """
    if atoms.cell.handedness >= 0:
        return atoms
    turned = atoms.copy()
    turned.set_cell(-atoms.cell.array)
    return turned


def from_atoms(atoms: Atoms) -> Structure:
    """Return periodic ASE atoms as a structure, in the same order, without wrapping."""
    return Structure(np.asarray(atoms.cell), atoms.numbers, atoms.get_scaled_positions(wrap=False))


def gate(structure: Structure) -> str:
    """Say why a structure is not fit for spglib, a matcher or a potential; "" when it is.

    Finite numbers, real elements without disorder, a cell of sensible size and angles, and no two
    atoms, periodic images included, closer than `MIN_DISTANCE`. Reasons hold no measured number,
    so that a campaign can count them.
    """
    for check in (_gate_numbers, _gate_species, _gate_cell, _gate_distance):
        reason = check(structure)
        if reason:
            return reason
    return ""


def _gate_numbers(structure: Structure) -> str:
    if len(structure) == 0:
        return "no atoms"
    if len(structure) > MAX_ATOMS:
        return f"{len(structure)} atoms in the cell, at most {MAX_ATOMS} are accepted"
    if not np.isfinite(structure.lattice.matrix).all():
        return "non-finite cell"
    if not np.isfinite(structure.frac_coords).all():
        return "non-finite coordinates"
    if np.abs(structure.frac_coords).max() > MAX_CELLS:
        return f"atoms more than {MAX_CELLS:g} cells away: wrap them into the cell"
    return ""


def _gate_species(structure: Structure) -> str:
    if not structure.is_ordered:
        return "partially occupied sites: only ordered crystals are accepted"
    for site in structure:
        symbol = getattr(site.specie, "symbol", "")
        if not Element.is_valid_symbol(symbol):
            return f"unknown element {symbol or site.species_string}"
    return ""


def _gate_cell(structure: Structure) -> str:
    lengths = np.array(structure.lattice.abc)
    volume = structure.volume
    per_atom = volume / len(structure)
    low, high = VOLUME_PER_ATOM
    if lengths.min() < MIN_DISTANCE or lengths.max() > MAX_LENGTH:
        return f"a cell length lies outside {MIN_DISTANCE:g}-{MAX_LENGTH:g} Å"
    if volume / lengths.prod() < MIN_FLATNESS:
        return "degenerate cell angles: the cell is flat"
    if not low <= per_atom <= high:
        return f"the volume per atom lies outside {low:g}-{high:g} Å³"
    return ""


def _gate_distance(structure: Structure) -> str:
    close = min_distance(structure) < MIN_DISTANCE
    return f"atoms closer than {MIN_DISTANCE:g} Å" if close else ""


def min_distance(structure: Structure, cutoff: float = MIN_DISTANCE) -> float:
    """Return the shortest distance between atoms, images included, in Å; inf above `cutoff`."""
    *_, distances = structure.get_neighbor_list(cutoff, numerical_tol=1e-8, exclude_self=True)
    return float(distances.min()) if len(distances) else float("inf")


def spacegroup_of(structure: Structure, symprec: float = 0.1) -> int | None:
    """Return the space group number that spglib finds, None when it finds none or is not safe.

    Parameters
    ----------
    structure
        Gated first, because spglib ends the process on non-finite numbers.
    symprec
        Distance tolerance in Å, with an angle tolerance of 5 degrees.
    """
    if gate(structure):
        return None
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    try:
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec, angle_tolerance=5)
    except spglib.SpglibError:
        return None
    return None if dataset is None else int(dataset.number)
