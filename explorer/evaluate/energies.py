"""How far above the hull crystals end, by where they come from.

Matra-Genoa's Fig. 4 (De Breuck et al., arXiv 2501.16051) shows such distributions for sampling
temperatures beside random search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explorer.evaluate.intervals import with_interval
from explorer.evaluate.sun import THRESHOLDS, Outcome

QUARTILES = (0.25, 0.5, 0.75)


def evaluate_energies(told: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """Tell the distribution of energies above the hull of each set of crystals.

    Parameters
    ----------
    told : mapping of str to sequence of Outcome
        By the name of the set; failures included.

    Returns
    -------
    dict
        For each set the number ``n`` of crystals; how many were ``placed`` on a hull and
        ``converged``; ``within``, by threshold in eV/atom the share of all n with its ``count`` and
        Wilson's 95 % ``interval``; the ``quartiles`` of those placed and the values themselves,
        ``above_hull``, in ascending order, eV/atom; the ``reasons`` of those that were not placed.

    Raises
    ------
    ValueError
        If a set is empty.
    """
    empty = [name for name, outcomes in told.items() if not outcomes]
    if empty:
        raise ValueError(f"expected crystals of every set, got none of {', '.join(empty)}")
    return {name: _distribution(outcomes) for name, outcomes in told.items()}


def _distribution(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    n, above = len(outcomes), sorted(o.above for o in outcomes if o.above is not None)
    counts = {limit: sum(energy <= float(limit) for energy in above) for limit in THRESHOLDS}
    quartiles = np.quantile(above, QUARTILES).round(4).tolist() if above else None
    return {
        "n": n,
        "placed": len(above),
        "converged": sum(outcome.converged for outcome in outcomes),
        "within": {limit: with_interval(count / n, n) for limit, count in counts.items()},
        "quartiles": quartiles,
        "above_hull": [round(energy, 4) for energy in above],
        "reasons": dict(Counter(o.reason for o in outcomes if o.above is None)),
    }
