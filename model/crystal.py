"""The Wyckoff crystal: what the transformer writes and everything else reads.

Letters in shapes: N atoms. Lengths in angstrom, angles in degrees, coordinates fractional.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, reduce
from math import gcd
from typing import NamedTuple

import numpy as np

from model.elements import atomic_number, in_formula_order
from model.wyckoff import table

CENTERING_BASIS = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 0.5, 0.5), (0, -0.5, 0.5)),
    "C": ((0.5, 0.5, 0), (-0.5, 0.5, 0), (0, 0, 1)),
    "I": ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5)),
    "F": ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
"""Primitive lattice vectors in units of the conventional ones, by the symbol's first letter."""


class Arrays(NamedTuple):
    """A crystal as a plain list of atoms."""

    lattice: np.ndarray
    """Lattice vectors as rows, angstrom, (3, 3)."""
    frac_coords: np.ndarray
    """Fractional coordinates in [0, 1), (N, 3)."""
    numbers: np.ndarray
    """Atomic numbers, (N,)."""


@dataclass(frozen=True)
class Site:
    """One occupied orbit."""

    letter: str
    """Wyckoff letter."""
    element: str
    """Element symbol."""
    free: tuple[float, ...] = ()
    """Free fractional coordinates of the first representative, in the order x, y, z."""


@dataclass(frozen=True)
class WyckoffCrystal:
    """A crystal as space group, occupied Wyckoff sites and conventional lattice."""

    spacegroup: int
    """Number in the International Tables, 1-230."""
    sites: tuple[Site, ...]
    """Occupied orbits."""
    lattice: tuple[float, float, float, float, float, float]
    """a, b, c in angstrom and alpha, beta, gamma in degrees of the conventional cell."""

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Rows of the Wyckoff table, one a site."""
        return tuple(table().position(self.spacegroup, site.letter) for site in self.sites)

    @cached_property
    def composition(self) -> dict[str, int]:
        """Atoms of each element in the primitive cell, in formula order."""
        counts: Counter[str] = Counter()
        multiplicity = table().primitive_multiplicity
        for site, position in zip(self.sites, self.positions, strict=True):
            counts[site.element] += int(multiplicity[position])
        return {symbol: counts[symbol] for symbol in in_formula_order(tuple(counts))}

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols in alphabetical order."""
        return tuple(sorted(self.composition))

    @property
    def n_atoms(self) -> int:
        """Atoms in the primitive cell."""
        return sum(self.composition.values())

    @property
    def formula(self) -> str:
        """Reduced formula, elements by electronegativity."""
        divisor = reduce(gcd, self.composition.values())
        parts = ((symbol, count // divisor) for symbol, count in self.composition.items())
        return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in parts)

    @property
    def skeleton(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        """Space group and occupied (letter, element) pairs: the prototype, without numbers."""
        return self.spacegroup, tuple((site.letter, site.element) for site in self.sites)

    def conventional(self) -> Arrays:
        """All atoms of the conventional cell."""
        wyckoff = table()
        orbits = [
            wyckoff.orbit(position, site.free)
            for site, position in zip(self.sites, self.positions, strict=True)
        ]
        numbers = [
            np.full(len(orbit), atomic_number(site.element))
            for site, orbit in zip(self.sites, orbits, strict=True)
        ]
        lattice = lattice_vectors(*self.lattice)
        return Arrays(lattice, np.concatenate(orbits), np.concatenate(numbers))

    def primitive(self) -> Arrays:
        """All atoms of a primitive cell."""
        wyckoff = table()
        centering = str(wyckoff.symbol[self.spacegroup - 1])[0]
        basis = np.array(CENTERING_BASIS[centering])
        points, numbers = [], []
        for site, position in zip(self.sites, self.positions, strict=True):
            # an orbit lists its points one lattice point of the conventional cell after the other
            count = int(wyckoff.primitive_multiplicity[position])
            points.append(wyckoff.orbit(position, site.free)[:count])
            numbers += [atomic_number(site.element)] * count
        frac = np.concatenate(points) @ np.linalg.inv(basis)
        frac -= np.floor(frac + 1e-9)
        return Arrays(
            basis @ lattice_vectors(*self.lattice), np.clip(frac, 0.0, None), np.array(numbers)
        )

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        sites = [[site.letter, site.element, list(site.free)] for site in self.sites]
        return {"spacegroup": self.spacegroup, "sites": sites, "lattice": list(self.lattice)}

    @classmethod
    def from_dict(cls, values: dict) -> WyckoffCrystal:
        """Inverse of ``to_dict``."""
        sites = tuple(Site(letter, el, tuple(free)) for letter, el, free in values["sites"])
        return cls(int(values["spacegroup"]), sites, tuple(values["lattice"]))


def lattice_vectors(
    a: float, b: float, c: float, alpha: float, beta: float, gamma: float
) -> np.ndarray:
    """Lattice vectors as rows, a along x and b in the xy plane, angstrom, (3, 3).

    Raises
    ------
    ValueError
        If the three angles cannot meet in a cell.
    """
    cos_a, cos_b, cos_g = np.cos(np.radians([alpha, beta, gamma]))
    sin_g = np.sin(np.radians(gamma))
    y = (cos_a - cos_b * cos_g) / sin_g
    square = 1.0 - cos_b**2 - y**2
    if square <= 1e-6:
        raise ValueError(f"expected angles that span a cell, got {alpha}, {beta}, {gamma} degrees")
    return np.array(
        [[a, 0.0, 0.0], [b * cos_g, b * sin_g, 0.0], [c * cos_b, c * y, c * np.sqrt(square)]]
    )


def lattice_parameters(vectors: np.ndarray) -> tuple[float, float, float, float, float, float]:
    """a, b, c (angstrom) and alpha, beta, gamma (degrees) of lattice vectors in rows, (3, 3)."""
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / lengths[:, None]
    cosines = [unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    return tuple(float(value) for value in (*lengths, *angles))  # type: ignore[return-value]
