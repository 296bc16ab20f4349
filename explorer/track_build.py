"""Learning where DFT places novel crystals, from such that a potential and DFT have both placed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold

from explorer.track_record import Experience, measured
from explorer.tree_build import mean_of

MEMBERS = 4
"""Ensembles of other seeds whose mean is told."""
FOLDS = 10
GROWTH = {
    "loss": "absolute_error",  # the middle of what is to be expected, which no outlier draws
    "max_iter": 250,
    "learning_rate": 0.04,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 15,
    "max_features": 0.3,
    "l2_regularization": 1.0,
}
"""Settings of scikit-learn's ``HistGradientBoostingRegressor``."""


def learn(
    placed: pd.DataFrame, level: str, kind: str, *, seed: int = 0, members: int = MEMBERS
) -> Experience:
    """Grow the trees, and let others that never saw a crystal's system say how wrong they are.

    Parameters
    ----------
    placed : DataFrame
        One row a crystal: ``id``, ``formula``, ``chemsys``, ``predicted`` and ``dft`` (eV/atom,
        below 0 under the hull); as `hullscape evaluate hull --relax --crystals FILE` writes.
        Crystals without a place are left out.
    level, kind : str
        Of the energies, and of the crystals.
    members : int
        Ensembles of other seeds, from ``seed`` on, whose mean is told.

    Raises
    ------
    ValueError
        If there are fewer chemical systems than folds.
    """
    known = placed.dropna(subset=["predicted", "dft"])
    systems = known["chemsys"].nunique()
    if systems < FOLDS:
        raise ValueError(f"expected crystals of {FOLDS} chemical systems or more, got {systems}")
    distance, truth = known["predicted"].to_numpy(), known["dft"].to_numpy()
    numbers = np.array(
        [measured(*row) for row in zip(known["formula"], distance.tolist(), strict=True)]
    )
    seeds = range(seed, seed + members)
    expected = np.zeros(len(known))
    for others, these in GroupKFold(FOLDS).split(numbers, groups=known["chemsys"]):
        models = _grow(numbers[others], (truth - distance)[others], seeds)
        expected[these] = distance[these] + np.mean([m.predict(numbers[these]) for m in models], 0)
    order = np.argsort(expected)
    trees = mean_of(_grow(numbers, truth - distance, seeds))
    names = known["id"].to_numpy(str)
    return Experience(level, kind, trees, expected[order], truth[order], names[order])


def _grow(
    numbers: np.ndarray, above: np.ndarray, seeds: Sequence[int]
) -> list[HistGradientBoostingRegressor]:
    return [
        HistGradientBoostingRegressor(**GROWTH, random_state=seed).fit(numbers, above)
        for seed in seeds
    ]
