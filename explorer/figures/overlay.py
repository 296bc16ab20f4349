"""A crystal with a known phase laid over it: where the atoms of both stand in one cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pymatgen.core import Structure

from explorer.figures.crystal import CrystalScene, crystal_scene, upright
from explorer.figures.trajectory import Frames
from explorer.superposition import superpose

WIDTH = 0.74
"""Å: a cube's corners look out of an atom at the same place, its faces do not."""
FAR = 0.05
"""Å: atoms further apart than this are joined by a rod."""
ROD = 0.06
"""Å."""
RIM = 1e-2
"""Atoms this near a face of the cell, in fractions of an edge, are drawn on the other one too."""


def laid_over(structure: Structure, phase: Structure) -> Frames | None:
    """Return a crystal and a known phase as two frames; None where they are too unlike.

    Parameters, and what is raised, are those of `explorer.superposition.superpose`.
    """
    found = superpose(structure, phase)
    if found is None:
        return None
    cell, coordinates = found
    lattices = np.stack([cell.lattice.matrix] * 2)
    both = np.stack([cell.frac_coords, coordinates])
    return Frames(lattices, both, np.array(cell.atomic_numbers))


def overlay_scene(frames: Frames, name: str, colour: str) -> CrystalScene:
    """Draw the crystal of `laid_over` with a cube for each atom of the known phase.

    Parameters
    ----------
    name, colour
        What the legend says of the cubes, and their CSS colour.
    """
    drawn = crystal_scene(frames.structure(0), as_given=True)
    if drawn.scene is None:
        return drawn
    from crystal_toolkit.core.scene import (  # noqa: PLC0415 - seconds to import
        Cubes,
        Cylinders,
        Scene,
    )

    atoms, cubes = _pairs(frames)
    apart = np.linalg.norm(atoms - cubes, axis=1) > FAR
    joined = np.stack([atoms[apart], cubes[apart]], axis=1).tolist()
    extra = Scene(
        "known phase",
        [
            Cubes(positions=cubes.tolist(), color=colour, width=WIDTH),
            Cylinders(positionPairs=joined, color=colour, radius=ROD),
        ],
        origin=drawn.scene["origin"],
    )
    scene = drawn.scene | {"contents": [*drawn.scene["contents"], extra.to_json()]}
    return replace(drawn, scene=scene, colours=drawn.colours | {name: colour})


def _pairs(frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of atoms and cubes, (P, 3) Å, with those on opposite faces of the cell."""
    first, second = frames.coordinates
    images = np.array(list(np.ndindex(2, 2, 2)))
    everywhere = (first[:, None, :] + images).reshape(-1, 3)
    moved = (second[:, None, :] + images).reshape(-1, 3)
    kept = (everywhere <= 1 + RIM).all(axis=1)
    matrix = upright(frames.lattices[0])
    return everywhere[kept] @ matrix, moved[kept] @ matrix
