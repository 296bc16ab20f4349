"""Gradient-boosted decision trees that tell how likely a crystal is to lie near the hull.

They read numbers instead of a row of tokens: what the periodic table tells of the composition, the
size of cell and atoms, and the facts of `model.facts`. Their mistakes are others than those of the
stability networks, so the mean of both ranks crystals better than either (Friedman, Annals of
Statistics 29, 1189, 2001; grown by scikit-learn's histogram gradient boosting).

The file beside the weights is written by ``python -m explorer.prepare trees`` and holds plain
arrays, no code.

Letters in shapes: B crystals, I numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.boosted import Trees, measure_composition
from model.crystal import CENTERING_BASIS, WyckoffCrystal, lattice_vectors
from model.elements import atomic_number, elements
from model.facts import Fact
from model.phases import describe
from model.wyckoff import table

FILE = "stability-trees.npz"


def measure(crystals: Sequence[WyckoffCrystal], facts: np.ndarray) -> np.ndarray:
    """Return the numbers that the trees read, (B, I); NaN where something is not known.

    Parameters
    ----------
    crystals : sequence of WyckoffCrystal
    facts : ndarray, shape (B, F)
        What `model.facts.facts_of` tells of them.
    """
    rows = [
        np.concatenate([_of_composition(crystal), _of_facts(known), _of_cell(crystal)])
        for crystal, known in zip(crystals, facts, strict=True)
    ]
    return np.array(rows, np.float32) if rows else np.zeros((0, 0), np.float32)


def _of_composition(crystal: WyckoffCrystal) -> np.ndarray:
    """What the periodic table tells of the composition."""
    pairs = describe(crystal).composition
    z = np.array([number for number, _ in pairs])
    share = np.array([count for _, count in pairs], float)
    return measure_composition(z, share / share.sum())


def _of_facts(known: np.ndarray) -> np.ndarray:
    """Facts, and the differences of energies among them."""
    known = np.where(np.isfinite(known), known, np.nan)
    if not known[Fact.NEIGHBOURS]:
        known[Fact.DISTANCE :] = np.nan
    others = known[[Fact.SIDES, Fact.POLYMORPH, Fact.THEIR_ENERGY]]
    return np.concatenate([known, others - known[Fact.HULL]])


def _of_cell(crystal: WyckoffCrystal) -> np.ndarray:
    """Space group, sites, atoms, volume and share filled by atoms, shape of the primitive cell."""
    centering = str(table().symbol[crystal.spacegroup - 1])[0]
    lattice = np.array(CENTERING_BASIS[centering]) @ lattice_vectors(*crystal.lattice)
    volume = abs(np.linalg.det(lattice))
    radii = elements().covalent_radius
    balls = sum(n * radii[atomic_number(e) - 1] ** 3 for e, n in crystal.composition.items())
    short, middle, long = np.sort(np.linalg.norm(lattice, axis=1))
    size = (len(crystal.sites), crystal.n_atoms, volume / crystal.n_atoms)
    filled = 4 / 3 * np.pi * balls / volume
    return np.array([crystal.spacegroup, *size, filled, middle / short, long / short])


def save_trees(trees: Trees, folder: Path) -> None:
    """Write trees beside the weights of a drawing network."""
    partial = folder / f".{FILE}"
    np.savez_compressed(partial, **vars(trees))
    partial.replace(folder / FILE)


def load_trees(folder: Path) -> Trees | None:
    """Read the trees beside the weights of a drawing network; None without.

    Raises
    ------
    ValueError, KeyError
        If the file holds anything else.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return Trees.of(stored)
