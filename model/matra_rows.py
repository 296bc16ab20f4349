"""Crystal <-> row of the published baseline Matra-Genoa (De Breuck et al., arXiv:2501.16051).

A row is ``stability amount elements stoichiometry spacegroup sites lattice``: each site is its
element, its orbit and, at once, its free coordinates; lengths and angles come last. Every entry is
a token and, where that is ``NUMBER``, a value. Orbits are shared: positions of different groups
with the same points are one token, so a row may name an orbit that its group does not have.

Two things differ from what is published, both to its good. The role of the next entry is known, as
in our own rows, so that none is spent on marks between blocks. Only those lengths and angles are
written that the space group leaves free; of the six that are published, the group tells the others.

Letters in shapes: B rows of a batch, T entries of a row, O orbits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from model.crystal import Site, WyckoffCrystal, lattice_vectors
from model.elements import symbol_of
from model.shards import Batch
from model.tokens import (
    COUNT_0,
    ELEMENT_0,
    END,
    MAX_COUNT,
    MAX_ELEMENTS,
    MAX_SITES,
    N_ELEMENTS_0,
    NO_FORMULA,
    PAD,
    POSITION_0,
    SPACEGROUP_0,
    TokenError,
    element_token,
    row_to_crystal,
    sorted_sites,
)
from model.tokens import Role as OurRole
from model.wyckoff import LETTERS, crystal_family, table

MAX_LENGTH = 1 + 1 + 2 * MAX_ELEMENTS + 1 + 5 * MAX_SITES + 1 + 6
"""Longest row: every part of a row at its largest."""
ORBIT_0 = POSITION_0
"""Below this, tokens are those of our own rows."""
ORBITS = 974
"""How many `orbits` there are."""
NUMBER = ORBIT_0 + ORBITS
"""Token of every continuous value."""
VOCABULARY = NUMBER + 1
"""Number of tokens."""


class Role(IntEnum):
    """What an entry says."""

    PROMPT = 0
    AMOUNT = 1
    ELEMENT = 2
    COUNT = 3
    SPACEGROUP = 4
    SITE_ELEMENT = 5
    ORBIT = 6
    X = 7
    Y = 8
    Z = 9
    A = 10
    B = 11
    C = 12
    ALPHA = 13
    BETA = 14
    GAMMA = 15
    DONE = 16


LATTICE_ROLES = {
    "cubic": (Role.A,),
    "hexagonal": (Role.A, Role.C),
    "tetragonal": (Role.A, Role.C),
    "orthorhombic": (Role.A, Role.B, Role.C),
    "monoclinic": (Role.A, Role.B, Role.C, Role.BETA),
    "triclinic": (Role.A, Role.B, Role.C, Role.ALPHA, Role.BETA, Role.GAMMA),
}


@dataclass(frozen=True)
class Orbits:
    """Wyckoff positions of all groups that have the same points, as one orbit."""

    of_position: np.ndarray
    """Orbit of each position, (1731,)."""
    position: np.ndarray
    """Position of each orbit in each group, -1 where the group has none, (230, O)."""
    free_axes: np.ndarray
    """Which of x, y, z are free, (O, 3) bool."""


@cache
def orbits() -> Orbits:
    """Sort the positions of all groups into orbits.

    Two positions are one orbit if they consist of the same points and the same of them comes
    first, so that free coordinates mean the same. The paper counts 990 in its own setting.
    """
    wyckoff = table()
    numbers: dict[bytes, int] = {}
    of_position = np.zeros(len(wyckoff.group), int)
    for position in range(len(of_position)):
        maps = np.rint(wyckoff.operations_of(position) * 24).astype(int)
        maps[:, :, 3] %= 24
        points = sorted(each.tobytes() for each in maps)
        key = maps[0].tobytes() + b"".join(points)
        of_position[position] = numbers.setdefault(key, len(numbers))
    by_group = np.full((230, ORBITS), -1)
    by_group[wyckoff.group - 1, of_position] = np.arange(len(of_position))
    free_axes = np.zeros((ORBITS, 3), bool)
    free_axes[of_position] = wyckoff.free_axes
    return Orbits(of_position, by_group, free_axes)


@dataclass(frozen=True)
class MatraRow:
    """One crystal as arrays over its entries."""

    tokens: np.ndarray
    """(T,) int."""
    values: np.ndarray
    """Angstrom, degrees or fraction of a lattice vector; 0 where the token is no number, (T,)."""
    roles: np.ndarray
    """(T,) int."""

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.tokens)


def crystal_to_matra(crystal: WyckoffCrystal, stability: int) -> MatraRow:
    """Write a crystal as a row, sites in the canonical order of our own rows.

    Parameters
    ----------
    stability : int
        First token: ``LOW`` (EH0 of the paper, up to 0.075 eV/atom above the hull), ``HIGH``
        (EH1), or ``ANY`` where nothing is said.
    """
    divisor = int(np.gcd.reduce(list(crystal.composition.values())))
    counts = [count // divisor for count in crystal.composition.values()]
    entries: list[tuple[int, float, Role]] = [
        (stability, 0.0, Role.PROMPT),
        (N_ELEMENTS_0 + len(counts) - 1, 0.0, Role.AMOUNT),
    ]
    entries += [(element_token(symbol), 0.0, Role.ELEMENT) for symbol in crystal.composition]
    for count in counts:
        token = COUNT_0 + count - 1 if count <= MAX_COUNT else NO_FORMULA
        entries.append((token, 0.0, Role.COUNT))
    entries.append((SPACEGROUP_0 + crystal.spacegroup - 1, 0.0, Role.SPACEGROUP))
    for site in sorted_sites(crystal):
        orbit = int(orbits().of_position[table().position(crystal.spacegroup, site.letter)])
        entries.append((element_token(site.element), 0.0, Role.SITE_ELEMENT))
        entries.append((ORBIT_0 + orbit, 0.0, Role.ORBIT))
        pairs = zip(coordinate_roles(orbit), site.free, strict=True)
        entries += [(NUMBER, value, role) for role, value in pairs]
    entries.append((END, 0.0, Role.SITE_ELEMENT))
    for role in LATTICE_ROLES[crystal_family(crystal.spacegroup)]:
        entries.append((NUMBER, float(crystal.lattice[role - Role.A]), role))
    tokens, values, roles = zip(*entries, strict=True)
    return MatraRow(np.array(tokens), np.array(values), np.array(roles, int))


def matra_to_crystal(row: MatraRow) -> WyckoffCrystal:
    """Read a row whose entries have the roles that they should; the inverse of the writing.

    Raises
    ------
    TokenError
        If the row is no crystal: without an end or a site, with an orbit that its group does not
        have, with two atoms on one point, or with lengths and angles that make no cell.
    """
    group = int(row.tokens[row.roles == Role.SPACEGROUP][0]) - SPACEGROUP_0 + 1
    if END not in row.tokens:
        raise TokenError(f"more than {MAX_SITES} sites")
    sites, fixed = [], set()
    for place in np.flatnonzero(row.roles == Role.ORBIT):
        position = int(orbits().position[group - 1, row.tokens[place] - ORBIT_0])
        if position < 0:
            raise TokenError("an orbit that the space group does not have")
        freedom = int(table().freedom[position])
        if freedom == 0 and position in fixed:
            raise TokenError("two atoms on one point")
        fixed.add(position)
        free = tuple(float(v) % 1.0 for v in row.values[place + 1 : place + 1 + freedom])
        symbol = symbol_of(int(row.tokens[place - 1]) - ELEMENT_0 + 1)
        sites.append(Site(LETTERS[table().letter[position]], symbol, free))
    if not sites:
        raise TokenError("no site")
    return WyckoffCrystal(group, tuple(sites), _lattice(row, crystal_family(group)))


def following(tokens: np.ndarray, roles: np.ndarray) -> list[Role]:
    """Roles that the last entry of an unfinished row adds to those that are known to come.

    A row whose site after the last possible one has begun ends there: nothing follows.
    """
    token, role = int(tokens[-1]), int(roles[-1])
    if role == Role.AMOUNT:
        amount = token - N_ELEMENTS_0 + 1
        header = [Role.ELEMENT] * amount + [Role.COUNT] * amount
        return [*header, Role.SPACEGROUP, Role.SITE_ELEMENT]
    if role == Role.ORBIT:
        return [*coordinate_roles(token - ORBIT_0), Role.SITE_ELEMENT]
    if role == Role.SITE_ELEMENT and token == END:
        group = int(tokens[roles == Role.SPACEGROUP][0]) - SPACEGROUP_0 + 1
        return list(LATTICE_ROLES[crystal_family(group)])
    if role == Role.SITE_ELEMENT and (roles == Role.ORBIT).sum() < MAX_SITES:
        return [Role.ORBIT]
    return []


def coordinate_roles(orbit: int) -> list[Role]:
    """Roles of the free coordinates of an orbit."""
    return [Role(Role.X + int(axis)) for axis in np.flatnonzero(orbits().free_axes[orbit])]


@dataclass(frozen=True)
class MatraBatch:
    """Rows padded to one length."""

    tokens: np.ndarray
    """(B, T) int, ``PAD`` after the end."""
    values: np.ndarray
    """(B, T) float32."""
    roles: np.ndarray
    """(B, T) int, ``Role.DONE`` after the end."""


def reassemble(batch: Batch) -> MatraBatch:
    """Write the crystals of one of our own batches in this layout, with the same stability."""
    rows = []
    for tokens, fine, roles in zip(batch.tokens, batch.fine, batch.roles, strict=True):
        length = int((roles != int(OurRole.DONE)).sum())
        crystal = row_to_crystal(tokens[:length], fine[:length])
        rows.append(crystal_to_matra(crystal, int(tokens[0])))
    shape = (len(rows), max(len(row) for row in rows))
    padded = MatraBatch(
        np.full(shape, PAD), np.zeros(shape, np.float32), np.full(shape, int(Role.DONE))
    )
    for k, row in enumerate(rows):
        padded.tokens[k, : len(row)] = row.tokens
        padded.values[k, : len(row)] = row.values
        padded.roles[k, : len(row)] = row.roles
    return padded


def _lattice(row: MatraRow, family: str) -> tuple[float, float, float, float, float, float]:
    """Conventional lattice parameters from those that are free."""
    told = {
        Role(int(role)): float(value)
        for role, value in zip(row.roles, row.values, strict=True)
        if Role.A <= role <= Role.GAMMA
    }
    a = told[Role.A]
    c = told.get(Role.C, a)
    b = told.get(Role.B, a)
    right = {Role.ALPHA: 90.0, Role.BETA: 90.0, Role.GAMMA: 120.0 if family == "hexagonal" else 90}
    angles = tuple(float(told.get(role, usual)) for role, usual in right.items())
    lattice = (a, b, c, *angles)
    if not (np.isfinite(lattice).all() and min(lattice) > 0 and max(angles) < 180):
        raise TokenError("lengths or angles that make no cell")
    try:
        lattice_vectors(*lattice)
    except ValueError:
        raise TokenError("lengths or angles that make no cell") from None
    return lattice
