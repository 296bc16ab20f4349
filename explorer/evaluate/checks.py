"""What is right with one crystal as drawn: distances, symmetry, charge, size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from pymatgen.core import Structure
from smact.screening import smact_validity

from explorer.baselines import Drawn, Formula, structure_formula
from explorer.crystals import gate, min_distance
from model.wyckoff import LETTERS, table

SYMPREC = 0.1
"""Å; spglib's tolerance."""
OXIDATION_STATES = "smact14"
"""The list of oxidation states that CDVAE's validity, and all that followed it, is made with."""


@dataclass(frozen=True)
class Check:
    """Verdicts on one crystal; all are False or None where nothing could be looked at."""

    elements_kept: bool = False
    """Only elements that were asked for."""
    spacegroup_kept: bool = False
    """spglib finds the asked group or a supergroup."""
    spacegroup_exact: bool = False
    """spglib finds the asked group."""
    apart_05: bool = False
    """No pair of atoms below 0.5 Å."""
    apart_07: bool = False
    """No pair of atoms below 0.7 Å."""
    smact_valid: bool = False
    """Charge-neutral by some oxidation states that pass Pauling's test, or all metal."""
    gated: bool = False
    """Fit for matchers and potentials."""
    spacegroup: int | None = None
    """That spglib finds."""
    asked: int | None = None
    """Space group that the generator meant."""
    density: float | None = None
    """g/cm³."""
    n_elements: int | None = None
    """Distinct elements."""
    freedoms: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Occupied orbits with 0, 1, 2 and 3 free coordinates."""


def check_all(drawn: Sequence[Drawn], elements: tuple[str, ...]) -> list[Check]:
    """Check crystals; ``elements`` empty means that none were asked for."""
    return [check(one, elements) for one in drawn]


def check(drawn: Drawn, elements: tuple[str, ...] = ()) -> Check:
    """Check one crystal."""
    structure = drawn.structure
    if structure is None or not _readable(structure):
        return Check()
    found = dataset(structure)
    asked = None if drawn.crystal is None else drawn.crystal.spacegroup
    kept, exact = _group_kept(found, asked)
    shortest = min_distance(structure)
    formula = structure_formula(structure)
    return Check(
        elements_kept=not elements or {symbol for symbol, _ in formula} <= set(elements),
        spacegroup_kept=kept,
        spacegroup_exact=exact,
        apart_05=shortest >= 0.5,
        apart_07=shortest >= 0.7,
        smact_valid=is_smact_valid(formula),
        gated=not gate(structure),
        spacegroup=None if found is None else int(found.number),
        asked=asked,
        density=float(structure.density),
        n_elements=len(formula),
        freedoms=freedoms_of(found),
    )


def is_smact_valid(formula: Formula) -> bool:
    """CDVAE's validity of a composition, by the smact package.

    Some choice of oxidation states is neutral and gives the anions the larger electronegativity
    (Pauling's test); single elements and alloys of metals alone are valid.
    """
    text = "".join(f"{symbol}{count}" for symbol, count in formula)
    return bool(smact_validity(text, oxidation_states_set=OXIDATION_STATES))


def dataset(structure: Structure) -> spglib.SpglibDataset | None:
    """Symmetry that spglib finds in a readable structure at `SYMPREC`; None if none."""
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    try:
        return spglib.get_symmetry_dataset(cell, symprec=SYMPREC, angle_tolerance=5)
    except spglib.SpglibError:
        return None


def freedoms_of(found: spglib.SpglibDataset | None) -> tuple[int, int, int, int]:
    """Count the occupied orbits by their number of free coordinates (Wyckoff dimension)."""
    counts = [0, 0, 0, 0]
    if found is None:
        return tuple(counts)
    for atom in np.unique(found.crystallographic_orbits):
        letter = LETTERS.index(found.wyckoffs[atom])
        counts[table().freedom[table().positions_of(int(found.number))[letter]]] += 1
    return tuple(counts)


def _group_kept(found: spglib.SpglibDataset | None, asked: int | None) -> tuple[bool, bool]:
    """Whether the group found holds the asked one, and whether it is exactly that one.

    A supergroup has a whole multiple of the asked group's operations per primitive cell; a smaller
    true cell brings in lattice translations.
    """
    if found is None or asked is None:
        return False, False
    operations = len(table().group_operations(asked)) // int(table().centering[asked - 1])
    kept = len(found.rotations) % operations == 0
    return kept, kept and int(found.number) == asked


def _readable(structure: Structure) -> bool:
    """Whether spglib survives the structure: finite numbers, a cell with a volume, no disorder."""
    return bool(
        len(structure)
        and structure.is_ordered
        and np.isfinite(structure.lattice.matrix).all()
        and np.isfinite(structure.frac_coords).all()
        and structure.volume > 0.1
    )
