"""Same crystal or not, many times over: each crystal is reduced once, hopeless pairs are skipped.

The verdicts are those of ``StructureMatcher.fit``. Meant for worker processes; see `pool.spread`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.strangers import bare

MATCHING = {"ltol": 0.2, "stol": 0.3, "angle_tol": 5.0}
"""StructureMatcher's tolerances."""
SECONDS = 10.0
"""For one comparison; a needle-shaped cell can take half a minute."""
SLACK = 1.01
"""Room for a reduced cell whose edges are not quite the shortest vectors."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """A crystal as StructureMatcher compares it."""

    structure: Structure
    """Primitive cell, Niggli-reduced."""
    edges: np.ndarray
    """Edges in ascending order, in units of the cube root of the volume, (3,)."""


def reduced(structure: Structure) -> Reduced | None:
    """Reduce a gated structure; None if it takes too long or cannot be done."""
    try:
        with time_limit(SECONDS):
            cell = bare(structure).get_reduced_structure("niggli").get_primitive_structure()
    except (TimeoutError, ValueError, ArithmeticError):
        return None
    return Reduced(cell, np.sort(cell.lattice.abc) / cell.volume ** (1 / 3))


class Same:
    """Decides whether two crystals of one reduced formula are the same; counts what it gave up."""

    def __init__(self) -> None:
        self._matcher = StructureMatcher(**MATCHING)
        self.given_up = 0
        """Comparisons that took too long; they count as different."""

    def __call__(self, first: Reduced, second: Reduced) -> bool:
        """Return what ``StructureMatcher.fit(first, second)`` says."""
        if len(first.structure) != len(second.structure) or not _lattices_may_fit(first, second):
            return False
        try:
            with time_limit(SECONDS):
                return self._matcher.fit(
                    first.structure, second.structure, skip_structure_reduction=True
                )
        except TimeoutError:
            self.given_up += 1
            return False

    def any(self, first: Reduced, others: Sequence[Reduced]) -> bool:
        """Whether a crystal equals one of the others."""
        return any(self(other, first) for other in others)


def _lattices_may_fit(first: Reduced, second: Reduced) -> bool:
    """Whether the first lattice can have vectors as long as the second's edges, within ltol.

    Three vectors that span the first lattice are, in ascending order, at least as long as the edges
    of its reduced cell, and the matcher wants them at most 1 + ltol times as long as the second's.
    """
    longest = second.edges * (1 + MATCHING["ltol"]) * SLACK
    return bool((first.edges <= longest).all())


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the block after so long; only in the main thread, on Unix."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
