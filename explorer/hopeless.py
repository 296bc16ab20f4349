"""When a relaxation is given up, since its crystal cannot come near the hull any more.

What decides is how far above the hull a crystal still is and how fast its energy falls. The numbers
were chosen on relaxations of drawn crystals, so that none was given up that ends within
0.1 eV/atom of the hull; ``tests/benchmarks/hopeless.py`` counts what they lose and save on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Ceiling:
    """The energy per atom above which a structure of some composition may be given up.

    Attributes
    ----------
    library
        Where the hulls come from.
    level
        Of the energies that are compared with the ceiling.
    above
        How far above the hull the ceiling lies, eV/atom.
    """

    library: Library
    level: EnergyLevel
    above: float = FAR

    def __call__(self, structure: Structure) -> float | None:
        """Return the ceiling, eV/atom; None where there is no hull to measure from."""
        formula = structure.composition.reduced_formula
        point = self.library.hull(formula).place(formula, 0.0, self.level)
        return None if point.reason else self.above - point.energy_above_hull
