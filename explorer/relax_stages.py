"""Two potentials in a row: a fast one brings a crystal near its minimum, an accurate one ends it.

What the first one makes of a crystal is a better place to start, never a verdict: a crystal that it
cannot relax starts with the second one from where it was drawn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymatgen.core import Structure

from explorer.batch_relaxation import Batch
from explorer.candidate import Relaxation
from explorer.potentials import Potential
from explorer.relaxation import Limits


class Stages:
    """An engine made of two; energies and verdicts are the second one's.

    Parameters
    ----------
    first, second
        The engines of the fast and of the accurate potential.
    fast
        The fast potential, to be asked which elements it knows.
    limits
        Of the first stage: a crystal that takes it too long goes on from where it is.
    """

    def __init__(self, first: Batch, second: Batch, fast: Potential, limits: Limits) -> None:
        self._first, self._second, self._fast = first, second, fast
        self._kept = ("", limits.too_many_steps, limits.too_long)
        self._drawn: dict[Any, Structure] = {}
        self._spent: dict[Any, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def add(self, key: Any, structure: Structure, state: bytes = b"") -> Relaxation | None:
        """Take a crystal in, which begins anew whatever its state was, or answer at once."""
        if self._fast.unknown_elements(structure):
            return self._second.add(key, structure)
        answer = self._first.add(key, structure)
        if answer is not None:
            return self._second.add(key, structure)
        self._drawn[key] = structure
        return None

    def states(self, seconds: float) -> list[tuple[Any, bytes]]:
        """Return none: a relaxation in two stages does not go on elsewhere."""
        return []

    def advance(self) -> list[tuple[Any, Relaxation]]:
        """Go on with both stages, and return what the second one ended."""
        ended = []
        for key, fast in self._first.advance():
            drawn = self._drawn.pop(key)
            self._spent[key] = fast.steps, fast.seconds
            kept = fast.structure is not None and fast.reason in self._kept
            answer = self._second.add(key, fast.structure if kept else drawn)
            ended += [(key, answer)] if answer is not None else []
        ended += self._second.advance()
        return [(key, self._whole(key, relaxation)) for key, relaxation in ended]

    def clear(self) -> list[Any]:
        """Forget every crystal in work; returns their keys."""
        self._drawn.clear()
        self._spent.clear()
        return self._first.clear() + self._second.clear()

    def _whole(self, key: Any, relaxation: Relaxation) -> Relaxation:
        """Add what the first stage took."""
        steps, seconds = self._spent.pop(key, (0, 0.0))
        return replace(
            relaxation, steps=relaxation.steps + steps, seconds=relaxation.seconds + seconds
        )
