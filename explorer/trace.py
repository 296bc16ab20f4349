"""What a relaxation went through: energy, force and stress of every step, and some of its frames.

Shapes: S evaluations, K kept frames, N atoms.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from ase import Atoms

    from explorer.batch_evaluation import Evaluation

MOST_FRAMES = 24
"""Frames kept of a relaxation; a longer one keeps every second, fourth, ... and the last."""


@dataclass(frozen=True, eq=False)
class Trace:
    """The way of one crystal from the first geometry evaluated to the last.

    Attributes
    ----------
    energies
        eV/atom, (S,). A step that raised the energy was taken back, so they need not fall.
    forces, stresses
        Largest force on an atom, eV/Å, and largest stress component, eV/Å³, (S,) each.
    frames
        Numbers of the evaluations whose geometry was kept, rising, (K,).
    lattices
        Rows are vectors, Å, (K, 3, 3).
    coordinates
        Fractional, (K, N, 3).
    species
        Atomic numbers, (N,).
    """

    energies: np.ndarray
    forces: np.ndarray
    stresses: np.ndarray
    frames: np.ndarray
    lattices: np.ndarray
    coordinates: np.ndarray
    species: np.ndarray

    def structure(self, k: int) -> Structure:
        """Return kept frame number ``k``, from 0."""
        return Structure(Lattice(self.lattices[k]), self.species, self.coordinates[k])

    def to_bytes(self) -> bytes:
        """Write all arrays, in single precision, as a compressed npz file."""
        single = {
            name: value.astype(np.float32) if value.dtype.kind == "f" else value
            for name, value in vars(self).items()
        }
        file = io.BytesIO()
        np.savez_compressed(file, **single)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Trace:
        """Read what ``to_bytes`` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return cls(**{name: stored[name] for name in stored.files})


def placed(atoms: Atoms, cell: np.ndarray, positions: np.ndarray) -> Atoms:
    """Return a copy of atoms in another cell, (3, 3), at other positions, (N, 3), Å."""
    moved = atoms.copy()
    moved.set_cell(cell)
    moved.positions = positions
    return moved


class Recorder:
    """Writes down a relaxation while it goes on; its memory does not grow with its steps."""

    def __init__(self) -> None:
        self._numbers: list[tuple[float, float, float]] = []
        self._frames: list[tuple[int, Atoms]] = []
        self._stride = 1
        self._last: Atoms | None = None

    def add(self, atoms: Atoms, answer: Evaluation) -> None:
        """Take down one evaluation; ``atoms`` must not change afterwards."""
        step = len(self._numbers)
        force = float(np.linalg.norm(answer.forces, axis=1).max())
        stress = float(np.abs(answer.stress).max())
        self._numbers.append((answer.energy / len(atoms), force, stress))
        self._last = atoms
        if step % self._stride:
            return
        self._frames.append((step, atoms))
        if len(self._frames) == MOST_FRAMES:  # one place is for the last frame
            self._stride *= 2
            self._frames = self._frames[::2]

    @property
    def energies(self) -> list[float]:
        """Of each evaluation so far, eV/atom."""
        return [energy for energy, _, _ in self._numbers]

    def state(self) -> dict[str, np.ndarray]:
        """Return what was written down so far; there must be an evaluation."""
        return {
            "numbers": np.array(self._numbers),
            "stride": np.array(self._stride),
            "steps": np.array([step for step, _ in self._frames]),
            "cells": np.stack([atoms.cell.array for _, atoms in self._frames]),
            "positions": np.stack([atoms.positions for _, atoms in self._frames]),
        }

    @classmethod
    def resumed(cls, state: Mapping[str, np.ndarray], last: Atoms) -> Recorder:
        """Go on from what `state` returned and the frame that was evaluated last."""
        recorder = cls()
        recorder._numbers = [tuple(row) for row in state["numbers"].tolist()]
        recorder._stride, recorder._last = int(state["stride"]), last
        frames = zip(state["steps"].tolist(), state["cells"], state["positions"], strict=True)
        recorder._frames = [(step, placed(last, *frame)) for step, *frame in frames]
        return recorder

    def trace(self) -> Trace | None:
        """Return what was written down; None when nothing was evaluated."""
        if self._last is None:
            return None
        frames, last = list(self._frames), len(self._numbers) - 1
        if frames[-1][0] != last:
            frames.append((last, self._last))
        energies, forces, stresses = np.array(self._numbers).T
        return Trace(
            energies,
            forces,
            stresses,
            np.array([step for step, _ in frames]),
            np.stack([atoms.cell.array for _, atoms in frames]),
            np.stack([atoms.get_scaled_positions(wrap=False) for _, atoms in frames]),
            self._last.numbers.astype(np.int16),
        )
