"""Which candidates are one crystal once they are relaxed.

As drawn they differed, so that each had a relaxation of its own; whoever counts finds counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pymatgen.core import Structure

from explorer.candidate import Candidate, State
from explorer.novelty import Matcher, MatchError

SAME = "same_once_relaxed"
"""Column of tables: what `twins` says of a candidate."""
SAME_ENERGY = 0.01
"""eV/atom: what relaxed to energies further apart is no one crystal, whatever a matcher allows."""
SAME_VOLUME = 0.03
"""The same of volumes, as a share; both spare a matcher most of what it would compare."""


def twins(candidates: Iterable[Candidate], matcher: Matcher | None = None) -> dict[str, str]:
    """Name, for each relaxed candidate that equals an earlier one once relaxed, the first such.

    Parameters
    ----------
    candidates
        With their structures. Earlier is what was drawn earlier.
    matcher
        When two crystals are the same.
    """
    matcher = matcher or Matcher()
    relaxed = [c for c in candidates if c.state == State.RELAXED and c.relaxed is not None]
    by_formula = defaultdict(list)
    for candidate in sorted(relaxed, key=lambda each: each.index):
        by_formula[candidate.relaxed.composition.reduced_formula].append(candidate)
    found: dict[str, str] = {}
    for alike in by_formula.values():
        if len(alike) > 1:
            found |= _of_formula(alike, matcher)
    return found


def _of_formula(alike: list[Candidate], matcher: Matcher) -> dict[str, str]:
    firsts: list[tuple[Candidate, Structure]] = []
    found: dict[str, str] = {}
    for candidate in alike:
        near = [(first, cell) for first, cell in firsts if may_be_one(first, candidate)]
        try:
            reduced = matcher.reduced(candidate.relaxed)
            place = matcher.match_reduced(reduced, [cell for _, cell in near])
        except MatchError:
            continue  # what cannot be compared equals nothing
        if place is None:
            firsts.append((candidate, reduced))
        else:
            found[candidate.id] = near[place][0].id
    return found


def may_be_one(one: Candidate, other: Candidate) -> bool:
    """Whether two relaxed candidates of one formula have energies and volumes of one crystal."""
    return (
        abs(one.energy_per_atom - other.energy_per_atom) <= SAME_ENERGY
        and abs(_room(one) / _room(other) - 1) <= SAME_VOLUME
    )


def _room(candidate: Candidate) -> float:
    """Volume for each atom once relaxed, Å³."""
    return candidate.relaxed.volume / len(candidate.relaxed)
