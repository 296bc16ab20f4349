"""Collect the geometries of known crystals for `model.templates`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from explorer.encode import descriptions
from model.crystal import WyckoffCrystal
from model.elements import atomic_number
from model.templates import Members, Pattern, pattern_of
from model.tokens import SCALES, TokenError, crystal_to_row, row_tail

Entry = tuple[Pattern, tuple[int, ...], np.ndarray]
"""A pattern, the atomic numbers of its kinds, and the numbers of the geometry."""


def entries(crystal: WyckoffCrystal) -> list[Entry]:
    """Return a crystal's geometry once for each pattern that a choice of origin and axes gives.

    A crystal with a value that no token tells gives nothing.
    """
    found: dict[Pattern, Entry] = {}
    for described in descriptions(crystal):
        numbers = [atomic_number(site.element) for site in described.sites]
        sites = list(zip(described.positions, numbers, strict=True))
        pattern, kinds = pattern_of(sites)
        if pattern in found:
            continue
        try:
            values = _values(described)
        except TokenError:
            return []
        found[pattern] = (pattern, kinds, _by_kind(values, sites, kinds))
    return list(found.values())


def collect(found: Iterable[Entry]) -> dict[Pattern, Members]:
    """Group entries by pattern."""
    grouped: dict[Pattern, list[Entry]] = defaultdict(list)
    for entry in found:
        grouped[entry[0]].append(entry)
    return {
        pattern: Members(
            np.array([kinds for _, kinds, _ in some]), np.array([numbers for *_, numbers in some])
        )
        for pattern, some in grouped.items()
    }


def _values(crystal: WyckoffCrystal) -> list[tuple[int, float]]:
    """(Site or -1, value) of each number after a crystal's skeleton, as its tokens tell it."""
    row = crystal_to_row(crystal)
    tail = row_tail(crystal.spacegroup, list(crystal.positions))
    first = len(row) - len(tail)
    return [
        (owner, SCALES[role].decode(int(row.tokens[first + k]), int(row.fine[first + k])))
        for k, (role, owner) in enumerate(tail)
    ]


def _by_kind(
    values: list[tuple[int, float]], sites: list[tuple[int, int]], kinds: tuple[int, ...]
) -> np.ndarray:
    """Lattice first, then coordinates kind by kind, each kind's positions in rising order."""
    ordered = [
        owner
        for kind in kinds
        for owner in sorted(
            (k for k, (_, number) in enumerate(sites) if number == kind), key=lambda k: sites[k][0]
        )
    ]
    lattice = [value for owner, value in values if owner < 0]
    return np.array([*lattice, *(v for k in ordered for owner, v in values if owner == k)])
