"""What the sampling temperature trades: valid crystals against different ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import binomtest

from explorer.baselines import Drawn
from explorer.evaluate.generation import evaluate_generation

RATES = {
    "no_collision_0.7": "no atoms closer than 0.7 Å",
    "no_collision_0.5": "no atoms closer than 0.5 Å",
    "smact_valid": "composition valid (SMACT)",
    "spacegroup_kept": "space group as asked, or a supergroup",
    "spacegroup_exact": "space group exactly as asked",
    "duplicates": "drawn before",
}
"""What is told of each temperature, and what it says."""

DrawAt = Callable[[float], Sequence[Drawn]]
"""From a temperature to the crystals drawn at it."""


def evaluate_temperatures(
    draw: DrawAt,
    temperatures: Sequence[float],
    *,
    elements: tuple[str, ...] = (),
    workers: int | None = None,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Draw crystals at each temperature and count what is right with them.

    Parameters
    ----------
    draw : callable
        Draws the crystals; the same seed at each temperature makes neighbours comparable.
    temperatures : sequence of float
        Above 0, each once.
    elements : tuple of str
        What was asked for.

    Returns
    -------
    dict
        ``temperatures``: for each the number drawn ``n``, and of each of `RATES` the ``share``,
        the ``count`` and Wilson's 95 % ``interval``; None where nothing was asked. ``duplicates``
        equal an earlier crystal of the same temperature; what cannot be compared equals nothing.

    Raises
    ------
    ValueError
        If there is no temperature, one is not above 0, or one comes twice.
    """
    given = list(temperatures)
    if not given or min(given) <= 0 or len(set(given)) < len(given):
        raise ValueError(f"expected different temperatures above 0, got {given}")
    told = {}
    for temperature in given:
        progress(f"temperature {temperature:g}")
        drawn = draw(temperature)
        counted = evaluate_generation(drawn, elements=elements, workers=workers)
        counted["duplicates"] = counted["comparable"] - counted["unique"]
        told[f"{temperature:g}"] = {"n": len(drawn)} | {
            name: with_interval(counted[name], len(drawn)) for name in RATES
        }
    return {"temperatures": told, "words": RATES}


def with_interval(share: float | None, n: int) -> dict[str, Any] | None:
    """Return a share of n with its count and Wilson's 95 % interval; None stays None."""
    if share is None:
        return None
    count = round(share * n)
    low, high = binomtest(count, n).proportion_ci(0.95, method="wilson")
    return {
        "share": round(share, 4),
        "count": count,
        "interval": [round(float(low), 4), round(float(high), 4)],
    }
