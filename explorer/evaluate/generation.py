"""Validity, symmetry, uniqueness and novelty of drawn crystals, before any relaxation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.crystals import gate, min_distance, read_structures, to_structure
from explorer.evaluate.pool import spread
from explorer.evaluate.retrieval import MATCHING
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.crystal import WyckoffCrystal
from model.sample import sample
from model.wyckoff import table

SYMPREC = 0.1
"""Å; spglib's tolerance."""


def evaluate_generation(
    loaded: LoadedNetwork,
    constraints: Constraints,
    *,
    n: int = 1000,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    known: Path | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Draw crystals and count what is right with them.

    Parameters
    ----------
    known : Path, optional
        Structure file; crystals that match none of it count as novel.

    Returns
    -------
    dict
        Fractions of the ``n`` drawn: ``decodable``, ``elements_kept``, ``spacegroup_kept`` (spglib
        finds the asked group or a supergroup), ``spacegroup_exact``, ``no_collision_0.5``,
        ``no_collision_0.7``; ``unique`` and ``novel`` are fractions of the n drawn too, with those
        that fail the gate counted as neither; ``seconds_sampling``.
    """
    began = time.monotonic()
    options = {"temperature": temperature, "top_p": top_p, "batch_size": 256}
    draws = list(sample(loaded, constraints, seed=seed, count=n, **options))
    seconds = time.monotonic() - began
    crystals = [draw.crystal for draw in draws if draw.crystal is not None]
    chunks = [(list(crystals[k::16]), constraints.elements) for k in range(16)]
    checks = np.concatenate(list(spread(check_crystals, chunks, workers)) or [np.zeros((0, 5))])
    names = ("elements_kept", "spacegroup_kept", "spacegroup_exact", "no_collision_0.5",
             "no_collision_0.7")  # fmt: skip
    told: dict[str, Any] = {"n": n, "decodable": len(crystals) / n}
    told |= {name: float(checks[:, k].sum()) / n for k, name in enumerate(names)}
    told |= _distinct(crystals, known, n, workers)
    told["seconds_sampling"] = round(seconds, 2)
    told["crystals_per_second"] = round(n / seconds, 1)
    told["asked"] = {
        "generator": loaded.checkpoint_id,
        "constraints": constraints.to_dict(),
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
    }
    return told


def check_crystals(crystals: Sequence[WyckoffCrystal], elements: tuple[str, ...]) -> np.ndarray:
    """Elements kept, group kept, group exact, no pair below 0.5 Å and 0.7 Å, (K, 5) bool."""
    return np.array([_check(crystal, elements) for crystal in crystals], bool).reshape(-1, 5)


def group_or_supergroup(structure: Structure, spacegroup: int) -> tuple[bool, bool]:
    """Whether spglib finds a group that holds the asked one, and whether it is exactly that one.

    A supergroup has a whole multiple of the asked group's operations per primitive cell.
    """
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=SYMPREC)
    if found is None:
        return False, False
    centering = table().centering[spacegroup - 1]
    asked = len(table().group_operations(spacegroup)) // int(centering)
    # operations per primitive cell; a smaller true cell brings in lattice translations
    kept = len(found.rotations) % asked == 0
    return kept, kept and int(found.number) == spacegroup


def _check(crystal: WyckoffCrystal, elements: tuple[str, ...]) -> tuple[bool, ...]:
    structure = to_structure(crystal)
    shortest = min_distance(structure)
    finite = bool(np.isfinite(structure.frac_coords).all())
    kept, exact = group_or_supergroup(structure, crystal.spacegroup) if finite else (False, False)
    right = not elements or set(crystal.elements) <= set(elements)
    return right, kept, exact, shortest >= 0.5, shortest >= 0.7


def _distinct(
    crystals: Sequence[WyckoffCrystal], known: Path | None, n: int, workers: int | None
) -> dict[str, float]:
    """Shares that equal no earlier crystal, and no known one."""
    by_formula: dict[str, list[Structure]] = {}
    for crystal in crystals:
        structure = to_structure(crystal)
        if not gate(structure):
            by_formula.setdefault(structure.reduced_formula, []).append(structure)
    pool: dict[str, list[Structure]] = {}
    for _, structure in read_structures(known) if known else []:
        if structure.reduced_formula in by_formula:
            pool.setdefault(structure.reduced_formula, []).append(structure)
    tasks = [(drawn, pool.get(formula, [])) for formula, drawn in by_formula.items()]
    counts = np.array(list(spread(count_distinct, tasks, workers)) or [(0, 0)])
    told = {"unique": float(counts[:, 0].sum()) / n}
    return told | ({"novel": float(counts[:, 1].sum()) / n} if known else {})


def count_distinct(drawn: Sequence[Structure], known: Sequence[Structure]) -> tuple[int, int]:
    """Count crystals of one formula that equal no earlier one, and no known one."""
    matcher = StructureMatcher(**MATCHING)
    kept: list[Structure] = []
    novel = 0
    for structure in drawn:
        if not any(matcher.fit(structure, earlier) for earlier in kept):
            kept.append(structure)
        novel += not any(matcher.fit(structure, phase) for phase in known)
    return len(kept), novel
