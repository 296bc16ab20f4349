"""Known crystals whose sites a skeleton has, with other kinds of atoms on them.

An ordered variant of a known crystal, such as MoWTe4 of MoTe2, occupies the same Wyckoff positions:
some sites change their element, or two kinds of atoms become one. Its coordinates are near those of
the crystal that it varies.

Letters in shapes: S sites, M members (known crystals) of a pattern, A arrangements, E elements.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from math import factorial, prod

import numpy as np

from model.elements import element_distance
from model.wyckoff import table

MOST_ARRANGEMENTS = 2_000
"""Crystals whose sites could be taken in more ways than so many are left aside."""
MOST_OF_A_PATTERN = 64
"""Ways that are looked at for each pattern, those of the nearest elements."""

Site = tuple[int, int]
"""Wyckoff position (row of the table), atomic number."""
Way = tuple[float, int, tuple[int, ...]]
"""How far apart the elements are, the member, and the site of it that each asked site takes."""


def recolourings(
    asked: Sequence[Site], positions: Sequence[int], known: np.ndarray
) -> Iterator[Way]:
    """Yield ways to take the sites of known crystals for those asked for, the nearest first.

    The distance is that of the elements' periodic-table features, the mean over atoms.

    Parameters
    ----------
    asked : sequence of (int, int)
        Positions and atomic numbers, the positions in any order.
    positions : sequence of int, length S
        The same positions, in the order of the known crystals' sites.
    known : ndarray, shape (M, S)
        Atomic number on each of these sites, by member.
    """
    elements = sorted({number for _, number in asked})
    ways = arrangements(asked, positions)
    if not ways:
        return
    takers = np.array(ways)  # (A, S), index of the asked site that each known site serves
    wanted = np.array([elements.index(number) for _, number in asked])[takers]
    weight = table().multiplicity[list(positions)].astype(float)
    apart = element_distance()[known][:, :, elements] * (weight / weight.sum())[:, None]
    total = np.zeros((len(known), len(takers)))
    for site in range(len(positions)):
        total += apart[:, site, wanted[:, site]]
    for place in np.argsort(total, axis=None, kind="stable")[:MOST_OF_A_PATTERN]:
        member, way = divmod(int(place), len(takers))
        owners = np.argsort(takers[way])  # the inverse: the known site that each asked one takes
        yield float(total[member, way]), member, tuple(owners.tolist())


def arrangements(asked: Sequence[Site], positions: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the ways in which known sites can serve asked ones, as the index of the asked site.

    Sites with the same position and element may be exchanged: that counts as one way. Empty where
    the positions are not the same, or there are more than `MOST_ARRANGEMENTS` ways.
    """
    if sorted(position for position, _ in asked) != sorted(positions):
        return []
    there: dict[int, list[int]] = defaultdict(list)
    for place, position in enumerate(positions):
        there[position].append(place)
    colours = {p: [number for q, number in asked if q == p] for p in there}
    if prod(_ways(numbers) for numbers in colours.values()) > MOST_ARRANGEMENTS:
        return []
    found = []
    for choice in product(*(_distinct(tuple(sorted(colours[p]))) for p in there)):
        left: dict[Site, list[int]] = defaultdict(list)
        for index, site in enumerate(asked):
            left[site].append(index)
        taker = [0] * len(positions)
        for (position, places), numbers in zip(there.items(), choice, strict=True):
            for place, number in zip(places, numbers, strict=True):
                taker[place] = left[position, number].pop(0)
        found.append(tuple(taker))
    return found


def _ways(numbers: Sequence[int]) -> int:
    """Number of distinct orders of numbers, some of which are the same."""
    return factorial(len(numbers)) // prod(factorial(n) for n in Counter(numbers).values())


def _distinct(numbers: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Distinct orders of numbers, some of which are the same."""
    if not numbers:
        yield ()
        return
    for first in sorted(set(numbers)):
        place = numbers.index(first)
        for rest in _distinct(numbers[:place] + numbers[place + 1 :]):
            yield (first, *rest)
