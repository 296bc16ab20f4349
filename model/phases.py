"""Known phases and their energies: what a crystal would have to compete with.

A crystal is stable against what is known, and no crystal tells that of itself. The file beside this
one is computed by ``python -m explorer.prepare phases`` from the training crystals and from a table
of published formation energies, without those of any composition that is kept for validation.

Of a crystal's own chemical system only the training crystals count, and of its own composition
nothing counts for the hull: a published energy of the very crystal that is scored tells nothing.

Energies (PBE, MP2020 corrections): Materials Project (CC BY 4.0; Jain et al., APL Mater. 1,
011002, 2013) and of WBM (Wang, Botti, Marques, npj Comput. Mater. 7, 12, 2021).

Letters in shapes: C crystals, K elements of a system, N phases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, reduce
from itertools import combinations
from math import gcd
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model.arrays import read_arrays
from model.crystal import WyckoffCrystal
from model.elements import atomic_number, elements
from model.tokens import sorted_sites
from model.wyckoff import table

SHIPPED = Path(__file__).with_name("phases.npz")
NEAREST = 12
"""Known crystals of a skeleton that are asked for their energies."""
SOFTNESS = 0.15
"""Squared chemical distance at which a neighbour's weight has fallen to 1/e."""
EVEN = 0.3
"""Weight in that distance of the kinds of atoms each alike, beside that of their shares."""
OPTIMAL = 1e-9
"""eV/atom; a phase that lowers a mixture by less does not."""

Composition = tuple[tuple[int, int], ...]
"""Pairs of atomic number and count without a common divisor, in rising order."""
Skeleton = tuple[tuple[int, int], ...]
"""For each site its position (row of the Wyckoff table) and which kind of atom occupies it."""


class Competition(NamedTuple):
    """The hull that a composition has to compete with, phases of its own left out."""

    energy: float
    """Of the best mixture of phases of other compositions, eV/atom."""
    sides: float
    """The same of phases with fewer elements."""
    own_phases: int
    """Compositions with all of the elements that are known."""
    side_phases: int
    """Compositions with some of them that are known."""


class Neighbours(NamedTuple):
    """Known crystals with the same skeleton and other elements, the nearest ones weighted most."""

    count: int
    """All that there are."""
    distance: float
    """Squared chemical distance of the nearest."""
    formation_energy: float
    """Weighted mean, eV/atom."""
    e_above_hull: float
    """Weighted mean, each at most 0.5 eV/atom."""
    low: float
    """Weighted share up to the limit that was asked for."""


NOBODY = Neighbours(0, float("inf"), 0.0, 0.0, 0.0)


class Described(NamedTuple):
    """A crystal as it is looked up."""

    skeleton: Skeleton
    kinds: tuple[int, ...]
    """Atomic numbers, in the order of their first sites."""
    shares: tuple[float, ...]
    """Share of each kind in the atoms."""
    composition: Composition


class Group(NamedTuple):
    """Phases of one chemical system, the lowest of each composition."""

    compositions: list[Composition]
    fractions: np.ndarray
    """Atomic fractions, (N, K)."""
    energies: np.ndarray
    """Formation energies, (N,) eV/atom."""


class KnownPhases:
    """Known crystals with their energies, and compositions of which the energy alone is known.

    Parameters
    ----------
    crystals : sequence of Described
        Known crystals, C.
    formation_energies, e_above_hull : ndarray, shape (C,)
        eV/atom.
    others : sequence of (Composition, float)
        Further compositions and formation energies, eV/atom.
    """

    def __init__(
        self,
        crystals: Sequence[Described],
        formation_energies: np.ndarray,
        e_above_hull: np.ndarray,
        others: Sequence[tuple[Composition, float]] = (),
    ) -> None:
        self.crystals = crystals
        self.formation_energies, self.e_above_hull = formation_energies, e_above_hull
        self.others = others
        own = [
            (one.composition, float(energy))
            for one, energy in zip(crystals, formation_energies, strict=True)
        ]
        self._own = _by_system(own)
        self._sides = _by_system([*own, *others])
        self._of_composition: dict[Composition, list[int]] = defaultdict(list)
        self._of_skeleton: dict[Skeleton, list[int]] = defaultdict(list)
        for place, one in enumerate(crystals):
            self._of_composition[one.composition].append(place)
            self._of_skeleton[one.skeleton].append(place)

    def __len__(self) -> int:
        """Return the number of known crystals."""
        return len(self.crystals)

    def competition(self, composition: Composition) -> Competition:
        """Return the hull at a composition."""
        numbers = tuple(number for number, _ in composition)
        counts = np.array([count for _, count in composition], float)
        fractions, energies = [np.eye(len(numbers))], [np.zeros(len(numbers))]
        for size in range(2, len(numbers)):
            for some in combinations(range(len(numbers)), size):
                group = self._sides.get(tuple(numbers[k] for k in some))
                if group is not None:
                    wide = np.zeros((len(group.energies), len(numbers)))
                    wide[:, some] = group.fractions
                    fractions.append(wide)
                    energies.append(group.energies)
        target = counts / counts.sum()
        sides = np.concatenate(energies)
        lowest = mixture_energy(target, np.concatenate(fractions), sides)
        known = len(sides) - len(numbers)
        group = self._own.get(numbers)
        others = (
            [k for k, one in enumerate(group.compositions) if one != composition] if group else []
        )
        if group is None or not others:
            return Competition(lowest, lowest, 0, known)
        energy = mixture_energy(
            target,
            np.concatenate([*fractions, group.fractions[others]]),
            np.concatenate([sides, group.energies[others]]),
        )
        return Competition(energy, lowest, len(others), known)

    def polymorph(self, crystal: Described) -> float:
        """Return the lowest energy of a known crystal of its composition with other sites, or NaN.

        Formation energy in eV/atom.
        """
        energies = [
            self.formation_energies[place]
            for place in self._of_composition.get(crystal.composition, ())
            if not self._is(place, crystal)
        ]
        return float(min(energies, default=float("nan")))

    def neighbours(self, crystal: Described, limit: float) -> Neighbours:
        """Return what is known of its skeleton with other elements.

        Parameters
        ----------
        limit : float
            Energy above the hull up to which a neighbour counts as low, eV/atom.
        """
        places = [
            place
            for place in self._of_skeleton.get(crystal.skeleton, ())
            if not self._is(place, crystal)
        ]
        if not places:
            return NOBODY
        kinds = np.array([self.crystals[place].kinds for place in places]) - 1  # (members, K)
        apart = _distance()[kinds, np.array(crystal.kinds) - 1]
        distance = apart @ np.array(crystal.shares) + EVEN * apart.mean(axis=1)
        order = np.argsort(distance, kind="stable")[:NEAREST]
        near = np.array(places)[order]
        weights = np.exp(-distance[order] / SOFTNESS) + 1e-9
        weights /= weights.sum()
        above = self.e_above_hull[near]
        return Neighbours(
            len(places),
            float(distance[order[0]]),
            float(weights @ self.formation_energies[near]),
            float(weights @ above.clip(0, 0.5)),
            float(weights @ (above <= limit)),
        )

    def _is(self, place: int, crystal: Described) -> bool:
        """Whether a known crystal occupies the same sites with the same elements."""
        known = self.crystals[place]
        return known.skeleton == crystal.skeleton and known.kinds == crystal.kinds


def describe(crystal: WyckoffCrystal) -> Described:
    """Return a crystal as it is looked up among known ones."""
    sites = sorted_sites(crystal)
    positions = [table().position(crystal.spacegroup, site.letter) for site in sites]
    return _described(positions, [atomic_number(site.element) for site in sites])


def reduced(counts: dict[int, int]) -> Composition:
    """Return atomic numbers and counts as a composition."""
    divisor = reduce(gcd, counts.values())
    return tuple(sorted((number, count // divisor) for number, count in counts.items()))


def mixture_energy(target: np.ndarray, fractions: np.ndarray, energies: np.ndarray) -> float:
    """Energy of the best mixture of phases, eV/atom: the lower convex hull at a composition.

    By the simplex method: phases enter, the one that lowers the mixture most first, as long as one
    does.

    Parameters
    ----------
    target : ndarray, shape (K,)
        Atomic fractions, all above 0.
    fractions : ndarray, shape (N, K)
        Of the phases; the first K are the pure elements, in order.
    energies : ndarray, shape (N,)
        eV/atom.
    """
    basis = np.arange(len(target))
    energy = float(target @ energies[basis])
    for _ in range(len(energies)):
        corners = fractions[basis]
        potentials = np.linalg.solve(corners, energies[basis])
        energy = float(target @ potentials)
        above = energies - fractions @ potentials
        entering = int(above.argmin())
        if above[entering] > -OPTIMAL:
            break
        amounts, spent = np.linalg.solve(
            corners.T, np.column_stack([target, fractions[entering]])
        ).T
        ratio = np.full(len(basis), np.inf)
        used = spent > 1e-10
        ratio[used] = amounts[used].clip(0) / spent[used]
        basis[int(ratio.argmin())] = entering
    return energy


def save_phases(path: Path, known: KnownPhases) -> None:
    """Write known phases."""
    others = known.others
    sites = [
        (position, one.kinds[kind]) for one in known.crystals for position, kind in one.skeleton
    ]
    np.savez_compressed(
        path,
        sites=np.array([len(one.skeleton) for one in known.crystals], np.uint8),
        positions=np.array([position for position, _ in sites], np.int16),
        elements=np.array([number for _, number in sites], np.uint8),
        formation_energy=known.formation_energies.astype(np.float32),
        e_above_hull=known.e_above_hull.astype(np.float32),
        other_sizes=np.array([len(one) for one, _ in others], np.uint8),
        other_elements=np.array([number for one, _ in others for number, _ in one], np.uint8),
        other_counts=np.array([count for one, _ in others for _, count in one], np.uint16),
        other_energies=np.array([energy for _, energy in others], np.float32),
    )


@cache
def load_phases(path: Path = SHIPPED) -> KnownPhases:
    """Read known phases; read once, then shared.

    Raises
    ------
    ValueError
        If there are none at ``path``.
    """
    arrays = read_arrays(path, "known phases", "phases")
    positions, numbers = arrays["positions"].tolist(), arrays["elements"].tolist()
    crystals = [
        _described(positions[start:stop], numbers[start:stop])
        for start, stop in _spans(arrays["sites"])
    ]
    pairs = list(
        zip(arrays["other_elements"].tolist(), arrays["other_counts"].tolist(), strict=True)
    )
    others = [
        (tuple(pairs[start:stop]), energy)
        for (start, stop), energy in zip(
            _spans(arrays["other_sizes"]), arrays["other_energies"].tolist(), strict=True
        )
    ]
    return KnownPhases(crystals, arrays["formation_energy"], arrays["e_above_hull"], others)


def _spans(sizes: np.ndarray) -> Iterable[tuple[int, int]]:
    """Begin and end of each of some runs of the given sizes."""
    stops = np.cumsum(sizes, dtype=int).tolist()
    return zip([0, *stops[:-1]], stops, strict=True)


def _described(positions: Sequence[int], numbers: Sequence[int]) -> Described:
    multiplicity = _multiplicities()
    kinds: dict[int, int] = {}
    counts: dict[int, int] = defaultdict(int)
    skeleton = []
    for position, number in zip(positions, numbers, strict=True):
        skeleton.append((position, kinds.setdefault(number, len(kinds))))
        counts[number] += multiplicity[position]
    whole = sum(counts.values())
    shares = tuple(counts[number] / whole for number in kinds)
    return Described(tuple(skeleton), tuple(kinds), shares, reduced(counts))


def _by_system(phases: Iterable[tuple[Composition, float]]) -> dict[tuple[int, ...], Group]:
    """Compounds that are lower than their elements, the lowest of each composition, by elements."""
    lowest: dict[Composition, float] = {}
    for composition, energy in phases:
        if len(composition) > 1 and energy < lowest.get(composition, 0.0):
            lowest[composition] = energy
    systems: dict[tuple[int, ...], list[Composition]] = defaultdict(list)
    for composition in lowest:
        systems[tuple(number for number, _ in composition)].append(composition)
    groups = {}
    for system, compositions in systems.items():
        counts = np.array([[count for _, count in one] for one in compositions], float)
        energies = np.array([lowest[one] for one in compositions])
        groups[system] = Group(compositions, counts / counts.sum(axis=1, keepdims=True), energies)
    return groups


@cache
def _multiplicities() -> list[int]:
    """Atoms in the primitive cell of each row of the Wyckoff table."""
    return table().primitive_multiplicity.tolist()


@cache
def _distance() -> np.ndarray:
    """Mean squared difference of two elements' standardized features, (118, 118)."""
    features = elements().features
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    return ((features[:, None] - features[None]) ** 2).mean(axis=-1)
