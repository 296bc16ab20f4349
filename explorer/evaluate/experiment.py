"""The retrieval experiment: who finds which phases, after how many crystals and relaxations.

One trial is one generator with one seed. What it found is compared over seeds and generators;
nothing here draws, relaxes or matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np

BUDGETS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Crystals, or relaxations, at which what was found is told."""
AXES = ("crystals", "relaxations")


@dataclass(frozen=True)
class Trial:
    """What one generator found with one seed."""

    method: str
    """Name of the generator."""
    seed: int
    """Its seed."""
    drawn: int
    """Crystals drawn."""
    crystals: dict[str, int]
    """Number of the crystal (from 1) that first equalled each target that was found."""
    relaxations: dict[str, int] = field(default_factory=dict)
    """How many relaxations had ended by then; empty where none were made."""
    relaxed: int | None = None
    """Relaxations in all; None where none were made."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Drawing time until each target was found, where that was measured, s."""
    seconds_total: float = 0.0
    """Time for the whole trial, s."""
    generator: str = ""
    """What drew, with a hash."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Rebuild a trial from `to_dict`."""
        return cls(**values)

    def first(self, axis: str) -> dict[str, int]:
        """Targets found by "crystals" or by "relaxations"."""
        return self.crystals if axis == "crystals" else self.relaxations

    def end(self, axis: str) -> int:
        """Number of crystals, or of relaxations, in all."""
        return self.drawn if axis == "crystals" else (self.relaxed or 0)


@dataclass(frozen=True)
class Band:
    """Targets found by the trials of one generator, as step curves over one axis.

    Attributes
    ----------
    x
        (K,) crystals drawn or relaxations, from 0.
    mean, lowest, highest
        (K,) targets found: over seeds. A trial that has ended keeps what it found.
    """

    x: np.ndarray
    mean: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray


def band(trials: Sequence[Trial], axis: str = "crystals") -> Band:
    """Lay the curves of several seeds over each other."""
    steps = [np.sort(list(trial.first(axis).values())) for trial in trials]
    ends = [trial.end(axis) for trial in trials]
    x = np.unique(np.concatenate([[0], *steps, ends])).astype(int)
    found = np.stack([np.searchsorted(some, x, side="right") for some in steps])  # (seeds, K)
    return Band(x, found.mean(axis=0), found.min(axis=0), found.max(axis=0))


def by_method(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials of each generator, in the order of their first mention."""
    grouped: dict[str, list[Trial]] = {}
    for trial in trials:
        grouped.setdefault(trial.method, []).append(trial)
    return grouped


def report(trials: Sequence[Trial], targets: Mapping[str, str]) -> dict[str, Any]:
    """Compare generators.

    Parameters
    ----------
    trials : sequence of Trial
    targets : mapping
        Name of each target to its formula.

    Returns
    -------
    dict
        ``n_targets``; for each of ``methods`` the seeds, what was found at each budget (mean,
        lowest and highest over seeds, mean share of all targets), ``nth``: the median number of
        crystals at which the n-th phase was found and in how many seeds it was; ``finders``: for
        each target the seeds in which each generator found it; ``nobody``: targets that none
        found in any seed.
    """
    grouped = by_method(trials)
    finders = {
        name: {method: sum(name in t.crystals for t in some) for method, some in grouped.items()}
        for name in targets
    }
    return {
        "n_targets": len(targets),
        "methods": {method: _method(some, len(targets)) for method, some in grouped.items()},
        "finders": {
            f"{name} {formula}": {m: count for m, count in finders[name].items() if count}
            for name, formula in targets.items()
        },
        "nobody": [
            f"{name} {formula}"
            for name, formula in targets.items()
            if not any(finders[name].values())
        ],
    }


def _method(trials: Sequence[Trial], total: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "generator": sorted({trial.generator for trial in trials}),
        "seeds": sorted(trial.seed for trial in trials),
        "drawn": [trial.drawn for trial in trials],
        "found": _found(trials, "crystals", total),
        "nth": _nth(trials, "crystals"),
        "seconds_mean": round(float(np.mean([trial.seconds_total for trial in trials])), 1),
    }
    if any(trial.relaxed is not None for trial in trials):
        told["relaxations"] = [trial.relaxed for trial in trials]
        told["found_by_relaxations"] = _found(trials, "relaxations", total)
        told["nth_by_relaxations"] = _nth(trials, "relaxations")
    if any(trial.seconds for trial in trials):
        told["seconds_to_nth"] = _nth_seconds(trials)
    return told


def _found(trials: Sequence[Trial], axis: str, total: int) -> dict[str, dict[str, float]]:
    """Targets found at each budget and at the end."""
    end = max(trial.end(axis) for trial in trials)
    told = {}
    for budget in [b for b in BUDGETS if b < end] + [end]:
        counts = [sum(k <= budget for k in trial.first(axis).values()) for trial in trials]
        mean = float(np.mean(counts))
        told[str(budget)] = {
            "mean": round(mean, 2),
            "lowest": min(counts),
            "highest": max(counts),
            "share": round(mean / total, 4),
        }
    return told


def _nth(trials: Sequence[Trial], axis: str) -> dict[str, dict[str, float]]:
    """Median number at which the n-th phase was found, among the seeds that got so far."""
    return _medians([list(trial.first(axis).values()) for trial in trials], 0)


def _nth_seconds(trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    return _medians([list(trial.seconds.values()) for trial in trials], 2)


def _medians(found: Sequence[Sequence[float]], digits: int) -> dict[str, dict[str, float]]:
    told = {}
    for n in range(1, max(map(len, found), default=0) + 1):
        reached = [sorted(some)[n - 1] for some in found if len(some) >= n]
        value = round(float(median(reached)), digits)
        told[str(n)] = {"median": value if digits else int(value), "seeds": len(reached)}
    return told


def found_rows(trials: Sequence[Trial], targets: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row for each trial and target, for a table; what was not found has empty cells."""
    return [
        {
            "method": trial.method,
            "seed": trial.seed,
            "target": name,
            "formula": formula,
            "crystals": trial.crystals.get(name, ""),
            "relaxations": trial.relaxations.get(name, ""),
            "seconds": trial.seconds.get(name, ""),
        }
        for trial in trials
        for name, formula in targets.items()
    ]


def curve_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The corners of every generator's curves, for a table."""
    return [
        {
            "method": method,
            "axis": axis,
            "x": int(x),
            "mean": round(float(mean), 4),
            "lowest": int(lowest),
            "highest": int(highest),
        }
        for method, some in by_method(trials).items()
        for axis in AXES
        if any(trial.end(axis) for trial in some)
        for curve in [band(some, axis)]
        for x, mean, lowest, highest in zip(
            curve.x, curve.mean, curve.lowest, curve.highest, strict=True
        )
    ]
