"""Keeping the space group of a crystal while it relaxes.

Forces and stress are averaged over the operations of the group, and the springs of the first
Hessian have the symmetry of the crystal, so that no step can leave it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.spacegroup.symmetrize import (
    prep_symmetry,
    refine_symmetry,
    symmetrize_rank1,
    symmetrize_rank2,
)

from explorer.batch_evaluation import Evaluation

SYMPREC = 0.01
"""Å; operations that hold to this are kept, and made exact before the first step."""


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The operations of a crystal's space group.

    Attributes
    ----------
    rotations, translations
        In fractions of the cell, (G, 3, 3) and (G, 3).
    images
        Atom that each operation carries every atom to, (G, N).
    """

    rotations: np.ndarray
    translations: np.ndarray
    images: list[list[int]]

    @classmethod
    def of(cls, atoms: Atoms) -> Symmetry:
        """Find the operations of a crystal, and move its atoms to where they hold exactly."""
        refine_symmetry(atoms, symprec=SYMPREC)
        return cls(*prep_symmetry(atoms, symprec=SYMPREC))

    def average(self, atoms: Atoms, answer: Evaluation) -> Evaluation:
        """Return forces and stress without what the group forbids, such as rounding errors."""
        cell = atoms.cell.array
        inverse = np.linalg.inv(cell)
        forces = symmetrize_rank1(
            cell, inverse, answer.forces, self.rotations, self.translations, self.images
        )
        stress = symmetrize_rank2(cell, inverse, answer.stress, self.rotations)
        return Evaluation(answer.energy, forces, stress)
