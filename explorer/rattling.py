"""Rattling: a crystal that came to rest is shaken a little, and relaxed once more.

A crystal that begins with symmetry keeps it while it relaxes, since no force breaks it. Where its
energy would fall along a way that does, it comes to rest all the same: on a saddle, with no force
on any atom. Shaken, it leaves the saddle for the form below; a minimum takes it back. Only ways
that fit into its own cell are found: a distortion that doubles the cell is not.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms

LOWER = 1e-3
"""eV/atom by which another form is lower; a relaxation ends with about so much left to fall."""
STRAIN = 1 / 6
"""Components of the strain for each ångström of displacement."""
SEED = 0
"""The same crystal is always displaced alike, whichever engine, batch or machine it is in."""


def rattled(atoms: Atoms, displacement: float) -> Atoms:
    """Return a copy whose atoms are displaced and whose cell is strained, at random.

    Parameters
    ----------
    displacement
        Root mean square over the atoms, Å.
    """
    strain = np.random.default_rng(SEED).normal(scale=STRAIN * displacement, size=(3, 3))
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    moved.rattle(displacement / 3**0.5, seed=SEED)
    return moved
