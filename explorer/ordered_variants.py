"""Ordered variants of prototypes: known sites, other kinds of atoms on them.

Of a prototype with one kind less, one kind is split over its sites, as MoWTe4 is made of MoTe2; of
one with as many kinds, one site changes its kind; of one with one kind more, two kinds become one.
How likely a variant is goes by the data-mined probabilities that the elements of the prototype's
members become those asked for, as for prototypes themselves.

Letters in shapes: V variants, R variants with each of their members, P pairs of kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain, combinations, permutations

import numpy as np

from explorer.prototypes import Prototype, load_library
from model.constraints import Constraints
from model.crystal import Site, WyckoffCrystal
from model.elements import atomic_number
from model.wyckoff import LETTERS, table

MOST_KINDS = 4
"""Variants of more elements are not made: they are too many to be ranked while somebody waits."""
LESS_LIKELY = 0.3
"""How likely a variant is beside a prototype that resembles the elements as much.

Nobody has seen it yet; chosen on validation crystals.
"""
MOST_SPLIT = 8
"""Sites of a kind that is split."""

Slots = tuple[int, ...]
"""The new kind of atom on each site of a prototype."""


@dataclass(frozen=True)
class Variants:
    """All ordered variants with one number of kinds.

    Attributes
    ----------
    made
        Prototype and new kinds of its sites, V of them.
    old, new
        Atomic number in a member and new kind (from 1) that takes its place, 0 and 0 where a
        variant has fewer pairs than others, (R, P).
    starts
        First row of each variant, (V,).
    """

    made: list[tuple[Prototype, Slots]]
    old: np.ndarray
    new: np.ndarray
    starts: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """Atoms of each new kind in the primitive cell, (V, kinds)."""
        counts = np.zeros((len(self.made), self.new.shape[1] - 1), int)
        places = {id(prototype): _positions(prototype) for prototype, _ in self.made}
        rows = np.repeat(np.arange(len(self.made)), [len(slots) for _, slots in self.made])
        slots = np.fromiter(chain.from_iterable(slots for _, slots in self.made), int)
        sites = np.fromiter(chain.from_iterable(places[id(p)] for p, _ in self.made), int)
        np.add.at(counts, (rows, slots), table().primitive_multiplicity[sites])
        return counts

    def resemblance(self, numbers: Sequence[int], similarity: np.ndarray) -> np.ndarray:
        """How much the members of each variant's prototype resemble a filling, (V,).

        Parameters
        ----------
        numbers
            Atomic number of each new kind.
        similarity : ndarray, shape (119, 119)
            Probability that the second element replaces the first, by atomic number; 1 where
            both are 0, no element.
        """
        if not self.made:
            return np.zeros(0)
        taking = np.array([0, *numbers])
        return np.add.reduceat(similarity[self.old, taking[self.new]].prod(axis=1), self.starts)


def likeliest_variants(
    constraints: Constraints, similarity: np.ndarray
) -> Iterator[tuple[float, WyckoffCrystal]]:
    """Put the elements of the constraints on the variants' sites, the likeliest way first.

    Coordinates and cell are the prototype's own; sites are not looked at.

    Parameters
    ----------
    similarity
        As for `Variants.resemblance`.

    Yields
    ------
    tuple of float and WyckoffCrystal
        Minus the resemblance times `LESS_LIKELY`, so that it rises, and the crystal.
    """
    orders, rows, scores = [], [], []
    for chosen in constraints.element_sets or ():
        if len(chosen) > MOST_KINDS:
            continue
        variants = shipped_variants(len(chosen))
        for order in permutations(chosen):
            numbers = [atomic_number(symbol) for symbol in order]
            allowed = np.flatnonzero(_allowed(variants, order, constraints))
            orders += [order]
            rows.append(allowed)
            scores.append(variants.resemblance(numbers, similarity)[allowed])
    if not orders:
        return
    score, row = np.concatenate(scores), np.concatenate(rows)
    which = np.repeat(np.arange(len(orders)), [len(some) for some in rows])
    for place in np.argsort(-score, kind="stable"):
        order = orders[which[place]]
        prototype, slots = shipped_variants(len(order)).made[row[place]]
        sites = tuple(
            Site(letter, order[slot], free)
            for (letter, _, free), slot in zip(prototype.sites, slots, strict=True)
        )
        key = -LESS_LIKELY * float(score[place])
        yield key, WyckoffCrystal(prototype.spacegroup, sites, prototype.lattice)


@cache
def shipped_variants(kinds: int) -> Variants:
    """Variants of the shipped prototypes; made once."""
    return variants_of(load_library().prototypes, kinds)


def variants_of(prototypes: Sequence[Prototype], kinds: int) -> Variants:
    """Return all variants of prototypes that have so many kinds of atoms."""
    made = [(p, slots) for p in prototypes for slots in _slots_of(p, kinds)]
    sizes = np.array([prototype.count for prototype, _ in made], int)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    old, new = (np.zeros((starts[-1], kinds + 1), np.uint8) for _ in range(2))
    for row, (prototype, slots) in enumerate(made):
        here = slice(starts[row], starts[row + 1])
        before = [kind for _, kind, _ in prototype.sites]
        for column, (kind, slot) in enumerate(sorted(set(zip(before, slots, strict=True)))):
            old[here, column] = prototype.members[:, kind]
            new[here, column] = slot + 1
    return Variants(made, old, new, starts[:-1])


def _positions(prototype: Prototype) -> list[int]:
    """Rows of the Wyckoff table, one a site."""
    first = int(table().positions_of(prototype.spacegroup)[0])
    return [first + LETTERS.index(letter) for letter, *_ in prototype.sites]


def _allowed(variants: Variants, order: Sequence[str], constraints: Constraints) -> np.ndarray:
    """Which variants have an allowed group, size and, so filled, composition, (V,) bool."""
    allowed = np.ones(len(variants.made), bool)
    if constraints.spacegroups:
        groups = [prototype.spacegroup for prototype, _ in variants.made]
        allowed &= np.isin(groups, constraints.spacegroups)
    allowed &= variants.counts.sum(axis=1) <= constraints.max_atoms
    if constraints.formula and len(allowed):
        different, which = np.unique(variants.counts, axis=0, return_inverse=True)
        fits = [
            constraints.allows_composition(dict(zip(order, map(int, row), strict=True)))
            for row in different
        ]
        allowed &= np.array(fits)[which.ravel()]
    return allowed


def _slots_of(prototype: Prototype, kinds: int) -> Iterator[Slots]:
    """Ways to make so many kinds of a prototype's by one change, each once."""
    old = tuple(kind for _, kind, _ in prototype.sites)
    changes = {-1: _split, 0: _moved, 1: _merged}
    change = changes.get(prototype.kinds - kinds)
    if change is not None:
        yield from dict.fromkeys(change(old, prototype.kinds))


def _split(old: Slots, kinds: int) -> Iterator[Slots]:
    for kind in range(kinds):
        places = [place for place, other in enumerate(old) if other == kind]
        if len(places) > MOST_SPLIT:
            continue
        for size in range(1, len(places) // 2 + 1):
            for some in combinations(places, size):
                if 2 * size == len(places) and places[0] not in some:
                    continue  # the other half by another name
                yield tuple(kinds if place in some else k for place, k in enumerate(old))


def _moved(old: Slots, kinds: int) -> Iterator[Slots]:
    for place, kind in enumerate(old):
        if old.count(kind) > 1:
            for other in set(range(kinds)) - {kind}:
                yield (*old[:place], other, *old[place + 1 :])


def _merged(old: Slots, kinds: int) -> Iterator[Slots]:
    for first, second in combinations(range(kinds), 2):
        # the kinds behind the second move up, so that none is left out
        merged = [first if kind == second else kind for kind in old]
        yield tuple(kind - (kind > second) for kind in merged)
