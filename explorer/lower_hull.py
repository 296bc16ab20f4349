"""The lower convex hull of energies over compositions, as arrays: many placements at once.

Letters: N points, E elements, F facets.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.spatial import ConvexHull

SLIVER = 1e-8
"""Facets whose compositions span less than this determinant lie on others; pymatgen's limit."""
NOISE = 1e-11
"""eV/atom; a point this little below a facet lies on it."""
BLOCK = 4_000_000
"""Numbers in one intermediate array."""


class LowerHull:
    """The lowest energy that any mixture of the given points has at each composition.

    The hull is the largest of its facets' planes, E(x) = max_f x . mu_f: mu_f, (E,), are the
    chemical potentials of the elements in equilibrium with the corners of facet f.

    Parameters
    ----------
    fractions
        Shape (N, E), atomic fractions; each element must have a pure point.
    energies
        Shape (N,), eV/atom, finite.
    facets
        Places of the corners of each facet, (F, E); computed when not given.
    """

    def __init__(
        self, fractions: np.ndarray, energies: np.ndarray, facets: np.ndarray | None = None
    ) -> None:
        self.fractions = np.asarray(fractions, float)  # (N, E)
        self.energies = np.asarray(energies, float)  # (N,)
        self.facets = self._facets() if facets is None else facets  # (F, E) places of points

    @cached_property
    def potentials(self) -> np.ndarray:
        """Chemical potentials of each facet, (F, E) eV/atom."""
        corners, energies = self.fractions[self.facets], self.energies[self.facets]
        return np.linalg.solve(corners, energies[..., None])[..., 0]

    @property
    def vertices(self) -> np.ndarray:
        """Places of the points on the hull, ascending."""
        return np.unique(self.facets)

    def energy(self, fractions: np.ndarray) -> np.ndarray:
        """Return the energy of the hull at compositions (M, E), (M,) eV/atom."""
        fractions = np.atleast_2d(fractions)
        rows = max(BLOCK // max(len(self.facets), 1), 1)
        blocks = [fractions[k : k + rows] for k in range(0, len(fractions), rows)]
        highest = [(block @ self.potentials.T).max(axis=1) for block in blocks]
        return np.concatenate(highest) if highest else np.empty(0)

    def decompose(self, fractions: np.ndarray) -> dict[int, float]:
        """Return the points that a composition (E,) falls apart into, with their atomic shares."""
        planes = self.potentials @ fractions
        highest = np.flatnonzero(planes >= planes.max() - 1e-9)
        # Where facets touch, numerically equal planes may lie outside their own corners.
        shares = np.linalg.solve(
            np.swapaxes(self.fractions[self.facets[highest]], 1, 2),
            np.broadcast_to(fractions, (len(highest), len(fractions)))[..., None],
        )[..., 0]
        best = int(shares.min(axis=1).argmax())
        places = self.facets[highest[best]]
        kept = shares[best] > 1e-8
        return dict(zip(places[kept].tolist(), shares[best][kept].tolist(), strict=True))

    def lowered_by(self, fractions: np.ndarray, energies: np.ndarray) -> LowerHull:
        """Return the hull of these points and N' more; theirs are the places N, N + 1 and so on.

        Only the present corners and the points below them can be corners of the new hull, so that
        thousands of points cost no more than placing them.
        """
        below = energies < self.energy(fractions) - NOISE
        all_fractions = np.vstack([self.fractions, fractions])
        all_energies = np.concatenate([self.energies, energies])
        if not below.any():
            return LowerHull(all_fractions, all_energies, self.facets)
        kept = np.concatenate([self.vertices, len(self.energies) + np.flatnonzero(below)])
        corners = LowerHull(all_fractions[kept], all_energies[kept])
        return LowerHull(all_fractions, all_energies, kept[corners.facets])

    def _facets(self) -> np.ndarray:
        count = self.fractions.shape[1]
        pure = [
            self._lowest(np.flatnonzero(self.fractions[:, e] > 1 - 1e-12)) for e in range(count)
        ]
        if count == 1:
            return np.array([pure])
        formation = self.energies - self.fractions @ self.energies[pure]
        below = np.flatnonzero(formation < -NOISE)
        kept = np.concatenate([pure, self._lowest_of_each(below)]).astype(int)
        if len(kept) == count:
            return np.array([pure])
        points = np.column_stack([self.fractions[kept, 1:], formation[kept]])
        # A roof above everything closes the body; what touches it is no lower facet.
        roof = np.append(np.full(count - 1, 1 / count), formation[kept].max() + 1)
        simplices = ConvexHull(np.vstack([points, roof]), qhull_options="Qt").simplices
        lower = kept[simplices[(simplices < len(kept)).all(axis=1)]]
        spans = np.abs(np.linalg.det(self.fractions[lower]))
        return lower[spans > SLIVER]

    def _lowest(self, places: np.ndarray) -> int:
        return int(places[np.argmin(self.energies[places])])

    def _lowest_of_each(self, places: np.ndarray) -> np.ndarray:
        """Return the lowest point of each composition."""
        ordered = places[np.argsort(self.energies[places], kind="stable")]
        _, first = np.unique(self.fractions[ordered].round(9), axis=0, return_index=True)
        return ordered[first]
