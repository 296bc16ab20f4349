"""Retrieval: known phases found again, against crystals drawn and against relaxations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from explorer.crystals import NamedStructure, gate
from explorer.novelty import Matcher, MatchError, Pool
from explorer.phases import Phase


@dataclass(frozen=True)
class Curve:
    """Two step curves that start at (0, 0) and end at the last crystal or relaxation.

    Attributes
    ----------
    crystals, found_by_crystals
        Shape (K,), int: after so many crystals drawn, so many targets found.
    relaxations, found_by_relaxations
        Shape (L,), int: the same against relaxations.
    total
        Number of targets.
    """

    crystals: np.ndarray
    found_by_crystals: np.ndarray
    relaxations: np.ndarray
    found_by_relaxations: np.ndarray
    total: int

    @property
    def recall(self) -> float:
        """Share of the targets found in the end; NaN without targets."""
        return float(self.found_by_crystals[-1]) / self.total if self.total else float("nan")


class RetrievalCurve:
    """Counts target structures as crystals of a campaign turn out to equal them.

    Parameters
    ----------
    targets
        Known phases, or named structures of the user's. Names must be unique; targets that equal
        each other are all found by one crystal.
    matcher
        When two crystals are the same.

    Raises
    ------
    ValueError
        When a target does not pass the gate; the message names it.
    """

    def __init__(
        self, targets: Iterable[Phase | NamedStructure], matcher: Matcher | None = None
    ) -> None:
        self._pool = Pool(matcher or Matcher())
        self._found: dict[str, tuple[int, int]] = {}
        self._names: list[str] = []
        self._drawn = self._relaxations = 0
        for target in targets:
            name = target.id if isinstance(target, Phase) else target.name
            reason = gate(target.structure)
            if reason:
                raise ValueError(f"target {name} cannot be compared: {reason}")
            self._names.append(name)
            self._pool.add(name, target.structure)

    def add(self, order_index: int, structure: Structure | None, relaxed: bool) -> list[str]:
        """Take in one crystal and return the targets that it is the first to equal.

        Parameters
        ----------
        order_index
            Its place in the order of drawing, from 0.
        structure
            None, and what does not pass the gate, only counts as drawn or relaxed.
        relaxed
            Whether `structure` is the outcome of a relaxation, which then counts as one. A crystal
            may be added twice, as drawn and as relaxed.
        """
        self._drawn = max(self._drawn, order_index + 1)
        self._relaxations += relaxed
        if structure is None or gate(structure):
            return []
        try:
            names = self._pool.matches(structure)
        except MatchError:
            return []
        new = [name for name in names if name not in self._found]
        self._found.update(dict.fromkeys(new, (order_index + 1, self._relaxations)))
        return new

    @property
    def found(self) -> dict[str, int]:
        """Name of each target found, with how many crystals had been drawn by then."""
        return {name: crystals for name, (crystals, _) in self._found.items()}

    @property
    def missed(self) -> list[str]:
        """Names of the targets that nothing equalled so far."""
        return [name for name in self._names if name not in self._found]

    def curve(self) -> Curve:
        """Return both step curves up to now."""
        crystals = _steps([c for c, _ in self._found.values()], self._drawn)
        relaxations = _steps([r for _, r in self._found.values()], self._relaxations)
        return Curve(*crystals, *relaxations, total=len(self._names))


def _steps(events: list[int], end: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (x, found so far) of a step curve from 0 to `end`."""
    counts = np.sort(np.array(events, dtype=int))
    x = np.unique(np.concatenate([[0], counts, [end]]))
    return x, np.searchsorted(counts, x, side="right")
