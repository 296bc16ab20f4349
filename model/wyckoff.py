"""The Wyckoff positions of the 230 space groups, as arrays.

Settings are those of the International Tables A that most software calls standard: unique axis b
for monoclinic groups, origin choice 2, hexagonal axes for rhombohedral groups. Letters in shapes:
P positions (1731), O orbit operations of all positions, N normalizer operations, G groups (230).
The table is made by ``python -m explorer.prepare tables`` and checked against PyXtal and spglib.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyzA"
DENOMINATOR = 24
"""Every translation in the table is a multiple of 1/24."""


@dataclass(frozen=True)
class WyckoffTable:
    """All positions of all groups, positions of a group in alphabetical order of their letters."""

    group: np.ndarray
    """Space-group number of each position, (P,)."""
    letter: np.ndarray
    """Index into ``LETTERS``, (P,)."""
    multiplicity: np.ndarray
    """Points in the conventional cell, (P,)."""
    freedom: np.ndarray
    """Number of free coordinates, 0 to 3, (P,)."""
    free_axes: np.ndarray
    """Which of x, y, z are free in the first representative, (P, 3) bool."""
    operation_start: np.ndarray
    """Where each position's operations begin in ``operations``, (P + 1,)."""
    operations: np.ndarray
    """Affine maps from the variables (x, y, z) to the points of the orbit, (O, 3, 4)."""
    group_start: np.ndarray
    """Where each group's positions begin, indexed by number - 1, (G + 1,)."""
    normalizer_start: np.ndarray
    """Where each group's normalizer representatives begin, (G + 1,)."""
    normalizers: np.ndarray
    """Coset representatives of the Euclidean normalizer, (N, 3, 4)."""
    polar_axes: np.ndarray
    """Axes along which the origin is not fixed by symmetry, (G, 3) bool."""
    centering: np.ndarray
    """Lattice points in the conventional cell, (G,)."""
    symbol: np.ndarray
    """Hermann-Mauguin short symbols, (G,) str."""
    point_group: np.ndarray
    """Index of the crystallographic point group, (G,)."""
    site_symmetry: np.ndarray
    """Site-symmetry symbols, (P,) str."""

    @property
    def primitive_multiplicity(self) -> np.ndarray:
        """Points in the primitive cell, (P,)."""
        return self.multiplicity // self.centering[self.group - 1]

    def positions_of(self, spacegroup: int) -> range:
        """Position indices of one space group.

        Raises
        ------
        ValueError
            If ``spacegroup`` is not in 1-230.
        """
        if not 1 <= spacegroup <= 230:
            raise ValueError(f"expected a space group from 1 to 230, got {spacegroup}")
        return range(int(self.group_start[spacegroup - 1]), int(self.group_start[spacegroup]))

    def position(self, spacegroup: int, letter: str) -> int:
        """Index of the position ``letter`` of ``spacegroup``.

        Raises
        ------
        ValueError
            If the group has no such letter.
        """
        positions = self.positions_of(spacegroup)
        index = LETTERS.find(letter) if len(letter) == 1 else -1
        if not 0 <= index < len(positions):
            last = LETTERS[len(positions) - 1]
            raise ValueError(
                f"space group {spacegroup} has Wyckoff letters a to {last}, got {letter!r}"
            )
        return positions[index]

    def name(self, position: int) -> str:
        """Multiplicity and letter, such as ``4e``."""
        return f"{self.multiplicity[position]}{LETTERS[self.letter[position]]}"

    def operations_of(self, position: int) -> np.ndarray:
        """Maps from (x, y, z) to the points of one orbit in the conventional cell, (m, 3, 4)."""
        start, stop = self.operation_start[position : position + 2]
        return self.operations[start:stop]

    def group_operations(self, spacegroup: int) -> np.ndarray:
        """All operations of the group in the conventional cell: its general position, (m, 3, 4)."""
        return self.operations_of(self.positions_of(spacegroup)[-1])

    def normalizers_of(self, spacegroup: int) -> np.ndarray:
        """Normalizer representatives of the group, the identity first, (k, 3, 4)."""
        start, stop = self.normalizer_start[spacegroup - 1 : spacegroup + 1]
        return self.normalizers[start:stop]

    def orbit(self, position: int, free: tuple[float, ...] | np.ndarray) -> np.ndarray:
        """Fractional coordinates of all points of an orbit, (m, 3) in [0, 1).

        Parameters
        ----------
        free : sequence of float, shape (freedom,)
            The free coordinates, in the order x, y, z.

        Raises
        ------
        ValueError
            If the number of free coordinates is not the position's freedom.
        """
        if len(free) != self.freedom[position]:
            raise ValueError(
                f"position {self.name(position)} of space group {self.group[position]} has "
                f"{self.freedom[position]} free coordinates, got {len(free)}"
            )
        variables = np.zeros(3)
        variables[self.free_axes[position]] = free
        operations = self.operations_of(position)
        points = operations[:, :, :3] @ variables + operations[:, :, 3]
        points -= np.floor(points)
        points[points >= 1.0 - 1e-9] = 0.0
        return points


def crystal_family(spacegroup: int) -> str:
    """Crystal family of a space group, which says what lattice parameters are free."""
    bounds = (2, 15, 74, 142, 194, 230)
    names = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "hexagonal", "cubic")
    return names[int(np.searchsorted(bounds, spacegroup))]


@cache
def table() -> WyckoffTable:
    """Read the table that lies beside this file; read once, then shared."""
    with np.load(Path(__file__).with_name("wyckoff.npz")) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name in ("operations", "normalizers"):
        arrays[name] = _affine(arrays[name])
    return WyckoffTable(**arrays)


def _affine(stored: np.ndarray) -> np.ndarray:
    """Integer maps with translations in 1/24 to float maps, (..., 3, 4)."""
    affine = stored.astype(float)
    affine[..., 3] /= DENOMINATOR
    return affine
