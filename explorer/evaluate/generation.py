"""Validity, symmetry, uniqueness and novelty of drawn crystals, before any relaxation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explorer.baselines import Drawn
from explorer.crystals import NamedStructure, gate, read_structures
from explorer.evaluate.checks import Check, check_all
from explorer.evaluate.distances import describe, distances
from explorer.evaluate.distinct import distinct
from explorer.evaluate.pool import spread
from model.spacegroups import crystal_system

MAX_REFERENCE = 5000
"""Reference structures that distributions are made of, drawn at random from a larger file."""
CHECKS = {
    "elements_kept": "elements_kept",
    "spacegroup_kept": "spacegroup_kept",
    "spacegroup_exact": "spacegroup_exact",
    "no_collision_0.5": "apart_05",
    "no_collision_0.7": "apart_07",
    "smact_valid": "smact_valid",
    "comparable": "gated",
}
"""Name in the report, name of the verdict."""


def evaluate_generation(
    drawn: Sequence[Drawn],
    *,
    elements: tuple[str, ...] = (),
    reference: Path | None = None,
    seconds_sampling: float | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> dict[str, Any]:
    """Count what is right with drawn crystals.

    Parameters
    ----------
    elements : tuple of str
        What was asked for.
    reference : Path, optional
        Structure file; crystals that match none of it count as novel, and distributions are
        compared with its crystals.
    seed : int
        Of the choice among the reference's crystals.

    Returns
    -------
    dict
        ``n`` and fractions of the ``n`` drawn: ``decodable`` (``not_decodable`` says why not),
        ``elements_kept``,
        ``spacegroup_kept`` (spglib finds the asked group or a supergroup), ``spacegroup_exact``,
        ``no_collision_0.5``, ``no_collision_0.7``, ``smact_valid``,
        ``comparable`` (fit for a matcher), ``unique``, ``novel``;
        ``distances`` of distributions; ``seconds_sampling``; ``by_crystal_system``; ``reasons`` of
        the values that are None.

    Raises
    ------
    ValueError
        If nothing was drawn.
    """
    if not drawn:
        raise ValueError("expected at least one crystal to judge, got none")
    n, known = len(drawn), read_structures(reference) if reference else None
    if known is not None and all(gate(structure) for _, structure in known):
        raise ValueError(
            f"{reference} holds no crystal to compare with, the first: {gate(known[0].structure)}"
        )
    checks = _spread_checks(drawn, elements, workers)
    told: dict[str, Any] = {"n": n, "decodable": _share(d.reason == "" for d in drawn)}
    told |= {name: _share(getattr(c, field) for c in checks) for name, field in CHECKS.items()}
    verdicts = distinct(drawn, known, workers)
    told["unique"] = float(verdicts.unique.mean())
    told["novel"] = None if verdicts.novel is None else float(verdicts.novel.mean())
    told["distances"] = _distances(checks, known, seed, workers)
    told["not_decodable"] = dict(Counter(d.reason for d in drawn if d.reason).most_common(20))
    told["seconds_sampling"] = None if seconds_sampling is None else round(seconds_sampling, 2)
    told["by_crystal_system"] = by_crystal_system(checks)
    told["comparisons_given_up"] = verdicts.given_up
    return _with_reasons(told, drawn, elements)


def by_crystal_system(checks: Sequence[Check]) -> dict[str, dict[str, Any]]:
    """Rates in each crystal system of the group asked for, or found where none was asked.

    ``valid`` is CDVAE's: no pair below 0.5 Å and a valid composition.
    """
    grouped: dict[str, list[Check]] = {}
    for one in checks:
        group = one.asked or one.spacegroup
        grouped.setdefault(crystal_system(group) if group else "unknown", []).append(one)
    return {
        system: {"n": len(some)}
        | {name: _share(getattr(c, field) for c in some) for name, field in CHECKS.items()}
        | {"valid": _share(c.apart_05 and c.smact_valid for c in some)}
        for system, some in sorted(grouped.items())
    }


def _spread_checks(
    drawn: Sequence[Drawn], elements: tuple[str, ...], workers: int | None
) -> list[Check]:
    """Check all crystals, in their order."""
    size = 32
    tasks = [(drawn[k : k + size], elements) for k in range(0, len(drawn), size)]
    return [check for some in spread(check_all, tasks, workers, ordered=True) for check in some]


def _distances(
    checks: Sequence[Check], known: Sequence[NamedStructure] | None, seed: int, workers: int | None
) -> dict[str, Any] | None:
    """Distances from the reference; None without one, or without a crystal to compare."""
    if known is None or not any(c.gated and c.spacegroup for c in checks):
        return None
    structures = [structure for _, structure in known]
    if len(structures) > MAX_REFERENCE:
        chosen = np.random.default_rng(seed).choice(len(structures), MAX_REFERENCE, replace=False)
        structures = [structures[k] for k in np.sort(chosen)]
    tasks = [(structures[k : k + 64],) for k in range(0, len(structures), 64)]
    described = [one for some in spread(describe, tasks, workers) for one in some]
    return distances(checks, described) | {"n_reference": len(described)}


def _with_reasons(
    told: dict[str, Any], drawn: Sequence[Drawn], elements: tuple[str, ...]
) -> dict[str, Any]:
    """Put None where nothing was asked or given, and say why."""
    asked = any(one.crystal is not None for one in drawn)
    no_reference = "no file of known structures was given: use --reference"
    reasons = {
        "elements_kept": "" if elements else "no elements were asked for",
        "spacegroup_kept": "" if asked else "these crystals name no space group",
        "spacegroup_exact": "" if asked else "these crystals name no space group",
        "novel": no_reference if told["novel"] is None else "",
        "distances": _no_distances(told, no_reference),
        "seconds_sampling": "" if told["seconds_sampling"] is not None else "read from a file",
    }
    reasons = {name: reason for name, reason in reasons.items() if reason}
    for rates in (told, *told["by_crystal_system"].values()):
        rates.update({name: None for name in reasons if name in rates})
    return told | {"reasons": reasons}


def _no_distances(told: dict[str, Any], no_reference: str) -> str:
    if told["distances"] is not None:
        return ""
    return no_reference if told["novel"] is None else "no crystal passes the gate"


def _share(verdicts: Iterable[bool]) -> float:
    return float(np.mean([bool(verdict) for verdict in verdicts]))
