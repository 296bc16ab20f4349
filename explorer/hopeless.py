"""When a relaxation is not begun, or given up, since its crystal will not come near the hull.

How far above the hull a crystal lies as drawn is the best single guide to what becomes of it, and
costs one evaluation. Where relaxations are dear, those above a limit are not begun; that loses
some that would have come down.

Later, what decides is how far above the hull a crystal still is and how fast its energy falls. The
numbers were chosen on relaxations of drawn crystals, so that none was given up that ends within
0.1 eV/atom of the hull; ``tests/benchmarks/hopeless.py`` counts what they lose and save on others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pymatgen.core import Structure

from explorer.potentials import EnergyLevel

if TYPE_CHECKING:
    from explorer.laboratory import Library

FAR = 1.0
"""eV/atom above the hull from which on a crystal may be given up."""
LEAST_STEPS = 15
"""Steps that every crystal gets."""
WINDOW = 5
"""Steps over which the fall of the energy is looked at."""
GIVEN_UP = "given up far above the hull"
SKIPPED = "not relaxed"
REACH = 3.0
"""How many times the fall of the last `WINDOW` steps is still to be hoped for."""


def beyond_hope(energies: Sequence[float], ceiling: float) -> bool:
    """Tell whether a relaxation is to be given up.

    Parameters
    ----------
    energies
        Of each evaluation so far, eV/atom.
    ceiling
        Energy that a crystal worth going on with can come below, eV/atom.
    """
    if len(energies) <= LEAST_STEPS:
        return False
    now, before = min(energies), min(energies[:-WINDOW])
    return bool(now - REACH * (before - now) > ceiling)


class Ceilings(NamedTuple):
    """Energies per atom, eV, for structures of one composition."""

    begin: float
    """Above which a relaxation is not begun."""
    go_on: float
    """Above which one may be given up."""
    hull: float
    """Of the hull."""


@dataclass(frozen=True)
class Ceiling:
    """The energies per atom above which a structure of some composition is left alone.

    Attributes
    ----------
    library
        Where the hulls come from.
    level
        Of the energies that are compared with the ceiling.
    above
        How far above the hull a relaxation may be given up, eV/atom.
    below
        How far above the hull, eV/atom, a crystal may lie that is relaxed at all.
    """

    library: Library
    level: EnergyLevel
    above: float = FAR
    below: float = math.inf

    def __call__(self, structure: Structure) -> Ceilings | None:
        """Return the ceilings; None where there is no hull to measure from."""
        formula = structure.composition.reduced_formula
        point = self.library.hull(formula).place(formula, 0.0, self.level)
        if point.reason:
            return None
        hull = -point.energy_above_hull
        return Ceilings(hull + self.below, hull + self.above, hull)
