"""Generators behind one interface: whoever draws, each crystal arrives as a `Drawn`.

The transformer, prototype substitution, random symmetric crystals and other programs' samples can
so be judged by the same code, under the same budget.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from math import gcd

from pymatgen.core import Structure

from explorer.crystals import to_structure
from model.crystal import WyckoffCrystal

Formula = tuple[tuple[str, int], ...]
"""(symbol, count) pairs in alphabetical order, counts without a common divisor."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One crystal of a generator, or why there is none."""

    index: int
    """Place in the order of drawing, from 0."""
    crystal: WyckoffCrystal | None = None
    """Where the generator draws Wyckoff sites."""
    given: Structure | None = None
    """Where it draws atoms."""
    reason: str = ""
    """Why there is neither; "" when there is one."""
    log_likelihood: float = float("nan")
    """Natural logarithm under the generator's model; NaN where the generator has none."""
    log_parts: dict[str, float] | None = None
    """The same by part: spacegroup, skeleton, lattice, coordinates."""
    template: str = ""
    """Formula of the known crystal whose geometry it has, if any."""
    name: str = ""
    """What the file that it comes from calls it."""

    @property
    def structure(self) -> Structure | None:
        """The crystal in its primitive cell, or as given."""
        return self.given if self.crystal is None else to_structure(self.crystal)

    @property
    def formula(self) -> Formula | None:
        """Reduced formula, found without building the atoms; None where sites are shared."""
        if self.crystal is not None:
            return formula_of(self.crystal.composition)
        if self.given is None or not self.given.is_ordered:
            return None
        return structure_formula(self.given)

    @property
    def symbols(self) -> set[str]:
        """Symbols of its elements; none where there is no crystal."""
        if self.crystal is not None:
            return set(self.crystal.elements)
        return set() if self.given is None else set(self.given.symbol_set)

    @property
    def atoms(self) -> int:
        """Atoms in its primitive cell, or in the given one; 0 where there is no crystal."""
        if self.crystal is not None:
            return self.crystal.n_atoms
        return 0 if self.given is None else len(self.given)


def formula_of(counts: dict[str, int]) -> Formula:
    """Divide the counts of atoms by their common divisor."""
    divisor = reduce(gcd, counts.values())
    return tuple(sorted((symbol, count // divisor) for symbol, count in counts.items()))


def structure_formula(structure: Structure) -> Formula:
    """Return the reduced formula of an ordered structure, oxidation states left out."""
    return formula_of(Counter(site.specie.symbol for site in structure))
