"""Collecting the known phases of `model.phases` from crystals and a table of published energies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from pymatgen.core import Composition as Formula

from explorer.dft_vertices import lowest_of_each, read_table
from model.crystal import WyckoffCrystal
from model.phases import Composition, KnownPhases, describe, reduced

SAME = 1e-4
"""eV/atom; a published energy is another phase's if it lies further below the known crystals'."""


def gather_phases(
    crystals: Sequence[WyckoffCrystal],
    formation_energy: np.ndarray,
    e_above_hull: np.ndarray,
    energies: Path,
    without: Sequence[WyckoffCrystal] = (),
) -> KnownPhases:
    """Collect known phases.

    Parameters
    ----------
    crystals
        Known crystals, C.
    formation_energy, e_above_hull
        Theirs, (C,) eV/atom.
    energies
        Parquet with columns id, formula, chemsys, formation_energy_per_atom (eV/atom).
    without
        Crystals that a measurement is to be made on: no energy of their compositions is taken.

    Raises
    ------
    ReferenceFileError
        When the table cannot be read or lacks a column.
    """
    described = [describe(crystal) for crystal in crystals]
    lowest: dict[Composition, float] = {}
    for one, energy in zip(described, formation_energy.tolist(), strict=True):
        lowest[one.composition] = min(energy, lowest.get(one.composition, energy))
    hidden = {describe(crystal).composition for crystal in without}
    found: dict[Composition, float] = {}
    for composition, energy in _published(energies):
        known = min(lowest.get(composition, 0.0), found.get(composition, 0.0))
        if composition not in hidden and energy < known - SAME:
            found[composition] = energy
    others = sorted(found.items())
    return KnownPhases(described, formation_energy, e_above_hull, others)


def _published(energies: Path) -> Iterator[tuple[Composition, float]]:
    """Compounds of a table and their formation energies."""
    finite = [one for one in read_table(energies) if isfinite(one.formation_energy)]
    for one in lowest_of_each(finite):
        name, _ = Formula(one.formula).get_integer_formula_and_factor()
        counts = {element.Z: round(count) for element, count in Formula(name).items()}
        if len(counts) > 1:
            yield reduced(counts), one.formation_energy
