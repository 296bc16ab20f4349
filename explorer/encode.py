"""Structure -> WyckoffCrystal: the canonical Wyckoff description of a crystal.

One crystal has many descriptions: another origin or axes (the Euclidean normalizer), another point
of each orbit, another order of the sites. Here each is settled by a rule, so that equal crystals
get equal descriptions: the smallest skeleton, then the smallest coordinates.

Letters in shapes: N atoms, M operations, K points of an orbit.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from explorer.strangers import bare
from model.coordinates import TOLERANCE, free_coordinates
from model.crystal import Site, WyckoffCrystal, lattice_parameters, lattice_vectors
from model.elements import atomic_number, formula_rank, symbol_of
from model.wyckoff import LETTERS, WyckoffTable, table

GRID = 960
"""Coordinates are compared on a grid of 1/960, a multiple of 3, 5 and 64."""
TIGHT_SYMPREC = 0.01
"""Angstrom; the tolerance of spglib where the usual one symmetrizes too much."""
MAX_MOVE = 0.015
"""Angstrom per atom; symmetrizing that moves atoms further is done at the tight tolerance."""


class EncodingError(ValueError):
    """A structure that has no Wyckoff description, with the reason."""


@dataclass(frozen=True)
class Orbit:
    """Symmetry-equivalent atoms of the conventional cell."""

    number: int
    """Atomic number."""
    points: np.ndarray
    """Fractional coordinates, (K, 3)."""


def encode(
    structure: Structure, symprec: float = 0.1, canonical: bool = True, hand: bool = False
) -> WyckoffCrystal:
    """Describe an ordered structure by its space group, Wyckoff sites and conventional lattice.

    Where a crystal has the same group at ``TIGHT_SYMPREC``, it is described there, which moves its
    atoms least; and also, with the lower symmetry that it has there, where symmetrizing at
    ``symprec`` would move atoms by more than ``MAX_MOVE``.

    Parameters
    ----------
    symprec : float
        spglib's tolerance in angstrom.
    canonical : bool
        Whether to settle the free choices by rule; else spglib's setting is kept.
    hand : bool
        Whether a chiral crystal stays as it is; else it may be its mirror image that is described,
        which is as likely and has the same energy.

    Raises
    ------
    EncodingError
        If the structure is disordered or its symmetry cannot be determined.
    """
    if not structure.is_ordered:
        raise EncodingError("expected an ordered structure, got partial occupancies")
    numbers = [site.specie.Z for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    if symprec <= TIGHT_SYMPREC:
        return encode_cell(cell, symprec, canonical, hand)
    if _spacegroup(cell, TIGHT_SYMPREC) == _spacegroup(cell, symprec):
        with suppress(EncodingError):
            return encode_cell(cell, TIGHT_SYMPREC, canonical, hand)
    crystal = encode_cell(cell, symprec, canonical, hand)
    near = _moved(structure, crystal) <= MAX_MOVE
    return crystal if near else encode_cell(cell, TIGHT_SYMPREC, canonical, hand)


def encode_cell(
    cell: tuple, symprec: float = 0.1, canonical: bool = True, hand: bool = False
) -> WyckoffCrystal:
    """Describe a spglib cell (lattice rows, fractional coordinates, atomic numbers)."""
    spacegroup, lattice, orbits = _standard_orbits(cell, symprec)
    settings = table().normalizers_of(spacegroup) if canonical else np.eye(3, 4)[None]
    if hand and _proper(table().group_operations(spacegroup)).all():
        settings = settings[_proper(settings)]
    described = _descriptions(spacegroup, lattice, orbits, settings)
    if not described:
        raise EncodingError(f"no Wyckoff description of the atoms in space group {spacegroup}")
    return described[0]


def _proper(operations: np.ndarray) -> np.ndarray:
    """Which of the operations, (M, 3, 4), make no mirror images."""
    return np.linalg.det(operations[:, :, :3]) > 0


def descriptions(crystal: WyckoffCrystal) -> list[WyckoffCrystal]:
    """Describe a crystal in every choice of origin and axes, the one of `encode` first."""
    wyckoff = table()
    orbits = [
        Orbit(atomic_number(site.element), wyckoff.orbit(position, site.free))
        for site, position in zip(crystal.sites, crystal.positions, strict=True)
    ]
    lattice = lattice_vectors(*crystal.lattice)
    settings = wyckoff.normalizers_of(crystal.spacegroup)
    return _descriptions(crystal.spacegroup, lattice, orbits, settings)


def _descriptions(
    spacegroup: int, lattice: np.ndarray, orbits: list[Orbit], settings: np.ndarray
) -> list[WyckoffCrystal]:
    """Describe orbits in several choices of origin and axes, the canonical one first."""
    described = [_describe(spacegroup, lattice, orbits, setting) for setting in settings]
    ordered = sorted((d for d in described if d is not None), key=lambda d: d[0])
    return [crystal for _, crystal in ordered]


def _spacegroup(cell: tuple, symprec: float) -> int:
    """Space group that spglib finds; 0 if none."""
    found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    return 0 if found is None else int(found.number)


def _moved(structure: Structure, crystal: WyckoffCrystal) -> float:
    """Root mean square distance between a structure and its description, angstrom per atom."""
    arrays = crystal.primitive()
    return moved(structure, Structure(arrays.lattice, arrays.numbers, arrays.frac_coords))


def moved(structure: Structure, symmetric: Structure) -> float:
    """Root mean square distance between a structure and what symmetrizing made of it, angstrom."""
    matcher = StructureMatcher(ltol=0.1, stol=0.1, angle_tol=2, scale=False)
    distance = matcher.get_rms_dist(bare(structure), bare(symmetric))
    spacing = (structure.volume / len(structure)) ** (1 / 3)
    return np.inf if distance is None else float(distance[0] * spacing)


def _standard_orbits(cell: tuple, symprec: float) -> tuple[int, np.ndarray, list[Orbit]]:
    """Space group, conventional lattice rows (3, 3) and orbits in the table's setting."""
    found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    if found is None:
        raise EncodingError(f"spglib finds no symmetry at symprec {symprec}")
    spacegroup = int(found.number)
    from pyxtal.symmetry import Group  # noqa: PLC0415 - half a second to import

    hall = Group(spacegroup).hall_number
    if hall != found.hall_number:
        found = spglib.get_symmetry_dataset(cell, symprec=symprec, hall_number=hall)
        if found is None or found.number != spacegroup:
            raise EncodingError(f"spglib has no standard setting of space group {spacegroup}")
    operations = table().group_operations(spacegroup)
    orbits = _split_orbits(found.std_positions, found.std_types, operations)
    return spacegroup, np.asarray(found.std_lattice), orbits


def _split_orbits(frac: np.ndarray, numbers: np.ndarray, operations: np.ndarray) -> list[Orbit]:
    """Group the atoms of a symmetrized conventional cell into orbits."""
    left = np.ones(len(frac), bool)
    orbits = []
    while left.any():
        first = int(np.flatnonzero(left)[0])
        images = operations[:, :, :3] @ frac[first] + operations[:, :, 3]
        apart = images[:, None] - frac[None]
        apart -= np.rint(apart)
        near = (np.abs(apart) < TOLERANCE).all(axis=2) & (numbers == numbers[first])
        members = near.any(axis=0)
        if not near.any(axis=1).all() or not left[members].all():
            raise EncodingError("the atoms are not closed under the space group")
        left &= ~members
        orbits.append(Orbit(int(numbers[first]), frac[members]))
    return orbits


def _describe(
    spacegroup: int, lattice: np.ndarray, orbits: list[Orbit], setting: np.ndarray
) -> tuple[tuple, WyckoffCrystal] | None:
    """Sort key and crystal in one setting of the axes and the origin."""
    wyckoff = table()
    parameters = lattice_parameters(np.linalg.inv(setting[:, :3]).T @ lattice)
    shape = tuple(round(float(np.log(v)) * 50) for v in parameters[:3])
    moved = [Orbit(o.number, o.points @ setting[:, :3].T + setting[:, 3]) for o in orbits]
    sites = _sites(wyckoff, spacegroup, moved)
    if sites is None:
        return None
    choices = [sites]
    polar = wyckoff.polar_axes[spacegroup - 1]
    if polar.any():
        shifts = _polar_shifts(wyckoff, sites, polar)
        shifted = ([Orbit(o.number, o.points - shift) for o in moved] for shift in shifts)
        choices = [_sites(wyckoff, spacegroup, some) for some in shifted]
    keyed = [(_key(wyckoff, some, shape), some) for some in choices if some is not None]
    if not keyed:
        return None
    key, sites = min(keyed, key=lambda pair: pair[0])
    described = tuple(
        Site(LETTERS[wyckoff.letter[p]], symbol_of(z), tuple(float(v) for v in free))
        for p, z, free in sites
    )
    return key, WyckoffCrystal(spacegroup, described, parameters)


def _key(wyckoff: WyckoffTable, sites: list, shape: tuple[int, ...]) -> tuple:
    """What descriptions are ordered by: the skeleton, the cell's lengths, the coordinates."""
    rank = formula_rank()
    skeleton = tuple((int(wyckoff.letter[p]), int(rank[z - 1])) for p, z, _ in sites)
    return skeleton, shape, tuple(tuple(_grid(free)) for _, _, free in sites)


def _sites(
    wyckoff: WyckoffTable, spacegroup: int, orbits: list[Orbit]
) -> list[tuple[int, int, np.ndarray]] | None:
    """(position, atomic number, free coordinates) of each orbit, in canonical order."""
    rank = formula_rank()
    found = []
    for orbit in orbits:
        place = locate(wyckoff, spacegroup, orbit.points)
        if place is None:
            return None
        position, free = place
        found.append((position, orbit.number, free))
    return sorted(found, key=lambda s: (s[0], rank[s[1] - 1], tuple(_grid(s[2]))))


def locate(
    wyckoff: WyckoffTable, spacegroup: int, points: np.ndarray
) -> tuple[int, np.ndarray] | None:
    """Position that holds all points, and the free coordinates of its smallest representative."""
    for position in wyckoff.positions_of(spacegroup):
        if wyckoff.multiplicity[position] != len(points):
            continue
        free = free_coordinates(wyckoff, position, points)
        if len(free):
            keys = _grid(free)
            return position, free[np.lexsort(keys.T[::-1])[0]] if keys.size else free[0]
    return None


def site_at(spacegroup: int, letter: str, element: str, point: np.ndarray) -> Site:
    """Describe the orbit of an atom that may lie on any representative of its position.

    Parameters
    ----------
    point : ndarray, shape (3,)
        Fractional, in the table's setting.

    Raises
    ------
    EncodingError
        If the point does not lie on the position.
    """
    wyckoff = table()
    position = wyckoff.position(spacegroup, letter)
    operations = wyckoff.group_operations(spacegroup)
    images = operations[:, :, :3] @ point + operations[:, :, 3]
    free = free_coordinates(wyckoff, position, images)
    if not len(free):
        raise EncodingError(f"the point {point} does not lie on {wyckoff.name(position)}")
    return Site(letter, element, tuple(float(value) for value in free[0]))


def _polar_shifts(wyckoff: WyckoffTable, sites: list, polar: np.ndarray) -> np.ndarray:
    """Translations along the polar axes that put a point of a site like the first at zero, (S, 3).

    Which of several like sites comes first hangs on where the origin was before. So each point of
    each is tried, and those are kept that leave the smallest coordinates to the first site.
    """
    position, number, _ = sites[0]
    like = [free for p, z, free in sites if (p, z) == (position, number)]
    orbits = [wyckoff.orbit(position, free) for free in like]
    told = np.concatenate([free_coordinates(wyckoff, position, points) for points in orbits])
    axes = wyckoff.free_axes[position]  # all polar axes are among them, and stand alone
    along = np.where(polar[axes], told, 0.0)
    _, distinct = np.unique(_grid(along), axis=0, return_index=True)
    firsts = [min(map(tuple, _grid(told - along[k]))) for k in distinct]
    shifts = np.zeros((len(distinct), 3))
    shifts[:, axes] = along[distinct]
    return shifts[[first == min(firsts) for first in firsts]]


def _grid(free: np.ndarray) -> np.ndarray:
    """Coordinates as integers on the comparison grid, so that noise cannot change an order."""
    return np.rint(np.asarray(free) * GRID).astype(int) % GRID
