"""Boosted decision trees as plain arrays: grown by scikit-learn, told by numpy alone.

Letters in shapes: B rows, I numbers of a row, T trees, N nodes of all trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from model.elements import elements

TOGETHER = 256
"""Rows that go down the trees at a time."""


@dataclass(frozen=True)
class Trees:
    """Trees whose leaves add up to a number, such as log-odds; all nodes in one list.

    Attributes
    ----------
    roots
        First node of each tree, (T,).
    feature
        Number that a node looks at, -1 in a leaf, (N,).
    threshold
        Largest value that goes to the left, (N,).
    missing_left
        Whether a missing value does, (N,).
    left, right
        Nodes that follow, (N,).
    value
        What a leaf adds to the sum, (N,).
    start
        The sum before any tree, (1,).
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Trees:
        """Return the trees among named arrays; KeyError names one that is missing."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sum that the trees tell of each row, (B,).

        Parameters
        ----------
        numbers : ndarray, shape (B, I)
            The numbers of the rows, NaN where something is not known.
        """
        parts = [self._sum(numbers[k : k + TOGETHER]) for k in range(0, len(numbers), TOGETHER)]
        return np.concatenate([*parts, np.zeros(0)])

    def _sum(self, numbers: np.ndarray) -> np.ndarray:
        at = np.tile(self.roots, (len(numbers), 1))  # (B, T)
        rows = np.arange(len(numbers))[:, None]
        while ((looked_at := self.feature[at]) >= 0).any():
            found = numbers[rows, looked_at]
            left = np.where(np.isnan(found), self.missing_left[at], found <= self.threshold[at])
            after = np.where(left, self.left[at], self.right[at])
            at = np.where(looked_at >= 0, after, at)
        return self.start[0] + self.value[at].sum(axis=1)


def measure_composition(z: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return numbers that say what a composition is of, from the periodic table.

    Mean, spread and bounds of the elements' properties, those of the least and the most
    electronegative element, how many elements there are, and the largest and smallest share.

    Parameters
    ----------
    z, share : ndarray, shape (elements,)
        Atomic numbers, and shares of the atoms that add up to 1.
    """
    known = elements()
    columns = (known.features, known.mass, known.covalent_radius, known.electronegativity)
    own = np.column_stack(columns)[z - 1].astype(float)
    mean = share @ own
    spread = np.sqrt(share @ (own - mean) ** 2)
    pull = known.electronegativity[z - 1]
    outermost = own[[np.argmin(pull), np.argmax(pull)]].ravel()
    shares = np.array([len(z), share.max(), share.min()])
    return np.concatenate([mean, spread, own.min(axis=0), own.max(axis=0), outermost, shares])
