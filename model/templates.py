"""Geometries of known crystals by skeleton, to try before the network draws one of its own.

Letters come in equivalent choices of origin and axes, and kinds of atoms in any order; a template
is stored in every choice, so that a skeleton finds it whatever its letters. The file is computed
from training crystals by ``python -m explorer.prepare templates``.

Letters in shapes: K kinds of atoms, M members (known crystals) of a pattern, L numbers of a row
after its skeleton: lattice, then the free coordinates kind by kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations, product
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model import tokens as vocabulary
from model.arrays import read_arrays
from model.crystal import lattice_vectors
from model.elements import element_distance, in_formula_order, symbol_of
from model.exclusion import Exclusion
from model.recolouring import Site, recolourings
from model.tokens import SCALES, Role, Row, row_tail, row_to_crystal
from model.wyckoff import table

SHIPPED = Path(__file__).with_name("templates.npz")
LIKE = {
    Role.VOLUME: np.inf,
    Role.RATIO_B: 0.05,
    Role.RATIO_C: 0.05,
    Role.ALPHA: 3.0,
    Role.BETA: 3.0,
    Role.GAMMA: 3.0,
    Role.X: 0.03,
    Role.Y: 0.03,
    Role.Z: 0.03,
}
"""Geometries of one skeleton are one if all numbers differ by less."""
MOST_TRIES = 8
"""Different geometries that one skeleton is offered."""

Pattern = tuple[tuple[int, ...], ...]
"""Positions (rows of the Wyckoff table) that each kind of atom occupies, kinds in rising order."""
Source = tuple[Pattern, int, tuple[int, ...]]
"""A pattern, one of its members, and which of its sites, kind by kind, each asked site is."""


class Template(NamedTuple):
    """One known geometry, with the elements that a skeleton asks for."""

    row: Row
    """The whole row."""
    model: str
    """Reduced formula of the known crystal that the geometry is of."""


@dataclass(frozen=True)
class Members:
    """The known crystals of one pattern."""

    kinds: np.ndarray
    """Atomic numbers, (M, K)."""
    numbers: np.ndarray
    """Values of lattice and coordinates, on the scales of their tokens, (M, L)."""


def pattern_of(sites: Sequence[tuple[int, int]]) -> tuple[Pattern, tuple[int, ...]]:
    """Return the pattern of (position, atomic number) pairs, and the kinds in its order."""
    occupied: dict[int, list[int]] = {}
    for position, number in sites:
        occupied.setdefault(number, []).append(position)
    kinds = sorted(occupied, key=lambda number: (sorted(occupied[number]), number))
    return tuple(tuple(sorted(occupied[kind])) for kind in kinds), tuple(kinds)


class Templates:
    """Known geometries, to be looked up by skeleton.

    Parameters
    ----------
    members : dict
        Known crystals by pattern.
    volumes : ndarray, shape (119,)
        Å³ that an atom of each atomic number takes.
    variants : bool
        Whether a skeleton that no known crystal has gets the geometries of its ordered variants:
        crystals that occupy its positions with other kinds of atoms (`model.recolouring`).
    """

    def __init__(
        self, members: dict[Pattern, Members], volumes: np.ndarray, variants: bool = False
    ) -> None:
        self._members, self._volumes, self.variants = members, volumes, variants

    def with_variants(self) -> Templates:
        """Return the same geometries, also for ordered variants."""
        return Templates(self._members, self._volumes, variants=True)

    def __len__(self) -> int:
        """Return the number of geometries, each counted once for each choice of letters."""
        return sum(len(found.kinds) for found in self._members.values())

    def knows(self, skeleton: Sequence[int]) -> bool:
        """Whether any known crystal has the skeleton (tokens up to ``END``)."""
        return pattern_of(_sites(skeleton))[0] in self._members

    def hold(self, skeleton: Sequence[int]) -> bool:
        """Whether a known crystal has the skeleton with the very elements that it names."""
        pattern, kinds = pattern_of(_sites(skeleton))
        members = self._members.get(pattern)
        return members is not None and any(
            bool((members.kinds == order).all(axis=1).any()) for order in _orders(pattern, kinds)
        )

    def of(self, skeleton: Sequence[int], most: int = MOST_TRIES) -> list[Template]:
        """Return geometries for a skeleton that differ, the chemically nearest crystal's first.

        Nearness is the distance of the elements' standardized periodic-table features, summed over
        the kinds of atoms. Those that would put atoms inside one another are left out.

        Parameters
        ----------
        skeleton : sequence of int
            Tokens from the first to ``END``.
        most : int
            Geometries wanted; there are at most `MOST_TRIES`.
        """
        sites = _sites(skeleton)
        found: list[Template] = []
        kept: list[np.ndarray] = []
        tail = row_tail(int(table().group[sites[0][0]]), [p for p, _ in sites])
        roles = [role for role, _ in tail]
        for pattern, member, owners in self._nearest(sites):
            values = self._values(pattern, member, owners, sites)
            if any(_alike(values, other, roles) for other in kept):
                continue
            row = _row(skeleton, sites, tail, values)
            if row is not None:
                kept.append(values)
                known = self._members[pattern].kinds[member]
                found.append(Template(row, _formula(pattern, known)))
            if len(found) == min(most, MOST_TRIES):
                break
        return found

    def _nearest(self, sites: Sequence[Site]) -> Iterator[Source]:
        """Known crystals that have the skeleton, or else its positions, the nearest first."""
        pattern, kinds = pattern_of(sites)
        members = self._members.get(pattern)
        if members is None:
            yield from self._recoloured(sites) if self.variants else ()
            return
        orders = list(_orders(pattern, kinds))
        apart = np.stack(
            [element_distance()[members.kinds, np.array(order)].sum(axis=1) for order in orders]
        )
        for place in np.argsort(apart.T, axis=None, kind="stable"):
            member, order = divmod(int(place), len(orders))
            yield pattern, member, _owners(sites, pattern, orders[order])

    def _recoloured(self, sites: Sequence[Site]) -> Iterator[Source]:
        """Known crystals that occupy the positions with other kinds of atoms."""
        patterns = self._by_positions.get(tuple(sorted(p for p, _ in sites)), ())
        ways = []
        for pattern in patterns:
            sizes = [len(places) for places in pattern]
            known = np.repeat(self._members[pattern].kinds, sizes, axis=1)
            positions = [position for places in pattern for position in places]
            some = recolourings(sites, positions, known)
            ways += [(apart, pattern, member, owners) for apart, member, owners in some]
        for _, pattern, member, owners in sorted(ways, key=itemgetter(0)):
            yield pattern, member, owners

    @cached_property
    def _by_positions(self) -> dict[tuple[int, ...], list[Pattern]]:
        """Patterns by the positions that they occupy, whatever is there."""
        found: dict[tuple[int, ...], list[Pattern]] = defaultdict(list)
        for pattern in self._members:
            found[tuple(sorted(p for places in pattern for p in places))].append(pattern)
        return found

    def _values(
        self, pattern: Pattern, member: int, owners: tuple[int, ...], sites: Sequence[Site]
    ) -> np.ndarray:
        """Numbers of a member in the order of the asked sites, its volume fitted to them, (L,)."""
        members = self._members[pattern]
        values = members.numbers[member]
        kinds = members.kinds[member]
        there = [(p, z) for places, z in zip(pattern, kinds, strict=True) for p in places]
        freedom = table().freedom[[position for position, _ in there]].astype(int)
        shape = len(values) - int(freedom.sum())
        coordinates = np.split(values[shape:], np.cumsum(freedom)[:-1])
        lattice = values[:shape].copy()
        lattice[0] += np.log(self._room(sites) / self._room(there))
        taken: dict[Site, list[np.ndarray]] = defaultdict(list)
        for site, owner in zip(sites, owners, strict=True):
            taken[site].append(coordinates[owner])
        for same in taken.values():  # sites of one element and letter go by their coordinates
            same.sort(key=tuple)
        return np.concatenate([lattice, *(taken[site].pop(0) for site in sites)])

    def _room(self, sites: Sequence[Site]) -> float:
        """Volume that the atoms of sites take, Å³."""
        positions, numbers = np.array(sites).T
        return float(np.dot(table().multiplicity[positions], self._volumes[numbers]))


@cache
def load_templates(path: Path = SHIPPED) -> Templates:
    """Read known geometries; read once, then shared.

    Raises
    ------
    ValueError
        If there are none at ``path``.
    """
    arrays = read_arrays(path, "templates", "templates")
    members, at, place, element, number = {}, 0, 0, 0, 0
    for kinds, count, length in zip(
        arrays["kinds"].tolist(), arrays["members"].tolist(), arrays["length"].tolist(), strict=True
    ):
        sizes = arrays["sizes"][at : at + kinds].tolist()
        at += kinds
        pattern = []
        for size in sizes:
            pattern.append(tuple(arrays["positions"][place : place + size].tolist()))
            place += size
        known = arrays["elements"][element : element + kinds * count].reshape(count, kinds)
        element += kinds * count
        numbers = arrays["numbers"][number : number + length * count].reshape(count, length)
        number += length * count
        members[tuple(pattern)] = Members(known.astype(int), numbers.astype(float))
    return Templates(members, arrays["volumes"].astype(float))


def save_templates(path: Path, members: dict[Pattern, Members], volumes: np.ndarray) -> None:
    """Write known geometries as one compressed file, in single precision."""
    ordered = sorted(members.items())
    np.savez_compressed(
        path,
        kinds=np.array([len(pattern) for pattern, _ in ordered], np.uint8),
        members=np.array([len(found.kinds) for _, found in ordered], np.int32),
        length=np.array([found.numbers.shape[1] for _, found in ordered], np.uint8),
        sizes=np.array([len(places) for pattern, _ in ordered for places in pattern], np.uint8),
        positions=np.array(
            [p for pattern, _ in ordered for places in pattern for p in places], np.int16
        ),
        elements=np.concatenate([found.kinds.ravel() for _, found in ordered]).astype(np.uint8),
        numbers=np.concatenate([found.numbers.ravel() for _, found in ordered]).astype(np.float32),
        volumes=volumes.astype(np.float32),
    )


def _owners(sites: Sequence[Site], pattern: Pattern, order: Sequence[int]) -> tuple[int, ...]:
    """Which of a pattern's sites, kind by kind, each asked one is, its kinds in the given order."""
    there: dict[Site, list[int]] = defaultdict(list)
    flat = ((p, kind) for places, kind in zip(pattern, order, strict=True) for p in places)
    for index, site in enumerate(flat):
        there[site].append(index)
    return tuple(there[site].pop(0) for site in sites)


def _sites(skeleton: Sequence[int]) -> list[Site]:
    """(position, atomic number) of each site of a row up to its ``END``."""
    first = next(k for k, token in enumerate(skeleton) if token >= vocabulary.POSITION_0)
    last = list(skeleton).index(vocabulary.END)
    return [
        (skeleton[k] - vocabulary.POSITION_0, skeleton[k + 1] - vocabulary.ELEMENT_0 + 1)
        for k in range(first, last, 2)
    ]


def _roles(skeleton: Sequence[int]) -> list[Role]:
    """Role of each token up to ``END``."""
    v = vocabulary
    roles, sited = [], False
    for token in skeleton:
        sited = sited or token >= v.POSITION_0
        if token >= v.POSITION_0 or token == v.END:
            roles.append(Role.POSITION)
        elif v.ELEMENT_0 <= token < v.SPACEGROUP_0:
            roles.append(Role.SITE_ELEMENT if sited else Role.ELEMENT)
        elif v.SPACEGROUP_0 <= token < v.COUNT_0:
            roles.append(Role.SPACEGROUP)
        elif token >= v.COUNT_0:
            roles.append(Role.COUNT)
        else:
            roles.append(Role.N_ELEMENTS if token >= v.N_ELEMENTS_0 else Role.PROMPT)
    return roles


def _orders(pattern: Pattern, kinds: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All ways to put the kinds on a pattern: those with the same places may be exchanged."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for places, kind in zip(pattern, kinds, strict=True):
        groups.setdefault(places, []).append(kind)
    for choice in product(*(permutations(group) for group in groups.values())):
        yield tuple(kind for group in choice for kind in group)


def _alike(first: np.ndarray, second: np.ndarray, roles: Sequence[Role]) -> bool:
    """Whether two geometries of one skeleton, (L,) each, differ by little; volumes may differ."""
    apart = first - second
    periodic = np.array([SCALES[role].periodic for role in roles])
    apart = np.where(periodic, apart - np.rint(apart), apart)
    return bool((np.abs(apart) < [LIKE[role] for role in roles]).all())


def _row(
    skeleton: Sequence[int],
    sites: Sequence[tuple[int, int]],
    tail: Sequence[tuple[Role, int]],
    values: np.ndarray,
) -> Row | None:
    """Write a geometry after its skeleton; None where no crystal comes of it."""
    try:
        coded = [SCALES[role].encode(v) for (role, _), v in zip(tail, values, strict=True)]
        row = _joined(skeleton, coded, tail)
        lattice = row_to_crystal(row.tokens, row.fine).lattice
    except ValueError:  # beyond a scale, or angles that do not meet
        return None
    exclusion = Exclusion(lattice_vectors(*lattice))
    for owner, (position, number) in enumerate(sites):
        free = [v for (_, of), v in zip(tail, values, strict=True) if of == owner]
        if exclusion.clashes(position, number, free):
            return None
        exclusion.place(position, number, free)
    return row


def _joined(
    skeleton: Sequence[int], coded: Sequence[tuple[int, int]], tail: Sequence[tuple[Role, int]]
) -> Row:
    """One row of a skeleton's tokens and those of its numbers."""
    tokens = [*skeleton, *(token for token, _ in coded)]
    fine = [0] * len(skeleton) + [step for _, step in coded]
    owners = [-1] * len(skeleton) + [owner for _, owner in tail]
    roles = _roles(skeleton) + [role for role, _ in tail]
    columns = (tokens, fine, roles, owners)
    kinds = (np.int16, np.int8, np.int8, np.int8)
    return Row(*(np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)))


def _formula(pattern: Pattern, kinds: np.ndarray) -> str:
    """Reduced formula of a known crystal."""
    counts = [int(sum(table().multiplicity[list(places)])) for places in pattern]
    divisor = int(np.gcd.reduce(counts))
    by_symbol = {symbol_of(int(z)): n // divisor for z, n in zip(kinds, counts, strict=True)}
    ordered = in_formula_order(tuple(by_symbol))
    return "".join(f"{s}{by_symbol[s] if by_symbol[s] > 1 else ''}" for s in ordered)
