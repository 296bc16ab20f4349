"""Known phases found again: the elements of a chemical system in, distinct targets matched out.

For each system n crystals are drawn with nothing but its elements given, in order, and compared,
as drawn, with the targets by pymatgen's StructureMatcher. Recall is pooled over all targets of all
systems; its interval comes from drawing systems anew (bootstrap), since targets of one system are
not independent. What limits recall can be told too: whether the target's formula, its formula and
space group, and its Wyckoff skeleton were drawn, each without a look at coordinates. And what
recall becomes once crystals are relaxed: of those that have the formula of a target which none
matches as drawn; no others could.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from explorer.baselines import Drawn, Formula, structure_formula
from explorer.crystals import NamedStructure, gate
from explorer.encode import EncodingError, encode
from explorer.evaluate.matching import MATCHING, Same, reduced
from explorer.evaluate.pool import spread
from explorer.prototypes import Skeleton, skeleton
from explorer.targets import own_names, with_hull_energy

if TYPE_CHECKING:
    from explorer.relax import Relaxer

BUDGETS = (100, 500, 1000, 2000)
"""Crystals drawn at which recall is told."""
LEVELS = ("formula", "formula_spacegroup", "skeleton")
"""What can be drawn of a target without its coordinates."""

DrawSystem = Callable[[str], Iterable[Drawn]]
"""From a chemical system such as ``Al-Ca-Cu`` to its crystals, in order."""


@dataclass(frozen=True)
class Target:
    """A phase to be found again."""

    name: str
    """Its id in the file."""
    formula: Formula
    """Reduced formula."""
    structure: Structure
    """As published."""


Task = tuple[str, list[Target], list[Drawn], int, bool]
"""A system, its targets, crystals with one's formula, how many were drawn; levels wanted?"""


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
    levels: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same for each of `LEVELS`, where that was asked."""
    given_up: int = 0
    """Comparisons that took too long; they count as different."""


def evaluate_retrieval(
    targets: Path,
    draw: DrawSystem,
    *,
    systems: Path | None = None,
    n: int = 2000,
    max_e_above_hull: float = 0.02,
    skeletons: bool = False,
    relaxer: Relaxer | None = None,
    workers: int | None = None,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Draw crystals for each system and count the targets that they match.

    Parameters
    ----------
    targets : Path
        Structure file; where it has a column ``e_above_hull`` (eV/atom), phases up to
        ``max_e_above_hull`` count.
    draw : callable
        Draws the crystals of a system; only the first ``n`` count.
    systems : Path, optional
        JSON list of systems, or an object with the key ``ternary_systems``; by default the systems
        of the targets.
    skeletons : bool
        Whether to tell also how many formulas, groups and skeletons were drawn.
    relaxer : Relaxer, optional
        Relaxes crystals for another look at targets that none matches as drawn.

    Returns
    -------
    dict
        ``n_targets``, ``pooled`` recall by budget, ``interval`` (95 %, at the largest budget),
        ``relaxed`` if asked for, with both as drawn or relaxed,
        ``systems``, ``targets_left_out`` of the file by reason, ``systems_without_targets`` of
        those asked for, which count nothing,
        ``skeletons`` if asked for, ``seconds_sampling``, ``seconds_matching``.

    Raises
    ------
    ValueError
        If there are no targets.
    """
    asked = None if systems is None else read_systems(systems)
    wanted, left_out = _targets_by_system(targets, max_e_above_hull, asked)
    if not wanted:
        raise ValueError(f"{targets} holds no phase of the systems asked for; nothing to find")
    began = time.monotonic()
    tasks = []
    for place, (system, phases) in enumerate(wanted.items(), start=1):
        progress(f"{system} ({place}/{len(wanted)}): up to {n} crystals")
        drawn = [one for one, _ in zip(draw(system), range(n), strict=False)]
        formulas = {target.formula for target in phases}
        worth = [one for one in drawn if one.formula in formulas]
        tasks.append((system, phases, worth, len(drawn), skeletons))
    sampled = time.monotonic()
    found = sorted(spread(find_targets, tasks, workers), key=lambda f: f.system)
    told = _report(found, n)
    if relaxer is not None:
        told["relaxed"] = _once_relaxed(found, tasks, relaxer, workers, n, progress)
    if skeletons:
        told["skeletons"] = {level: _pooled(found, n, level) for level in LEVELS}
    told["targets_left_out"] = left_out
    told["systems_without_targets"] = sorted((asked or set()) - set(wanted))
    told["seconds_sampling"] = round(sampled - began, 1)
    told["seconds_matching"] = round(time.monotonic() - sampled, 1)
    told["comparisons_given_up"] = sum(f.given_up for f in found)
    return told | {"matching": MATCHING}


def find_targets(
    system: str,
    targets: Sequence[Target],
    crystals: Sequence[Drawn],
    drawn: int,
    skeletons: bool = False,
) -> Found:
    """Compare crystals, in order, with the targets that are not found yet.

    Parameters
    ----------
    crystals : sequence of Drawn
        Those that have a target's formula, of all that were ``drawn``.
    """
    same, first = Same(), {}
    waiting: dict[Formula, list] = defaultdict(list)
    for target in targets:
        waiting[target.formula].append((target, reduced(target.structure)))
    for one in crystals:
        rivals = waiting[one.formula]
        structure = one.structure if rivals else None
        cell = None if structure is None or gate(structure) else reduced(structure)
        if cell is None:
            continue
        for rival in list(rivals):
            if rival[1] is not None and same(rival[1], cell):
                first[rival[0].name] = one.index + 1
                rivals.remove(rival)
    names = tuple(target.name for target in targets)
    levels = first_by_level(targets, crystals) if skeletons else {}
    return Found(system, names, drawn, first, levels, same.given_up)


def first_by_level(
    targets: Sequence[Target], crystals: Sequence[Drawn]
) -> dict[str, dict[str, int]]:
    """Number of the first crystal with each target's formula, also group, also skeleton."""
    told: dict[str, dict[str, int]] = {level: {} for level in LEVELS}
    keys = {target.name: _skeleton_of(Drawn(0, given=target.structure)) for target in targets}
    for one in crystals:
        alike = [target for target in targets if target.formula == one.formula]
        open_ = [target for target in alike if target.name not in told["skeleton"]]
        for target in alike:
            told["formula"].setdefault(target.name, one.index + 1)
        drawn = _skeleton_of(one, {keys[t.name][0] for t in open_ if keys[t.name]})
        for target in open_:
            wanted = keys[target.name]
            if drawn is not None and wanted is not None and wanted[0] == drawn[0]:
                told["formula_spacegroup"].setdefault(target.name, one.index + 1)
                if wanted == drawn:
                    told["skeleton"][target.name] = one.index + 1
    return told


def _skeleton_of(one: Drawn, groups: set[int] | None = None) -> Skeleton | None:
    """Skeleton of a crystal, None if it has none or its group is not among those given."""
    if groups is not None and not groups:
        return None
    crystal = one.crystal
    if crystal is None:
        if one.given is None or gate(one.given):
            return None
        try:
            crystal = encode(one.given)
        except EncodingError:
            return None
    wanted = groups is None or crystal.spacegroup in groups
    return skeleton(crystal) if wanted else None


def _targets_by_system(
    path: Path, max_e_above_hull: float, systems: set[str] | None
) -> tuple[dict[str, list[Target]], dict[str, int]]:
    """Targets of each system, systems in alphabetical order, and why others are none."""
    by_system: dict[str, list[Target]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    listed = list(with_hull_energy(path))
    named = own_names(NamedStructure(name, structure) for name, structure, _ in listed)
    for (name, structure), (_, _, energy) in zip(named, listed, strict=True):
        system = structure.chemical_system
        far = np.isfinite(energy) and energy > max_e_above_hull
        reason = f"farther than {max_e_above_hull:g} eV/atom from the hull" if far else ""
        if systems is not None and system not in systems:
            reason = "of another system"
        if reason := reason or gate(structure):
            left_out[reason] += 1
        else:
            by_system[system].append(Target(name, structure_formula(structure), structure))
    return dict(sorted(by_system.items())), dict(left_out.most_common())


def read_systems(path: Path) -> set[str]:
    """Chemical systems of a JSON file; ValueError when it holds none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
        listed = read["ternary_systems"] if isinstance(read, dict) else read
        return {"-".join(sorted(text.split("-"))) for text in listed}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'expected a JSON list of systems such as ["Al-Ca-Cu"] in {path}: {error!r}'
        ) from None


def _once_relaxed(
    found: Sequence[Found],
    tasks: Sequence[Task],
    relaxer: Relaxer,
    workers: int | None,
    n: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Relax what has the formula of a target that is not found yet, and look again."""
    again, waiting = [], {}
    by_system = {one.system: one for one in found}
    for system, phases, worth, drawn, _ in tasks:
        missing = [target for target in phases if target.name not in by_system[system].first]
        formulas = {target.formula for target in missing}
        again.append((system, missing, drawn))
        for one in worth:
            if one.formula in formulas and one.structure is not None:
                waiting[system, one.index] = one.structure
    relaxed: dict[str, list[Drawn]] = defaultdict(list)
    for count, ((system, index), outcome) in enumerate(relaxer.relax(waiting.items()), start=1):
        progress(f"relaxed {count}/{len(waiting)}")
        if outcome.converged:
            relaxed[system].append(Drawn(index, given=outcome.structure))
    looked = [
        (system, missing, sorted(relaxed[system], key=lambda one: one.index), drawn)
        for system, missing, drawn in again
    ]
    later = {one.system: one.first for one in spread(find_targets, looked, workers)}
    told = [replace(one, first=one.first | later[one.system]) for one in found]
    return {
        "potential": str(relaxer.potential.level),
        "relaxations": len(waiting),
        "converged": sum(map(len, relaxed.values())),
        "pooled": _pooled(told, n),
        "interval": _interval(told, n),
        "first": {system: first for system, first in later.items() if first},
    }


def _interval(found: Sequence[Found], n: int) -> list[float]:
    """Bounds of 95 % of the recalls of systems that are drawn anew."""
    hits = np.array([_within(f.first, n) for f in found])
    sizes = np.array([len(f.targets) for f in found])
    rng = np.random.default_rng(0)
    resampled = rng.integers(len(found), size=(2000, len(found)))
    recalls = hits[resampled].sum(axis=1) / sizes[resampled].sum(axis=1)
    return [round(float(q), 4) for q in np.quantile(recalls, [0.025, 0.975])]


def _report(found: Sequence[Found], n: int) -> dict[str, Any]:
    """Pooled recall at each budget, its interval, and each system's counts."""
    budgets = _budgets(n)
    return {
        "n_targets": sum(len(f.targets) for f in found),
        "pooled": _pooled(found, n),
        "interval": _interval(found, n),
        "systems": {
            f.system: {
                "targets": len(f.targets),
                "drawn": f.drawn,
                "found": {str(budget): _within(f.first, budget) for budget in budgets},
                "first": f.first,
            }
            | ({"levels": f.levels} if f.levels else {})
            for f in found
        },
    }


def _pooled(found: Sequence[Found], n: int, level: str | None = None) -> dict[str, float]:
    """Share of all targets at each budget: matched, or drawn at one of `LEVELS`."""
    total = sum(len(f.targets) for f in found)
    count = partial(_all_within, found, level)
    return {str(budget): round(count(budget) / total, 4) for budget in _budgets(n)}


def _all_within(found: Sequence[Found], level: str | None, budget: int) -> int:
    return sum(_within(f.first if level is None else f.levels[level], budget) for f in found)


def _budgets(n: int) -> list[int]:
    return [budget for budget in BUDGETS if budget < n] + [n]


def _within(first: dict[str, int], budget: int) -> int:
    return sum(number <= budget for number in first.values())
