"""What the sampling temperature trades: valid crystals against different ones.

The rates are those of Matra-Genoa's Fig. 2 (De Breuck et al., arXiv 2501.16051): validity, bond and
space-group consistency, and duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from explorer.baselines import Drawn
from explorer.evaluate.generation import evaluate_generation
from explorer.evaluate.intervals import with_interval

RATES = {
    "decodable": "the row is a crystal",
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
