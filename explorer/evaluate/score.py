"""How well the stability score, which costs no relaxation, tells stable crystals from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure
from scipy.stats import rankdata

from explorer.crystals import gate
from explorer.encode import EncodingError, encode
from explorer.evaluate.pool import spread
from explorer.targets import with_hull_energy
from model.checkpoint import LoadedNetwork
from model.crystal import WyckoffCrystal
from model.sample import likelihood_ratio, stability_score
from model.shards import LOW_LIMIT
from model.tokens import TokenError, crystal_to_row

COLUMNS = ("e_above_hull", "decomposition_energy")
"""Published distances from the hull, eV/atom; the second is negative below it."""
RESAMPLES = 1000
"""Bootstrap samples of the interval."""

Labelled = tuple[str, Structure, float]
"""Name, structure and published energy above the hull in eV/atom."""


def labelled_structures(file: Path) -> list[Labelled]:
    """Read the structures of a file that have a number in the first of `COLUMNS` that has any."""
    every = ([one for one in with_hull_energy(file, c) if np.isfinite(one[2])] for c in COLUMNS)
    return next(filter(None, every), [])


def evaluate_score(
    loaded: LoadedNetwork,
    labelled: Sequence[Labelled],
    *,
    limit: float = LOW_LIMIT,
    workers: int | None = None,
) -> dict[str, Any]:
    """Rank crystals by their stability score and compare with their hull distance.

    Parameters
    ----------
    limit : float
        Energy above the hull up to which a crystal counts as stable, eV/atom.

    Returns
    -------
    dict
        ``n`` crystals scored, ``stable`` of them, ``auc`` (the chance that a stable crystal scores
        higher than another), its 95 % ``interval`` (bootstrap over crystals), ``by_elements`` the
        same by number of elements, ``networks`` and ``trees`` the same for each of the two whose
        mean the score is, ``likelihood_ratio`` for log p(x | low) - log p(x | high),
        ``not_scored`` structures that do not fit the model.

    Raises
    ------
    ValueError
        If the structures scored are all stable, or none is.
    """
    tasks = [([s for _, s, _ in labelled[k : k + 32]],) for k in range(0, len(labelled), 32)]
    described = [one for some in spread(describe, tasks, workers, ordered=True) for one in some]
    kept = [k for k, crystal in enumerate(described) if crystal is not None]
    crystals = [described[k] for k in kept]
    stable = np.array([labelled[k][2] <= limit for k in kept], bool)
    if not stable.any() or stable.all():
        raise ValueError(
            f"expected crystals on both sides of {limit:g} eV/atom above the hull, got "
            f"{int(stable.sum())} of {len(stable)} below"
        )
    scores = stability_score(loaded, crystals)
    sizes = np.array([len(crystal.elements) for crystal in crystals])
    told = {"n": len(kept), **area(scores, stable), "limit": limit}
    told["by_elements"] = {
        str(size): {
            "n": int((sizes == size).sum()),
            **area(scores[sizes == size], stable[sizes == size]),
        }
        for size in np.unique(sizes)
    }
    if loaded.stability and loaded.trees is not None:
        networks = stability_score(replace(loaded, trees=None), crystals)
        told |= {"networks": area(networks, stable), "trees": area(2 * scores - networks, stable)}
    told["likelihood_ratio"] = area(likelihood_ratio(loaded, crystals), stable)
    return told | {"not_scored": len(labelled) - len(kept)}


def area(scores: np.ndarray, stable: np.ndarray) -> dict[str, Any]:
    """Area under the ROC curve and its 95 % interval; None where one of the two kinds is missing.

    Parameters
    ----------
    scores, stable : ndarray, shape (n,)
        Score of each crystal, and whether it is stable.
    """
    told: dict[str, Any] = {"stable": int(stable.sum()), "auc": None, "interval": None}
    if not stable.any() or stable.all():
        return told
    rng = np.random.default_rng(0)
    resampled = rng.integers(len(scores), size=(RESAMPLES, len(scores)))
    areas = [_area(scores[rows], stable[rows]) for rows in resampled]
    interval = np.nanquantile(areas, [0.025, 0.975])
    told["auc"] = round(_area(scores, stable), 4)
    return told | {"interval": [round(float(value), 4) for value in interval]}


def describe(structures: Sequence[Structure]) -> list[WyckoffCrystal | None]:
    """Describe structures as the model reads them; None for what does not fit."""
    return [_describe(structure) for structure in structures]


def _describe(structure: Structure) -> WyckoffCrystal | None:
    if gate(structure):
        return None
    try:
        crystal = encode(structure)
        crystal_to_row(crystal)
    except (EncodingError, TokenError):
        return None
    return crystal


def _area(scores: np.ndarray, stable: np.ndarray) -> float:
    """Mann and Whitney's U over the number of pairs; ties count half; NaN without pairs."""
    positive = int(stable.sum())
    pairs = positive * (len(stable) - positive)
    if not pairs:
        return float("nan")
    wins = rankdata(scores)[stable].sum() - positive * (positive + 1) / 2
    return float(wins / pairs)
