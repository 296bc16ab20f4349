"""Unique and novel crystals: which equal no earlier one, and which no known one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from explorer.baselines import Drawn, Formula, structure_formula
from explorer.crystals import NamedStructure, gate
from explorer.evaluate.matching import Reduced, Same, reduced
from explorer.evaluate.pool import spread


@dataclass(frozen=True)
class Distinct:
    """Verdicts on each of n crystals; one that fails the gate is neither unique nor novel."""

    unique: np.ndarray
    """Equals no earlier crystal, (n,) bool."""
    novel: np.ndarray | None
    """Equals no known structure, (n,) bool; None where none are given."""
    given_up: int
    """Comparisons that took too long; they count as different."""


def distinct(
    drawn: Sequence[Drawn], known: Iterable[NamedStructure] | None, workers: int | None = None
) -> Distinct:
    """Compare crystals among each other and with known ones, formula by formula."""
    by_formula: dict[Formula, list[int]] = defaultdict(list)
    for place, one in enumerate(drawn):
        formula = one.formula if one.given is None or one.given.is_ordered else None
        if formula is not None:
            by_formula[formula].append(place)
    pool: dict[Formula, list[Structure]] = defaultdict(list)
    for _, structure in known or ():
        formula = structure_formula(structure) if structure.is_ordered else None
        if formula in by_formula:
            pool[formula].append(structure)
    tasks = [
        (places, [drawn[k] for k in places], pool.get(formula, []))
        for formula, places in by_formula.items()
    ]
    batches = [(tasks[k::64],) for k in range(min(64, len(tasks)))]
    verdicts = np.zeros((len(drawn), 2), bool)
    given_up = 0
    for places, found, unfinished in spread(_judge_batch, batches, workers):
        verdicts[places] = found
        given_up += unfinished
    return Distinct(verdicts[:, 0], None if known is None else verdicts[:, 1], given_up)


def _judge_batch(tasks: list[tuple]) -> tuple[list[int], np.ndarray, int]:
    """Judge several formulas."""
    judged = [(places, *judge(crystals, known)) for places, crystals, known in tasks]
    places = [place for some, _, _ in judged for place in some]
    return places, np.concatenate([found for _, found, _ in judged]), sum(u for *_, u in judged)


def judge(drawn: Sequence[Drawn], known: Sequence[Structure]) -> tuple[np.ndarray, int]:
    """Whether each crystal of one formula is unique and novel, (k, 2), and how much was given up.

    A crystal that cannot be reduced equals nothing, and is neither.
    """
    same = Same()
    phases = [cell for cell in map(reduced, known) if cell is not None]
    kept: list[Reduced] = []
    verdicts = np.zeros((len(drawn), 2), bool)
    for place, one in enumerate(drawn):
        structure = one.structure
        cell = None if gate(structure) else reduced(structure)
        if cell is None:
            continue
        verdicts[place] = not same.any(cell, kept), not same.any(cell, phases)
        if verdicts[place, 0]:
            kept.append(cell)
    return verdicts, same.given_up
