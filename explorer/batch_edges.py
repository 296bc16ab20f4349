"""Bonds of many crystals at once: one list for the whole batch, each pair of atoms once.

Shapes: B crystals, N atoms in all of them, E bonds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import vesin
from torch import Tensor


@dataclass(frozen=True)
class Edges:
    """Pairs of atoms that are closer than a cutoff, periodic images included, each pair once.

    Attributes
    ----------
    first, second
        Atoms of each pair, in the numbering of the batch, (E,).
    vectors
        From `first` to `second`, Å, (E, 3), in double precision.
    owner
        Crystal of each pair, (E,).
    """

    first: Tensor
    second: Tensor
    vectors: Tensor
    owner: Tensor

    def take(self, which: Tensor) -> Edges:
        """Return the pairs at these places, or where this mask is true."""
        parts = (self.first, self.second, self.vectors, self.owner)
        return Edges(*(part[which] for part in parts))


def find_edges(positions: Tensor, cells: Tensor, owner: Tensor, cutoff: float) -> Edges:
    """Find all pairs within `cutoff` (Å), crystal by crystal.

    Parameters
    ----------
    positions
        Å, (N, 3).
    cells
        One lattice vector a row, Å, (B, 3, 3).
    owner
        Crystal of each atom, ascending, (N,).
    """
    points = positions.detach().cpu().numpy().astype(float)
    boxes = cells.detach().cpu().numpy().astype(float)
    counts = np.bincount(owner.cpu().numpy(), minlength=len(boxes))
    ends = np.cumsum(counts)
    finder = vesin.NeighborList(cutoff=cutoff, full_list=False)
    found = [
        finder.compute(points[end - count : end], box, periodic=True, quantities="ijD", copy=True)
        for end, count, box in zip(ends, counts, boxes, strict=True)
    ]
    pairs = [len(first) for first, _, _ in found]
    shift = np.repeat(ends - counts, pairs)
    first = np.concatenate([part[0] for part in found]).astype(np.int64) + shift
    second = np.concatenate([part[1] for part in found]).astype(np.int64) + shift
    vectors = np.concatenate([part[2] for part in found]).reshape(-1, 3)
    place = np.repeat(np.arange(len(boxes)), pairs)
    arrays = (first, second, vectors, place)
    return Edges(*(torch.from_numpy(array).to(positions.device) for array in arrays))


def forces_and_stress(
    edges: Edges, slopes: Tensor, atoms: int, volumes: Tensor
) -> tuple[Tensor, Tensor]:
    """Turn the slope of the energy along each bond vector into forces and stress.

    A bond vector d runs from `first` to `second`, so the force on `first` is +dE/dd, and a
    strain e turns d into d (1 + e), so dE/de is the sum of outer products d dE/dd.

    Parameters
    ----------
    slopes
        dE/dd of each pair, eV/Å, (E, 3).
    atoms
        N.
    volumes
        Å³, (B,).

    Returns
    -------
    forces, stress
        eV/Å, (N, 3), and eV/Å³, (B, 3, 3), negative under compression.
    """
    slopes = slopes.to(edges.vectors.dtype)
    forces = slopes.new_zeros(atoms, 3)
    forces.index_add_(0, edges.first, slopes)
    forces.index_add_(0, edges.second, -slopes)
    outer = edges.vectors[:, :, None] * slopes[:, None, :]
    virial = slopes.new_zeros(len(volumes), 3, 3).index_add_(0, edges.owner, outer)
    stress = (virial + virial.mT) / (2 * volumes[:, None, None])
    return forces, stress
