"""The way of one crystal to its minimum: BFGS over atoms and cell from a springy first guess.

Only forces that somebody else computed come in and a geometry to evaluate goes out, so that many
crystals can share each evaluation of a potential.

Coordinates: x = (p, e) with p the positions in the frame of the first cell, Å, and e the six
components of a symmetric strain; cell = cell0 (1 + e) and positions = p (1 + e), rows are vectors.
The first Hessian is that of a spring along each bond, strain included, so a step moves atoms and
cell together and a stiff direction by less than a soft one (after Lindh et al., Chem. Phys. Lett.
241, 423, 1995, and Packwood et al., J. Chem. Phys. 144, 164109, 2016).

Shapes: N atoms, D = 3 N + 6 coordinates, P pairs of atoms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import vesin
from ase import Atoms
from ase.data import covalent_radii

MAX_MOVE = 0.25
"""Å: how far an atom moves in a step, at most."""
MAX_STRAIN = 0.08
"""How much the cell is strained in a step, at most."""
RISE = 2e-4
"""eV/atom: a step that raises the energy by more is taken back."""
SPRING_REACH = 6.0
"""Å: longest spring."""
STIFFNESS = 3.0
"""eV/Å² of a spring as long as the two covalent radii together."""
FALL = 6.0
"""Springs weaken with this power of their length."""
ACROSS = 0.15
"""Stiffness across a spring, over that along it."""
FLOOR = 0.02
"""eV/Å²: least stiffness of any coordinate."""

# Columns: an orthonormal basis of symmetric 3 x 3 matrices, flattened.
_BASIS = np.zeros((9, 6))
for _column, (_i, _j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
    _BASIS[3 * _i + _j, _column] = _BASIS[3 * _j + _i, _column] = 1 if _i == _j else 0.5**0.5


class Descent:
    """Proposes geometries until somebody is content with their forces and stress.

    Parameters
    ----------
    atoms
        First geometry; not changed.
    """

    def __init__(self, atoms: Atoms) -> None:
        self._cell0 = np.array(atoms.cell, dtype=float)
        self._atoms = len(atoms)
        self._x = np.concatenate([atoms.positions.ravel(), np.zeros(6)])
        self._inverse = np.linalg.inv(spring_hessian(atoms))
        self._fresh = True
        self._reach = 1.0
        self._best: tuple[np.ndarray, float, np.ndarray] | None = None

    def state(self) -> dict[str, np.ndarray]:
        """Return all that decides the steps to come."""
        told = {
            "cell0": self._cell0,
            "x": self._x,
            "inverse": self._inverse,
            "fresh": np.array(self._fresh),
            "reach": np.array(self._reach),
        }
        if self._best is None:  # no step was taken yet
            return told
        best, energy, slope = self._best
        return told | {"best": best, "energy": np.array(energy), "slope": slope}

    @classmethod
    def resumed(cls, state: Mapping[str, np.ndarray]) -> Descent:
        """Go on from what `state` returned."""
        descent = cls.__new__(cls)
        descent._cell0, descent._x, descent._inverse = state["cell0"], state["x"], state["inverse"]
        descent._atoms = len(descent._x) // 3 - 2
        descent._fresh, descent._reach = bool(state["fresh"]), float(state["reach"])
        descent._best = None
        if "best" in state:
            descent._best = (state["best"], float(state["energy"]), state["slope"])
        return descent

    @property
    def cell(self) -> np.ndarray:
        """Present cell, Å, (3, 3)."""
        return self._cell0 @ self._deformation()

    @property
    def positions(self) -> np.ndarray:
        """Present positions, Å, (N, 3)."""
        return self._x[:-6].reshape(-1, 3) @ self._deformation()

    def step(self, energy: float, forces: np.ndarray, stress: np.ndarray) -> None:
        """Move on from the present geometry: its energy (eV), forces (eV/Å), stress (eV/Å³)."""
        slope = self._slope(forces, stress)
        if self._best is None:
            self._best = (self._x, energy, slope)
        else:
            self._learn(energy, slope)
        x, _, slope = self._best
        self._x = x + self._shorten(-self._inverse @ slope)

    def _deformation(self) -> np.ndarray:
        return np.eye(3) + (_BASIS @ self._x[-6:]).reshape(3, 3)

    def _slope(self, forces: np.ndarray, stress: np.ndarray) -> np.ndarray:
        """Return the gradient of the energy by the coordinates, (D,)."""
        deformation = self._deformation()
        volume = abs(np.linalg.det(self.cell))
        of_strain = np.linalg.solve(deformation.T, volume * stress)
        of_atoms = -forces @ deformation.T
        return np.concatenate([of_atoms.ravel(), of_strain.ravel() @ _BASIS])

    def _learn(self, energy: float, slope: np.ndarray) -> None:
        """Learn the curvature along the last step; take the step back when the energy rose."""
        x, before, old = self._best
        moved, change = self._x - x, slope - old
        self._update(moved, change)
        if energy > before + RISE * self._atoms:
            self._reach *= 0.4
            return
        self._reach = min(1.0, self._reach * 1.5)
        self._best = (self._x, energy, slope)

    def _update(self, moved: np.ndarray, change: np.ndarray) -> None:
        curvature = moved @ change
        if curvature <= 1e-3 * np.linalg.norm(moved) * np.linalg.norm(change):
            return
        response = self._inverse @ change
        if self._fresh:
            scale = np.clip(curvature / (change @ response), 0.2, 5.0)
            self._inverse *= scale
            response *= scale
            self._fresh = False
        gain = (curvature + change @ response) / curvature**2
        cross = np.outer(response, moved) / curvature
        self._inverse += gain * np.outer(moved, moved) - cross - cross.T

    def _shorten(self, step: np.ndarray) -> np.ndarray:
        """Scale a step so that no atom and no lattice vector moves too far."""
        farthest = np.linalg.norm(step[:-6].reshape(-1, 3), axis=1).max()
        strain = np.abs(step[-6:]).max()
        excess = max(farthest / MAX_MOVE, strain / MAX_STRAIN)
        return step * min(1.0, self._reach / excess) if excess > 0 else step


def spring_hessian(atoms: Atoms) -> np.ndarray:
    """Return the second derivatives of springs between atoms by all coordinates, eV/Å², (D, D).

    Springs are at rest, so that a spring along the unit vector n between atoms i and j, as long
    as d, has the Hessian k b bᵀ with b the derivative of its length: -n by i, +n by j and d nᵀ n
    by the strain.
    """
    finder = vesin.NeighborList(cutoff=SPRING_REACH, full_list=False)
    first, second, vectors = finder.compute(
        atoms.positions, np.asarray(atoms.cell), periodic=True, quantities="ijD"
    )
    count, lengths = len(atoms), np.linalg.norm(vectors, axis=1)
    radii = covalent_radii[atoms.numbers]
    stiffness = STIFFNESS * ((radii[first] + radii[second]) / lengths) ** FALL
    along = np.einsum("pa,pb->pab", vectors, vectors) / lengths[:, None, None] ** 2
    blocks = stiffness[:, None, None] * ((1 - ACROSS) * along + ACROSS * np.eye(3))
    # Derivative of a bond vector by the strain, (P, 3, 6).
    strained = np.einsum("pa,abk->pbk", vectors, _BASIS.reshape(3, 3, 6))
    hessian = np.zeros((count, 3, count, 3))
    for one, other, sign in ((first, first, 1), (second, second, 1), (first, second, -1)):
        np.add.at(hessian, (one, slice(None), other), sign * blocks)
    np.add.at(hessian, (second, slice(None), first), -blocks)
    mixed = np.einsum("pab,pbk->pak", blocks, strained)
    coupling = np.zeros((count, 3, 6))
    np.add.at(coupling, second, mixed)
    np.add.at(coupling, first, -mixed)
    size = 3 * count
    full = np.empty((size + 6, size + 6))
    full[:size, :size] = hessian.reshape(size, size)
    full[:size, size:] = coupling.reshape(size, 6)
    full[size:, :size] = full[:size, size:].T
    full[size:, size:] = np.einsum(
        "pak,pal->kl", strained, np.einsum("pab,pbk->pak", blocks, strained)
    )
    full[np.diag_indices(size)] += FLOOR
    full[range(size, size + 6), range(size, size + 6)] += FLOOR * count
    return full
