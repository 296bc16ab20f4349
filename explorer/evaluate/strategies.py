"""Which crystals to relax first: what each order would have found within a budget.

All crystals of a few systems are relaxed once; every order is then judged on the same outcomes. An
order adds up the ranks that crystals have by what is known before any relaxation. Two things count
as found, each once: a target that a crystal equals, and a distinct crystal that ends near the hull.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

SCORES = ("likelihood", "likelihood_per_atom", "stability", "energy")
"""What is known before relaxing, higher first: log p of the model; the same per atom;
the stability score; minus the unrelaxed energy above the hull."""
STRATEGIES: dict[str, tuple[str, ...]] = {
    "drawn": (),
    "likelihood": ("likelihood",),
    "likelihood per atom": ("likelihood_per_atom",),
    "stability": ("stability",),
    "energy": ("energy",),
    "likelihood + energy": ("likelihood", "energy"),
    "stability + energy": ("stability", "energy"),
    "likelihood + stability + energy": ("likelihood", "stability", "energy"),
}
"""Name of each order, and the scores whose ranks it adds up; "drawn" keeps the order of drawing."""
SHUFFLED = "shuffled"
"""Ranks nothing: the mean of random orders, with which the others are compared."""
CRITERIA = ("targets", "near_hull")
LIMITS = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Energies above the hull before the relaxation, eV/atom, up to which crystals may be relaxed."""
SHUFFLES = 200
RESAMPLES = 2000


@dataclass(frozen=True)
class Tried:
    """A crystal that passed the screen: what was known before relaxing it, and what came of it."""

    index: int
    """Its place in the order of drawing."""
    scores: dict[str, float | None]
    """By name of `SCORES`; None where there is none, which comes last."""
    targets: tuple[str, ...] = ()
    """Targets that it equals, as drawn or relaxed."""
    near_hull: str = ""
    """Name of the distinct crystal near the hull that it relaxed into; "" for none."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tried:
        """Rebuild from `to_dict`."""
        return cls(**{**values, "targets": tuple(values["targets"])})

    def finds(self, criterion: str) -> set[str]:
        """What it finds: names of targets, or of the crystal near the hull."""
        return set(self.targets) if criterion == "targets" else {self.near_hull} - {""}


def ordered(tried: Sequence[Tried], strategy: str) -> list[Tried]:
    """Put crystals in the order in which a strategy of `STRATEGIES` relaxes them."""
    drawn = sorted(tried, key=lambda one: one.index)
    ranks = np.zeros(len(drawn))
    for name in STRATEGIES[strategy]:
        ranks += rankdata([_loss(one.scores.get(name)) for one in drawn])
    return [drawn[k] for k in np.argsort(ranks, kind="stable")]


def _loss(score: float | None) -> float:
    return np.inf if score is None or not np.isfinite(score) else -score


def found_within(order: Sequence[Tried], criterion: str) -> np.ndarray:
    """Count distinct finds after each relaxation, (len(order) + 1,), from 0."""
    seen: set[str] = set()
    counts = [0]
    for one in order:
        seen |= one.finds(criterion)
        counts.append(len(seen))
    return np.array(counts)


def shuffled_within(tried: Sequence[Tried], criterion: str, seed: int = 0) -> np.ndarray:
    """Return the mean of `found_within` over random orders, (len(tried) + 1,)."""
    rng = np.random.default_rng(seed)
    orders = ([tried[k] for k in rng.permutation(len(tried))] for _ in range(SHUFFLES))
    return np.mean([found_within(order, criterion) for order in orders], axis=0)


def evaluate_strategies(
    systems: Mapping[str, Sequence[Tried]], budgets: Sequence[int]
) -> dict[str, Any]:
    """Compare orders by what they find within budgets of relaxations for each system.

    Parameters
    ----------
    systems : mapping
        Chemical system to all its crystals that were relaxed.
    budgets : sequence of int
        Relaxations for each system; a system with fewer crystals spends fewer.

    Returns
    -------
    dict
        ``systems`` with their crystals and what all of them find; for each of ``budgets``, each
        criterion and each strategy what was ``found`` with how many ``relaxations``, how much that
        is ``per_100`` with its 95 % ``interval`` (bootstrap over systems), and the ``gain`` over
        shuffled orders with its ``gain_interval``; for each of ``limits`` how many ``relaxations``
        are left when only crystals up to it as drawn are relaxed, and what these find.

    Raises
    ------
    ValueError
        If there is no crystal.
    """
    kept = {name: list(tried) for name, tried in systems.items() if tried}
    if not kept:
        raise ValueError("expected crystals that were relaxed, got none")
    curves = {
        (criterion, strategy): [_curve(tried, strategy, criterion) for tried in kept.values()]
        for criterion in CRITERIA
        for strategy in (SHUFFLED, *STRATEGIES)
    }
    told: dict[str, Any] = {
        "systems": {
            name: {"relaxed": len(tried)}
            | {c: len(set().union(*(one.finds(c) for one in tried))) for c in CRITERIA}
            for name, tried in kept.items()
        }
    }
    told["budgets"] = {
        str(budget): {
            criterion: _compared({s: curves[criterion, s] for s in (SHUFFLED, *STRATEGIES)}, budget)
            for criterion in CRITERIA
        }
        for budget in budgets
    }
    everything = [(name, one) for name, tried in kept.items() for one in tried]
    told["limits"] = {"none": _found(everything)} | {
        f"{limit:g}": _found([pair for pair in everything if _energy(pair[1]) <= limit])
        for limit in LIMITS
    }
    return told


def _energy(one: Tried) -> float:
    """Energy above the hull as drawn, eV/atom; where none is known, it is relaxed."""
    score = one.scores.get("energy")
    return -np.inf if score is None else -score


def _found(tried: Sequence[tuple[str, Tried]]) -> dict[str, Any]:
    """Count relaxations, and what crystals of some systems find; equal names differ by system."""
    found = {
        criterion: {(name, find) for name, one in tried for find in one.finds(criterion)}
        for criterion in CRITERIA
    }
    return {"relaxations": len(tried)} | {name: len(finds) for name, finds in found.items()}


def _curve(tried: Sequence[Tried], strategy: str, criterion: str) -> np.ndarray:
    if strategy == SHUFFLED:
        return shuffled_within(tried, criterion)
    return found_within(ordered(tried, strategy), criterion)


def _compared(curves: Mapping[str, Sequence[np.ndarray]], budget: int) -> dict[str, Any]:
    """Finds of every strategy within a budget, and their gain over shuffled orders."""
    spent = np.array([min(budget, len(curve) - 1) for curve in curves[SHUFFLED]])
    found = {
        name: np.array([curve[s] for curve, s in zip(some, spent, strict=True)])
        for name, some in curves.items()
    }
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(spent), size=(RESAMPLES, len(spent)))
    base = found[SHUFFLED][drawn].sum(axis=1)
    told = {}
    for name, counts in found.items():
        sampled = counts[drawn].sum(axis=1)
        total, plain = float(counts.sum()), float(found[SHUFFLED].sum())
        some = base > 0
        told[name] = {
            "found": round(total, 2),
            "relaxations": int(spent.sum()),
            "per_100": round(100 * total / spent.sum(), 2),
            "interval": _quantiles(100 * sampled / spent[drawn].sum(axis=1)),
            "gain": round(total / plain, 2) if plain else None,
            "gain_interval": _quantiles(sampled[some] / base[some]) if some.any() else None,
        }
    return told


def _quantiles(values: np.ndarray) -> list[float]:
    return [round(float(q), 2) for q in np.quantile(values, [0.025, 0.975])]
