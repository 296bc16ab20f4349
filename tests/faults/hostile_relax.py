"""Relax what hostile files held with the real potential: nothing broken may come out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hostile_checks import wrong_message, wrong_structure
from pymatgen.core import Structure

from explorer.candidate import Relaxation
from explorer.dft_hull import competing_phases
from explorer.hull import Hull
from explorer.potentials import potential
from explorer.references import ReferencePhases
from explorer.relax import Relaxer

STEPS, SECONDS = 40, 20.0
FURTHEST_BELOW = -0.5
"""eV/atom: a crystal so far below the hull of known phases is no discovery but an error."""


def relaxed(structures: Sequence[Structure]) -> tuple[Counter[str], list[str]]:
    """Relax structures; returns how many converged and failed, and what must never be seen."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with Relaxer(potential("chgnet"), workers=1, max_steps=STEPS, max_seconds=SECONDS) as relaxer:
        relaxer.warm_up()
        for place, result in relaxer.relax(enumerate(structures)):
            counts["converged" if result.converged else "failed"] += 1
            found = _wrong(structures[place], result)
            wrong += [f"relaxation {place} ({structures[place].formula[:40]}): {w}" for w in found]
    counts["lost"] = len(structures) - sum(counts.values())
    return counts, wrong + ["a structure got no verdict"] * counts["lost"]


def _wrong(given: Structure, result: Relaxation) -> list[str]:
    """Judge one relaxation."""
    if not result.converged:
        return list(wrong_message(result.reason))
    wrong = [*wrong_structure(given), *wrong_structure(result.structure)]
    numbers = [[result.energy_per_atom], result.forces, result.stress]
    if not all(np.isfinite(some).all() for some in numbers):
        wrong.append("converged without finite energy, forces and stress")
    above = _above_hull(result)
    if above is not None and not above > FURTHEST_BELOW:
        wrong.append(f"a false stable crystal, {above:.2f} eV/atom above the hull")
    return [f"converged, but {what}" for what in wrong]


def _above_hull(result: Relaxation) -> float | None:
    structure = result.structure
    known = competing_phases(ReferencePhases.shipped(sorted(structure.symbol_set)), "auto")
    formula = structure.composition.element_composition.reduced_formula
    return Hull(known).place(formula, result.energy_per_atom, result.level).energy_above_hull
