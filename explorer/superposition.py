"""A known phase laid over a crystal: where its atoms stand in the crystal's own cell."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from explorer.isolation import run
from explorer.likeness import SECONDS, WIDE


def superpose(structure: Structure, phase: Structure) -> tuple[Structure, np.ndarray] | None:
    """Match a known phase to a crystal, in a disposable child process.

    Parameters
    ----------
    structure, phase
        Gated, of one reduced formula.

    Returns
    -------
    (Structure, numpy.ndarray) or None
        The crystal's primitive cell, and the fractional coordinates (N, 3) in it of the phase's
        atoms, in the order of its sites and next to them: both are compared at one volume and one
        shape. None when not even `explorer.likeness.WIDE` matches them.

    Raises
    ------
    IsolationError
        When it took too long.
    """
    return run(match, structure, phase, seconds=SECONDS)


def match(structure: Structure, phase: Structure) -> tuple[Structure, np.ndarray] | None:
    """Do the work of `superpose`."""
    cell, other = (given.get_primitive_structure() for given in (structure, phase))
    if len(cell) != len(other):
        return None
    matcher = StructureMatcher(
        ltol=WIDE.ltol, stol=WIDE.stol, angle_tol=WIDE.angle_tol, primitive_cell=False
    )
    like = matcher.get_s2_like_s1(cell, other)
    if like is None:
        return None
    apart = like.frac_coords - cell.frac_coords
    return cell, cell.frac_coords + apart - np.round(apart)
