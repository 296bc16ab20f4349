"""How far the distributions of drawn crystals lie from those of known ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pymatgen.core import Structure
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from explorer.baselines import Drawn
from explorer.evaluate.checks import Check, check


def distances(drawn: Sequence[Check], reference: Sequence[Check]) -> dict[str, float]:
    """Compare crystals that pass the gate with those of a reference.

    Returns
    -------
    dict
        ``density_wasserstein`` in g/cm³, ``n_elements_wasserstein``; ``spacegroup_js`` and
        ``wyckoff_dimension_js`` are Jensen-Shannon distances (the square root of the divergence in
        bits, 0 to 1) between the shares of the 230 groups, and of orbits with 0, 1, 2 and 3 free
        coordinates.
    """
    ours = [c for c in drawn if c.gated and c.spacegroup]
    theirs = [c for c in reference if c.gated and c.spacegroup]
    return {
        "density_wasserstein": float(
            wasserstein_distance([c.density for c in ours], [c.density for c in theirs])
        ),
        "n_elements_wasserstein": float(
            wasserstein_distance([c.n_elements for c in ours], [c.n_elements for c in theirs])
        ),
        "spacegroup_js": _shannon(_groups(ours), _groups(theirs)),
        "wyckoff_dimension_js": _shannon(_dimensions(ours), _dimensions(theirs)),
    }


def describe(structures: Sequence[Structure]) -> list[Check]:
    """Return what `distances` needs of reference structures."""
    return [check(Drawn(k, given=structure)) for k, structure in enumerate(structures)]


def _shannon(first: np.ndarray, second: np.ndarray) -> float:
    return float(jensenshannon(first, second, base=2))


def _groups(checks: Sequence[Check]) -> np.ndarray:
    return np.bincount([c.spacegroup for c in checks], minlength=231)


def _dimensions(checks: Sequence[Check]) -> np.ndarray:
    return np.sum([c.freedoms for c in checks], axis=0)
