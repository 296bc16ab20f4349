"""Growing the trees that tell with the networks how likely a crystal is to lie near the hull."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from model.boosted import Trees
from model.crystal import WyckoffCrystal
from model.facts import facts_of
from model.phases import load_phases
from model.shards import LOW_LIMIT
from model.trees import measure

MEMBERS = 4
"""Ensembles of other seeds whose mean is told."""
GROWTH = {
    "max_iter": 300,
    "learning_rate": 0.04,
    "max_leaf_nodes": 127,
    "min_samples_leaf": 30,
    "l2_regularization": 1.0,
    "max_features": 0.3,
}
"""Settings of scikit-learn's ``HistGradientBoostingClassifier``."""


def grow(crystals: Sequence[WyckoffCrystal], e_above_hull: np.ndarray, seed: int = 0) -> Trees:
    """Grow trees on training crystals.

    Parameters
    ----------
    crystals : sequence of WyckoffCrystal
        In canonical form, B.
    e_above_hull : ndarray, shape (B,)
        eV/atom.
    """
    numbers = measure(crystals, facts_of(crystals, load_phases()))
    return fit(numbers, e_above_hull <= LOW_LIMIT, seed)


def fit(numbers: np.ndarray, low: np.ndarray, seed: int, members: int = MEMBERS) -> Trees:
    """Grow trees.

    Parameters
    ----------
    numbers : ndarray, shape (B, I)
        What `measure` tells of the training crystals.
    low : ndarray of bool, shape (B,)
        Which of them lie within ``LOW_LIMIT`` of the hull.
    members : int
        Ensembles of other seeds, from ``seed`` on, whose mean the trees tell.
    """
    grown = []
    for number in range(members):
        model = HistGradientBoostingClassifier(**GROWTH, random_state=seed + number)
        grown.append(model.fit(numbers, low))
        print(f"ensemble {number + 1} of {members} grown", file=sys.stderr, flush=True)
    return mean_of(grown)


def mean_of(
    models: Sequence[HistGradientBoostingClassifier | HistGradientBoostingRegressor],
) -> Trees:
    """Return the trees of grown ensembles, which together tell the mean of what each tells."""
    # scikit-learn has no public way to its histogram trees; a test compares what both tell
    trees = [predictor.nodes for model in models for (predictor,) in model._predictors]
    start = np.mean([model._baseline_prediction.item() for model in models])
    return _joined(trees, len(models), float(start))


def _joined(trees: Sequence[np.ndarray], members: int, start: float) -> Trees:
    """Put the nodes of all trees into one list."""
    roots = np.cumsum([0, *map(len, trees)])[:-1]
    nodes = np.concatenate(trees)
    first = np.repeat(roots, list(map(len, trees)))
    leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        roots.astype(np.int32),
        np.where(leaf, -1, nodes["feature_idx"]).astype(np.int16),
        nodes["num_threshold"],
        nodes["missing_go_to_left"].astype(bool),
        (first + nodes["left"]).astype(np.int32),
        (first + nodes["right"]).astype(np.int32),
        np.where(leaf, nodes["value"] / members, 0.0).astype(np.float32),
        np.array([start]),
    )
