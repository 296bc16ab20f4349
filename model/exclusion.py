"""Coordinates that would put atoms inside one another, so that the sampler leaves them out.

Two atoms are apart if their distance is at least ``CONTACT`` times the sum of their covalent
radii, and ``CLOSEST`` in any case; known crystals do not break this. The symmetry makes it enough
to look from the first point of an orbit.

Letters in shapes: C candidate values of a coordinate, m points of an orbit, N atoms placed.
"""

from __future__ import annotations

import numpy as np

from model.elements import elements
from model.tokens import COORDINATE_SCALE
from model.wyckoff import table

CONTACT = 0.55
CLOSEST = 0.75
"""Angstrom."""
CANDIDATES = np.arange(COORDINATE_SCALE.bins) / COORDINATE_SCALE.bins
"""Centres of the bins of a coordinate, (C,)."""


class Exclusion:
    """The atoms of one growing crystal.

    Parameters
    ----------
    vectors : ndarray, shape (3, 3)
        Lattice vectors of the conventional cell in rows, angstrom.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors
        self._points = np.zeros((0, 3))
        self._radii = np.zeros(0)

    def place(self, position: int, number: int, free: list[float]) -> None:
        """Put an element on all points of an orbit."""
        orbit = table().orbit(position, free)
        self._points = np.concatenate([self._points, orbit])
        self._radii = np.append(self._radii, np.full(len(orbit), _radius(number)))

    def allowed(self, position: int, number: int, known: list[float]) -> np.ndarray:
        """Values of an orbit's last free coordinate that keep it apart from all atoms, (C,) bool.

        Parameters
        ----------
        known : list of float
            The orbit's other free coordinates. If they leave no value, the values with the widest
            gaps are allowed.
        """
        axes = np.flatnonzero(table().free_axes[position])
        variables = np.zeros((len(CANDIDATES), 3))
        variables[:, axes[:-1]] = known
        variables[:, axes[-1]] = CANDIDATES
        gaps = self._gaps(position, number, variables)
        return gaps >= min(1.0, gaps.max())

    def clashes(self, position: int, number: int, free: list[float]) -> bool:
        """Whether an orbit with these free coordinates comes too near to itself or the others."""
        variables = np.zeros((1, 3))
        variables[:, np.flatnonzero(table().free_axes[position])] = free
        return bool(self._gaps(position, number, variables)[0] < 1.0)

    def _gaps(self, position: int, number: int, variables: np.ndarray) -> np.ndarray:
        """Shortest distance of an orbit in units of the least allowed, (C, 3) -> (C,)."""
        operations = table().operations_of(position)
        points = np.einsum("mij,cj->cmi", operations[:, :, :3], variables) + operations[:, :, 3]
        own = np.full(len(operations) - 1, _radius(number))
        others = np.broadcast_to(self._points, (len(variables), *self._points.shape))
        targets = np.concatenate([points[:, 1:], others], axis=1)
        apart = targets - points[:, :1]
        distances = np.linalg.norm((apart - np.rint(apart)) @ self._vectors, axis=2)
        least = np.append(own, self._radii) + _radius(number)
        gaps = distances / np.maximum(CONTACT * least, CLOSEST)  # (C, m - 1 + N)
        return gaps.min(axis=1, initial=np.inf)


def _radius(number: int) -> float:
    """Covalent radius of an element, angstrom."""
    return float(elements().covalent_radius[number - 1])
