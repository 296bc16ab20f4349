"""S.U.N.: the share of crystals that are stable, unique and novel after relaxation.

The name stands for several numbers. Each definition here says what is divided by what, and in which
order the three are asked:

- ``mattergen`` (Zeni et al., Nature 639, 624, 2025): of all crystals generated, those that are
  stable, are the first of their duplicates among all generated, and match no reference. Its own
  threshold is 0.1 eV/atom.
- ``lemat`` (LeMat-GenBench): only valid crystals count at all; of these the stable, of the stable
  the first of their duplicates, of those the novel. 0 eV/atom is its SUN, 0.1 its MetaSUN. Validity
  asks here for SMACT's charge balance, distances, and mass and number densities.
- ``wyformer`` (Kazeev et al., ICML 2025): as MatterGen's, and beside it S.S.U.N., which asks
  also for a space group other than P1.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.baselines import Drawn, structure_formula
from explorer.crystals import NamedStructure, gate, spacegroup_of
from explorer.evaluate.checks import is_smact_valid
from explorer.evaluate.distinct import distinct
from explorer.evaluate.matching import time_limit
from explorer.evaluate.pool import spread
from explorer.hull import Hull
from explorer.relax import Relaxer

DEFINITIONS = {
    "mattergen": "stable & first of its duplicates & not in the reference, of all generated",
    "lemat": "valid, then stable, then unique among the stable, then novel, of the valid",
    "wyformer": "stable & first of its duplicates & not in the reference, of all generated; "
    "ssun: also a space group other than P1",
}
"""Name and order of each definition."""
THRESHOLDS = ("0", "0.1")
"""eV/atom above the hull."""
BOND_SCALE, BOND_ROOM = 0.5, 0.7
"""LeMat's shortest distance: 0.5 (r_i + r_j + 0.7) Å, with atomic radii."""
DENSITY = (0.01, 25.0)
"""g/cm³."""
ATOM_DENSITY = (1e-5, 0.5)
"""Atoms/Å³."""
RMSD_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one crystal."""

    initial: Structure | None
    """As generated."""
    relaxed: Structure | None = None
    """After relaxation, None where there is nothing sane."""
    above: float | None = None
    """Energy above the hull, eV/atom, negative below it; None where it could not be placed."""
    reason: str = ""
    """Why it could not be placed."""
    converged: bool = False
    """Whether the relaxation reached its limits of force and stress."""


def outcomes(
    drawn: Sequence[Drawn], relaxer: Relaxer, hull_of: Callable[[str], Hull], tick: Callable
) -> list[Outcome]:
    """Relax every crystal and place it on its hull, in the order of drawing."""
    told = [_gated(one) for one in drawn]
    items = ((k, one.initial) for k, one in enumerate(told) if not one.reason)
    for done, (place, relaxation) in enumerate(relaxer.relax(items), start=1):
        initial, relaxed = told[place].initial, relaxation.structure
        if relaxed is None or relaxation.energy_per_atom is None or gate(relaxed):
            told[place] = Outcome(initial, reason=relaxation.reason or "unsound after relaxation")
        else:
            formula = relaxed.composition.reduced_formula
            point = hull_of(formula).place(formula, relaxation.energy_per_atom, relaxation.level)
            told[place] = Outcome(
                initial, relaxed, point.energy_above_hull, point.reason, relaxation.converged
            )
        tick(f"relaxed {done}/{len(told)}")
    return told


def refuse_definition(definition: str) -> None:
    """Raise ValueError for what is no definition."""
    if definition not in DEFINITIONS:
        names = ", ".join(DEFINITIONS)
        raise ValueError(f"expected a definition of {names}, got {definition!r}")


def evaluate_sun(
    told: Sequence[Outcome],
    known: Sequence[NamedStructure],
    *,
    definition: str = "mattergen",
    workers: int | None = None,
) -> dict[str, Any]:
    """Count the stable, unique and novel among relaxed crystals.

    Parameters
    ----------
    told : sequence of Outcome
        One for each crystal generated, failures included.
    known : sequence of NamedStructure
        The reference that novelty is told against.
    definition : str
        One of `DEFINITIONS`.

    Returns
    -------
    dict
        ``definition`` and its ``order``; ``n``, the denominator; ``stable`` and ``sun`` by
        threshold, ``unique`` and ``novel`` as fractions of n, with the ``counts`` that they are
        made of; ``ssun`` for ``wyformer``; ``rmsd``, mean distance in Å per atom between a crystal
        as generated and relaxed, over ``n_rmsd`` crystals that still match; ``relaxed``,
        ``converged`` and ``reasons`` of what could not be placed.

    Raises
    ------
    ValueError
        If there is no crystal, or no such definition.
    """
    refuse_definition(definition)
    if not told:
        raise ValueError("expected at least one crystal to judge, got none")
    began = time.monotonic()
    counted = [one for one in told if definition != "lemat" or is_valid(one.initial)]
    n = len(counted)
    relaxed = [Drawn(k, given=one.relaxed) for k, one in enumerate(counted)]
    verdicts = distinct(relaxed, known, workers)
    above = np.array([np.inf if one.above is None else one.above for one in counted])
    counts: dict[str, Any] = {"generated": len(told), "denominator": n}
    counts["unique"], counts["novel"] = int(verdicts.unique.sum()), int(verdicts.novel.sum())
    counts |= {"stable": {}, "sun": {}}
    symmetric = np.array([_symmetric(one.relaxed) for one in counted], bool)
    if definition == "wyformer":
        counts["ssun"] = {}
    for threshold in THRESHOLDS:
        stable = above <= float(threshold)
        unique = (
            _unique_within(relaxed, stable, workers) if definition == "lemat" else verdicts.unique
        )
        sun = stable & unique & verdicts.novel
        counts["stable"][threshold], counts["sun"][threshold] = int(stable.sum()), int(sun.sum())
        if definition == "wyformer":
            counts["ssun"][threshold] = int((sun & symmetric).sum())
    report = {"definition": definition, "order": DEFINITIONS[definition], "n": n}
    report |= {name: _shares(counts[name], n) for name in counts if name not in _SIZES}
    report |= {"counts": counts} | _rmsd(counted, workers)
    report["relaxed"] = sum(one.relaxed is not None for one in told)
    report["converged"] = sum(one.converged for one in told)
    report["reasons"] = dict(Counter(one.reason for one in told if one.above is None))
    report["comparisons_given_up"] = verdicts.given_up
    return report | {"seconds_matching": round(time.monotonic() - began, 1)}


_SIZES = ("generated", "denominator")


def is_valid(structure: Structure | None) -> bool:
    """Whether a crystal as generated passes the filter of the ``lemat`` definition."""
    if structure is None or not is_smact_valid(structure_formula(structure)):
        return False
    atom_density = len(structure) / structure.volume
    dense = DENSITY[0] <= structure.density <= DENSITY[1]
    return dense and ATOM_DENSITY[0] <= atom_density <= ATOM_DENSITY[1] and _bonds_apart(structure)


def _bonds_apart(structure: Structure) -> bool:
    radii = np.array([float(site.specie.atomic_radius or 0.0) for site in structure])
    cutoff = BOND_SCALE * (2 * float(radii.max()) + BOND_ROOM)
    first, second, _, apart = structure.get_neighbor_list(cutoff, exclude_self=True)
    return bool((apart >= BOND_SCALE * (radii[first] + radii[second] + BOND_ROOM)).all())


def _gated(one: Drawn) -> Outcome:
    """Hold back what no potential should see."""
    structure = one.structure
    if structure is None:
        return Outcome(None, reason=one.reason or "no crystal")
    reason = gate(structure)
    return Outcome(None if reason else structure, reason=reason)


def _unique_within(relaxed: Sequence[Drawn], chosen: np.ndarray, workers: int | None) -> np.ndarray:
    """Which of the chosen crystals are the first of their duplicates among the chosen, (n,)."""
    places = np.flatnonzero(chosen)
    unique = np.zeros(len(relaxed), bool)
    if len(places):
        unique[places] = distinct([relaxed[k] for k in places], None, workers).unique
    return unique


def _symmetric(structure: Structure | None) -> bool:
    return structure is not None and (spacegroup_of(structure) or 1) > 1


def _shares(counted: int | dict[str, int], n: int) -> Any:
    """Counts as fractions; None without a denominator."""
    if isinstance(counted, dict):
        return {key: _shares(value, n) for key, value in counted.items()}
    return counted / n if n else None


def _rmsd(told: Sequence[Outcome], workers: int | None) -> dict[str, Any]:
    pairs = [(one.initial, one.relaxed) for one in told if one.relaxed is not None]
    tasks = [(pairs[k : k + 16],) for k in range(0, len(pairs), 16)]
    found = [d for some in spread(distances_moved, tasks, workers) for d in some if d is not None]
    return {"rmsd": float(np.mean(found)) if found else None, "n_rmsd": len(found)}


def distances_moved(pairs: Sequence[tuple[Structure, Structure]]) -> list[float | None]:
    """Root mean square distance between two crystals, Å per atom; None where they do not match."""
    return list(_moved(pairs))


def _moved(pairs: Sequence[tuple[Structure, Structure]]) -> Iterator[float | None]:
    matcher = StructureMatcher()
    for initial, relaxed in pairs:
        try:
            with time_limit(RMSD_SECONDS):
                found = matcher.get_rms_dist(initial, relaxed)
        except TimeoutError:
            found = None
        spacing = (relaxed.volume / len(relaxed)) ** (1 / 3)
        yield None if found is None else float(found[0] * spacing)
