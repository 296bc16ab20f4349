"""Known phases found again: the elements of a chemical system in, distinct targets matched out.

For each system n crystals are drawn with nothing but its elements given, in order, and compared,
as drawn, with the targets by pymatgen's StructureMatcher. Recall is pooled over all targets of all
systems; its interval comes from drawing systems anew (bootstrap), since targets of one system are
not independent.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.crystals import gate, read_structures, to_structure
from explorer.evaluate.pool import spread
from explorer.targets import with_hull_energy
from model.checkpoint import LoadedNetwork
from model.constraints import Constraints
from model.sample import sample

BUDGETS = (100, 500, 1000, 2000)
"""Crystals drawn at which recall is told."""
MATCHING = {"ltol": 0.2, "stol": 0.3, "angle_tol": 5.0}
"""StructureMatcher's tolerances."""


@dataclass(frozen=True)
class Target:
    """A phase to be found again."""

    name: str
    """Its id in the file."""
    formula: str
    """Reduced formula."""
    structure: Structure
    """As published."""


@dataclass(frozen=True)
class Found:
    """What one system's crystals found."""

    system: str
    """Such as ``Al-Ca-Cu``."""
    targets: tuple[str, ...]
    """Names of all targets."""
    drawn: int
    """Crystals drawn."""
    first: dict[str, int]
    """Number of the crystal (from 1) that found each target that was found."""


def evaluate_retrieval(
    targets: Path,
    *,
    systems: Path | None = None,
    n: int = 2000,
    max_e_above_hull: float = 0.02,
    loaded: LoadedNetwork | None = None,
    candidates: Path | None = None,
    stability: str = "low",
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Draw crystals for each system and count the targets that they match.

    Parameters
    ----------
    targets : Path
        Structure file; where it has a column ``e_above_hull`` (eV/atom), phases up to
        ``max_e_above_hull`` count.
    systems : Path, optional
        JSON list of systems, or an object with the key ``ternary_systems``; by default the systems
        of the targets.
    loaded : LoadedNetwork, optional
        Network that draws; not needed with ``candidates``.
    candidates : Path, optional
        Crystals of any generator instead, taken in the order of the file.

    Returns
    -------
    dict
        ``n_targets``, ``pooled`` recall by budget, ``interval`` (95 %, at the largest budget),
        ``systems``, ``seconds_sampling``, ``seconds_matching``, and what was asked.

    Raises
    ------
    ValueError
        If there are no targets, or neither a network nor candidates.
    """
    wanted = _targets_by_system(targets, max_e_above_hull, _systems(systems))
    if not wanted:
        raise ValueError(f"{targets} holds no phase of the systems asked for; nothing to find")
    began = time.monotonic()
    if candidates is not None:
        drawn = _imported(candidates, wanted, n)
    elif loaded is not None:
        options = {"stability": stability, "temperature": temperature, "top_p": top_p}
        drawn = {
            system: list(_drawn(loaded, system, n, seed, progress, **options)) for system in wanted
        }
    else:
        raise ValueError("expected a network or a file of candidates, got neither")
    sampled = time.monotonic()
    tasks = [(system, wanted[system], drawn[system]) for system in wanted]
    found = sorted(spread(find_targets, tasks, workers), key=lambda f: f.system)
    told = _report(found, n)
    told["seconds_sampling"] = round(sampled - began, 1)
    told["seconds_matching"] = round(time.monotonic() - sampled, 1)
    told["asked"] = {
        "generator": str(candidates) if candidates else loaded.checkpoint_id,
        "n": n,
        "max_e_above_hull": max_e_above_hull,
        "stability": stability,
        "temperature": temperature,
        "top_p": top_p,
        "seed": seed,
        "matching": MATCHING,
    }
    return told


def find_targets(
    system: str, targets: Sequence[Target], crystals: Sequence[Structure | None]
) -> Found:
    """Compare crystals, in order, with the targets that are not found yet."""
    matcher = StructureMatcher(**MATCHING)
    waiting: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        waiting[target.formula].append(target)
    first: dict[str, int] = {}
    for number, crystal in enumerate(crystals, start=1):
        if crystal is None or not waiting.get(crystal.reduced_formula) or gate(crystal):
            continue
        rivals = waiting[crystal.reduced_formula]
        for target in [t for t in rivals if matcher.fit(t.structure, crystal)]:
            first[target.name] = number
            rivals.remove(target)
    return Found(system, tuple(t.name for t in targets), len(crystals), first)


def _drawn(
    loaded: LoadedNetwork,
    system: str,
    n: int,
    seed: int,
    progress: Callable[[str], None],
    *,
    stability: str,
    temperature: float,
    top_p: float,
) -> Iterator[Structure | None]:
    """Crystals of one system, None where a row is no crystal."""
    progress(f"drawing {n} crystals of {system}")
    constraints = Constraints.parse(system, stability=stability)
    draws = sample(
        loaded,
        constraints,
        seed=seed,
        count=n,
        temperature=temperature,
        top_p=top_p,
        batch_size=256,
    )
    for draw in draws:
        yield to_structure(draw.crystal) if draw.crystal else None


def _imported(path: Path, wanted: dict[str, list[Target]], n: int) -> dict[str, list[Structure]]:
    """Crystals of a file by system, at most ``n`` each, in the file's order."""
    drawn: dict[str, list[Structure]] = {system: [] for system in wanted}
    for _, structure in read_structures(path):
        system = structure.chemical_system
        if system in drawn and len(drawn[system]) < n:
            drawn[system].append(structure)
    return drawn


def _targets_by_system(
    path: Path, max_e_above_hull: float, systems: set[str] | None
) -> dict[str, list[Target]]:
    """Targets of each system, systems in alphabetical order."""
    by_system: dict[str, list[Target]] = defaultdict(list)
    for name, structure, energy in with_hull_energy(path):
        system = structure.chemical_system
        near = not np.isfinite(energy) or energy <= max_e_above_hull
        if near and (systems is None or system in systems) and not gate(structure):
            by_system[system].append(Target(name, structure.reduced_formula, structure))
    return dict(sorted(by_system.items()))


def _systems(path: Path | None) -> set[str] | None:
    """Chemical systems of a JSON file."""
    if path is None:
        return None
    try:
        read = json.loads(path.read_text())
        listed = read["ternary_systems"] if isinstance(read, dict) else read
        return {"-".join(sorted(text.split("-"))) for text in listed}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'expected a JSON list of systems such as ["Al-Ca-Cu"] in {path}: {error!r}'
        ) from None


def _report(found: Sequence[Found], n: int) -> dict[str, Any]:
    """Pooled recall at each budget, its interval, and each system's counts."""
    budgets = [budget for budget in BUDGETS if budget < n] + [n]
    hits = np.array([[_within(f, budget) for budget in budgets] for f in found])  # (systems, B)
    sizes = np.array([len(f.targets) for f in found])
    rng = np.random.default_rng(0)
    resampled = rng.integers(len(found), size=(2000, len(found)))
    recalls = hits[resampled, -1].sum(axis=1) / sizes[resampled].sum(axis=1)
    pooled = hits.sum(axis=0) / sizes.sum()
    return {
        "n_targets": int(sizes.sum()),
        "pooled": {str(b): round(float(r), 4) for b, r in zip(budgets, pooled, strict=True)},
        "interval": [round(float(q), 4) for q in np.quantile(recalls, [0.025, 0.975])],
        "systems": {
            f.system: {
                "targets": len(f.targets),
                "drawn": f.drawn,
                "found": {str(budget): _within(f, budget) for budget in budgets},
                "first": f.first,
            }
            for f in found
        },
    }


def _within(found: Found, budget: int) -> int:
    return sum(number <= budget for number in found.first.values())
