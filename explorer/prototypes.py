"""Prototypes: what known crystals have in common when their elements are forgotten.

A prototype is a space group and, for each kind of atom, the Wyckoff letters that it occupies;
descriptions that the Euclidean normalizer turns into each other are one. Each keeps the geometry of
its most typical member, and the elements of all. The shipped library is computed from training
crystals by ``python -m explorer.prepare prototypes``.

Letters in shapes: P prototypes, S sites, F free coordinates, M element choices of all members.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from explorer.encode import locate
from model.arrays import read_arrays
from model.crystal import Site, WyckoffCrystal, lattice_vectors
from model.elements import atomic_number, symbol_of
from model.wyckoff import LETTERS, table

SHIPPED = Path(__file__).parent / "data" / "prototypes.npz"
GENERIC = np.array([0.1237, 0.2719, 0.3771])
"""Variables of a point that lies on no more special position than it must."""
MOST_COMPARED = 200
"""Members among which the most typical is looked for."""

Member = tuple[WyckoffCrystal, list[tuple[str, ...]]]
"""A crystal, and the orders of its elements that lead to its prototype."""
Skeleton = tuple[int, tuple[tuple[str, tuple[int, ...]], ...]]
"""Space group and, for each element, the letters that it occupies, as indices."""


@dataclass(frozen=True)
class Prototype:
    """A way of occupying a space group, and who does so."""

    spacegroup: int
    """1-230."""
    sites: tuple[tuple[str, int, tuple[float, ...]], ...]
    """Letter, kind of atom (from 0) and free coordinates of each site of the typical member."""
    lattice: tuple[float, float, float, float, float, float]
    """Of the typical member, Å and degrees."""
    members: np.ndarray
    """Atomic numbers of each member's kinds of atoms, the typical member first, (count, kinds)."""
    turns: tuple[tuple[int, ...], ...]
    """Orders of the kinds that the normalizer takes for each other, the given order first."""

    @property
    def count(self) -> int:
        """Number of members."""
        return len(self.members)

    @property
    def kinds(self) -> int:
        """Number of kinds of atoms."""
        return self.members.shape[1]

    def skeleton_key(self, elements: Sequence[str]) -> tuple[str, ...]:
        """Return what two ways to put elements on the kinds share if their skeleton is the same."""
        alike = self._alike
        arranged = [[elements[kind] for kind in turn] for turn in self.turns]
        return min(
            tuple(symbol for _, symbol in sorted(zip(alike, a, strict=True))) for a in arranged
        )

    @property
    def typical(self) -> WyckoffCrystal:
        """The most typical member, whose geometry it has."""
        return self._place([symbol_of(int(z)) for z in self.members[0]], self.lattice)

    @property
    def _alike(self) -> list[int]:
        """Number of the first kind that occupies the same letters, for each kind."""
        letters = [
            sorted(letter for letter, k, _ in self.sites if k == kind) for kind in range(self.kinds)
        ]
        return [letters.index(one) for one in letters]

    def filled(self, elements: Sequence[str], volumes: np.ndarray) -> WyckoffCrystal:
        """Put an element on each kind of atom.

        Parameters
        ----------
        volumes : ndarray, shape (119,)
            Å³ that an atom of each atomic number takes; the cell of the typical member is scaled
            by the ratio of their sums.
        """
        ratio = _room(self._place(elements, self.lattice), volumes) / _room(self.typical, volumes)
        a, b, c, *angles = self.lattice
        scale = ratio ** (1 / 3)
        return self._place(elements, (a * scale, b * scale, c * scale, *angles))

    def _place(self, elements: Sequence[str], lattice: tuple) -> WyckoffCrystal:
        sites = tuple(Site(letter, elements[kind], free) for letter, kind, free in self.sites)
        return WyckoffCrystal(self.spacegroup, sites, lattice)


@dataclass(frozen=True)
class PrototypeLibrary:
    """All prototypes, most members first, and how much room atoms take."""

    prototypes: tuple[Prototype, ...]
    volumes: np.ndarray
    """Å³ by atomic number, (119,); elements that no crystal held have the mean."""


def skeleton(crystal: WyckoffCrystal) -> Skeleton:
    """Return the occupied letters of each element, the same for all equivalent descriptions."""
    number, occupied = crystal.spacegroup, _occupied(crystal)
    described = [
        tuple(sorted((element, _mapped(letters, turn)) for element, letters in occupied.items()))
        for turn in letter_maps(number)
    ]
    return number, min(described)


def anonymous(crystal: WyckoffCrystal) -> tuple[tuple, list[tuple[str, ...]]]:
    """Return the prototype of a crystal, and the orders of its elements that all lead to it."""
    occupied = _occupied(crystal)
    ways = []
    for turn in letter_maps(crystal.spacegroup):
        mapped = {element: _mapped(letters, turn) for element, letters in occupied.items()}
        order = sorted(mapped, key=lambda element: (len(mapped[element]), mapped[element]))
        ways.append((tuple(mapped[element] for element in order), tuple(order)))
    letters = min(letters for letters, _ in ways)
    return (crystal.spacegroup, letters), sorted({order for way, order in ways if way == letters})


@cache
def letter_maps(spacegroup: int) -> tuple[tuple[int, ...], ...]:
    """How the Euclidean normalizer permutes the Wyckoff letters of a group, each way once.

    Entry ``[k][i]`` is the index of the letter that way ``k`` makes of letter ``i``.
    """
    wyckoff = table()
    positions = wyckoff.positions_of(spacegroup)
    ways = {tuple(range(len(positions)))}
    for turn in wyckoff.normalizers_of(spacegroup):
        found = []
        for position in positions:
            points = wyckoff.orbit(position, GENERIC[wyckoff.free_axes[position]])
            place = locate(wyckoff, spacegroup, points @ turn[:, :3].T + turn[:, 3])
            found.append(None if place is None else place[0] - positions[0])
        if None not in found:
            ways.add(tuple(found))
    return tuple(sorted(ways))


def build_library(crystals: Sequence[WyckoffCrystal]) -> PrototypeLibrary:
    """Group crystals, in canonical form, by prototype."""
    grouped: dict[tuple, list[Member]] = defaultdict(list)
    for crystal in crystals:
        key, orders = anonymous(crystal)
        grouped[key].append((crystal, orders))
    ranked = sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0]))
    return PrototypeLibrary(
        tuple(_prototype(members) for _, members in ranked), atomic_volumes(crystals)
    )


def atomic_volumes(crystals: Sequence[WyckoffCrystal]) -> np.ndarray:
    """Fit the room that atoms take, so that volumes of cells are sums of it, Å³, (119,).

    Least squares of relative errors without negative volumes; 0 is no element.
    """
    counts = np.zeros((len(crystals), 119))
    for row, crystal in enumerate(crystals):
        for symbol, count in crystal.composition.items():
            counts[row, atomic_number(symbol)] = count
    cells = np.array([_volume(crystal) for crystal in crystals])
    volumes, _ = nnls(counts / cells[:, None], np.ones(len(cells)))
    known = volumes > 0
    return np.where(known, volumes, volumes[known].mean())


def save_library(path: Path, library: PrototypeLibrary) -> None:
    """Write a library as one compressed file."""
    kept = library.prototypes
    sites = [site for p in kept for site in p.sites]
    np.savez_compressed(
        path,
        spacegroup=np.array([p.spacegroup for p in kept], np.uint8),
        lattice=np.array([p.lattice for p in kept], np.float32),
        kinds=np.array([p.kinds for p in kept], np.uint8),
        sites=np.array([len(p.sites) for p in kept], np.uint8),
        letter=np.array([LETTERS.index(letter) for letter, _, _ in sites], np.uint8),
        kind=np.array([kind for _, kind, _ in sites], np.uint8),
        free=np.array([value for *_, free in sites for value in free], np.float32),
        count=np.array([p.count for p in kept], np.int32),
        members=np.concatenate([p.members.ravel() for p in kept]).astype(np.uint8),
        turns=np.array([len(p.turns) for p in kept], np.uint8),
        turn=np.array([kind for p in kept for turn in p.turns for kind in turn], np.uint8),
        volumes=library.volumes.astype(np.float32),
    )


@cache
def load_library(path: Path = SHIPPED) -> PrototypeLibrary:
    """Read a library; read once, then shared.

    Raises
    ------
    ValueError
        If there is none at ``path``.
    """
    arrays = read_arrays(path, "prototypes", "prototypes")
    return PrototypeLibrary(tuple(_unpack(arrays)), arrays["volumes"].astype(float))


def _unpack(arrays: dict[str, np.ndarray]) -> list[Prototype]:
    """Cut the flat arrays into prototypes."""
    wyckoff = table()
    kinds = arrays["kinds"].astype(int)
    group = np.repeat(arrays["spacegroup"].astype(int), arrays["sites"])
    freedom = wyckoff.freedom[wyckoff.group_start[group - 1] + arrays["letter"]]
    free = [tuple(values.tolist()) for values in _cut(arrays["free"].astype(float), freedom)]
    letters = [LETTERS[k] for k in arrays["letter"]]
    sites = list(zip(letters, arrays["kind"].tolist(), free, strict=True))
    ends = np.cumsum(arrays["sites"], dtype=int)
    members = _cut(arrays["members"].astype(int), arrays["count"] * kinds)
    turns = _cut(arrays["turn"].astype(int), arrays["turns"] * kinds)
    return [
        Prototype(
            int(arrays["spacegroup"][k]),
            tuple(sites[ends[k] - arrays["sites"][k] : ends[k]]),
            tuple(arrays["lattice"][k].astype(float).tolist()),
            members[k].reshape(-1, kinds[k]),
            tuple(map(tuple, turns[k].reshape(-1, kinds[k]).tolist())),
        )
        for k in range(len(kinds))
    ]


def _cut(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut an array into pieces of the given lengths."""
    return np.split(values, np.cumsum(lengths, dtype=int)[:-1])


def _prototype(members: list[Member]) -> Prototype:
    typical = _most_typical([crystal for crystal, _ in members])
    crystal, orders = members[typical]
    order = orders[0]
    sites = tuple((s.letter, order.index(s.element), s.free) for s in crystal.sites)
    ordered = [members[typical], *members[:typical], *members[typical + 1 :]]
    numbers = np.array([[atomic_number(symbol) for symbol in first] for _, (first, *_) in ordered])
    turns = tuple(tuple(order.index(symbol) for symbol in other) for other in orders)
    return Prototype(crystal.spacegroup, sites, crystal.lattice, numbers, turns)


def _most_typical(crystals: Sequence[WyckoffCrystal]) -> int:
    """Index of the crystal whose shape and coordinates are nearest to all others'."""
    shapes = [_shape(crystal) for crystal in crystals[:MOST_COMPARED]]
    longest = max(len(shape) for shape in shapes)
    usual = [k for k, shape in enumerate(shapes) if len(shape) == longest]
    features = np.array([shapes[k] for k in usual])
    apart = np.abs(features[:, None] - features[None])
    apart[..., 5:] = np.minimum(apart[..., 5:], 1 - apart[..., 5:])  # coordinates are periodic
    return usual[int(apart.sum(axis=(1, 2)).argmin())]


def _shape(crystal: WyckoffCrystal) -> list[float]:
    """Ratios, angles and free coordinates of a crystal."""
    a, b, c, *angles = crystal.lattice
    free = [value % 1.0 for site in crystal.sites for value in site.free]
    return [np.log(b / a), np.log(c / a), *np.radians(angles), *free]


def _occupied(crystal: WyckoffCrystal) -> dict[str, list[int]]:
    occupied: dict[str, list[int]] = defaultdict(list)
    for site in crystal.sites:
        occupied[site.element].append(LETTERS.index(site.letter))
    return occupied


def _mapped(letters: Sequence[int], turn: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(turn[letter] for letter in letters))


def _volume(crystal: WyckoffCrystal) -> float:
    """Volume of the primitive cell, Å³."""
    cell = abs(np.linalg.det(lattice_vectors(*crystal.lattice)))
    return float(cell / table().centering[crystal.spacegroup - 1])


def _room(crystal: WyckoffCrystal, volumes: np.ndarray) -> float:
    counts = crystal.composition.items()
    return float(sum(volumes[atomic_number(symbol)] * count for symbol, count in counts))
