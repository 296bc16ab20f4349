"""Crystals come back from their tokens, and equal crystals have equal tokens."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from explorer.crystals import spacegroup_of, to_structure
from explorer.encode import descriptions, encode
from explorer.references import ReferencePhases
from model.crystal import Site, WyckoffCrystal
from model.tokens import (
    COORDINATE_SCALE,
    SCALES,
    TokenError,
    crystal_to_row,
    row_to_crystal,
)
from model.wyckoff import LETTERS, crystal_family, table

SYSTEMS = ("Al-Ca-Cu", "Ca-O-Ti", "Na-O-S", "K-N-O", "Cu-Fe-S")
SYMPREC = 0.01
MATCHER = StructureMatcher(ltol=0.1, stol=0.1, angle_tol=2, scale=False)


def phases() -> list[Structure]:
    """Return real crystals of several systems and many space groups, up to 24 atoms.

    Not those of which the group hangs on the tolerance: what has left a saddle rests askew.
    """
    known = [p.structure for s in SYSTEMS for p in ReferencePhases.shipped(s).phases]
    small = [structure for structure in known if len(structure) <= 24]
    return [s for s in small if spacegroup_of(s, SYMPREC) == spacegroup_of(s, 10 * SYMPREC)]


def test_real_crystals_come_back() -> None:
    """Each real crystal that fits returns with rms below 0.02 Å and the same space group.

    One whose group depends on the tolerance is all but of a higher one, which must come back.
    """
    groups, kept, unfit, blurred = set(), 0, 0, 0
    for structure in phases():
        crystal = encode(structure, SYMPREC)
        try:
            row = crystal_to_row(crystal, formula=True)
        except TokenError:
            unfit += 1
            continue
        back = to_structure(row_to_crystal(row.tokens, row.fine))
        distance = MATCHER.get_rms_dist(structure, back)
        assert distance is not None, structure.formula
        assert distance[0] * (structure.volume / len(structure)) ** (1 / 3) < 0.02
        loose = spacegroup_of(structure, 3 * SYMPREC)
        blurred += loose != crystal.spacegroup
        if loose == crystal.spacegroup:
            assert spacegroup_of(back, SYMPREC) == loose
        assert spacegroup_of(back, 3 * SYMPREC) == loose
        groups.add(crystal.spacegroup)
        kept += 1
    assert kept > 70
    assert unfit <= 4
    assert blurred <= 0.1 * kept
    assert len(groups) > 30


@pytest.mark.parametrize("number", range(1, 231))
def test_every_space_group_comes_back(number: int) -> None:
    """A made-up crystal on every position of a group survives its tokens within half a step."""
    crystal = example(number, np.random.default_rng(number))
    row = crystal_to_row(crystal)
    back = row_to_crystal(row.tokens, row.fine)
    assert back.skeleton == crystal.skeleton
    assert np.allclose(back.lattice, crystal.lattice, rtol=1e-3, atol=0.02)
    for site, again in zip(crystal.sites, back.sites, strict=True):
        apart = np.array(site.free) - np.array(again.free)
        assert np.abs(apart - np.rint(apart)).max(initial=0) <= 0.5 / (96 * 64) + 1e-9


def test_one_crystal_has_one_description() -> None:
    """Another origin, another cell, another order of atoms: the same skeleton."""
    rng = np.random.default_rng(0)
    for structure in [s for s in phases() if len(s) < 12][:40]:
        moved = structure.copy()
        moved.translate_sites(range(len(moved)), rng.random(3), frac_coords=True)
        moved = Structure.from_sites([moved[k] for k in rng.permutation(len(moved))])
        moved.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
        assert encode(moved).skeleton == encode(structure).skeleton


@pytest.mark.parametrize("number", [1, 5, 8, 39, 106, 110, 161, 173, 186])
def test_where_a_polar_origin_was_changes_nothing(number: int) -> None:
    """Of like sites, and of the points of one, none is first by the origin that it came with."""
    rng = np.random.default_rng(number)
    polar, positions = table().polar_axes[number - 1], table().positions_of(number)
    lattice, chosen = example(number, rng).lattice, [positions[0], positions[0], positions[-1]]
    places = [rng.random(table().freedom[position]) for position in chosen]

    def canonical(shift: np.ndarray) -> WyckoffCrystal:
        sites = [
            Site(
                LETTERS[table().letter[position]],
                symbol,
                tuple(free + shift[table().free_axes[position]]),
            )
            for position, symbol, free in zip(chosen, ("Al", "Al", "O"), places, strict=True)
        ]
        return descriptions(WyckoffCrystal(number, tuple(sites), lattice))[0]

    crystal = canonical(np.zeros(3))
    for moved in (canonical(np.where(polar, rng.random(3), 0.0)) for _ in range(4)):
        assert moved.skeleton == crystal.skeleton
        assert moved.lattice == pytest.approx(crystal.lattice)
        for site, again in zip(crystal.sites, moved.sites, strict=True):
            apart = np.array(site.free) - np.array(again.free)
            assert np.abs(apart - np.rint(apart)).max() < 1e-6


def test_rock_salt_is_described_as_in_the_tables() -> None:
    """NaCl sits on 4a and 4b of group 225 with the published cell."""
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    crystal = encode(salt)
    assert crystal.skeleton == (225, (("a", "Na"), ("b", "Cl")))
    assert crystal.lattice[0] == pytest.approx(5.64)
    assert (crystal.formula, crystal.n_atoms) == ("NaCl", 2)


@pytest.mark.parametrize(("shift", "spacegroup"), [(0.005, 221), (0.06, 99)])
def test_small_distortions_survive(shift: float, spacegroup: int) -> None:
    """Noise is symmetrized away; a distortion that can be seen keeps its lower symmetry."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5 + shift / 3.95], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    perovskite = Structure(Lattice.cubic(3.95), ["Ba", "Ti", "O", "O", "O"], sites)
    crystal = encode(perovskite)
    assert crystal.spacegroup == spacegroup
    row = crystal_to_row(crystal)
    back = to_structure(row_to_crystal(row.tokens, row.fine))
    assert MATCHER.get_rms_dist(perovskite, back)[0] * (3.95**3 / 5) ** (1 / 3) < 0.02


def test_special_values_are_exact() -> None:
    """Fractions that crystals are full of, and right angles, are not rounded."""
    for value in (0.0, 0.5, 0.25, 0.75, 1 / 3, 2 / 3, 0.125, 5 / 6):
        assert COORDINATE_SCALE.decode(*COORDINATE_SCALE.encode(value)) == pytest.approx(
            value, abs=1e-12
        )
    angle = next(scale for role, scale in SCALES.items() if role.name == "BETA")
    assert angle.decode(*angle.encode(90.0)) == pytest.approx(90.0, abs=1e-12)


def test_what_does_not_fit_is_refused_with_its_size() -> None:
    """A crystal with too many sites says how many are expected and how many it has."""
    sites = tuple(Site("a", "Si", (k / 30, 0.3, 0.2)) for k in range(25))
    with pytest.raises(TokenError, match="at most 20 sites, got 25"):
        crystal_to_row(WyckoffCrystal(1, sites, (9.0, 9.5, 10.0, 90.0, 91.0, 92.0)))
    with pytest.raises(TokenError, match="no end of its sites"):
        row_to_crystal(np.array([1, 4, 8]), np.zeros(3, int))


def example(number: int, rng: np.random.Generator) -> WyckoffCrystal:
    """Put one atom on each position of a group, up to 8 positions."""
    shapes = {
        "cubic": (9.0, 9.0, 9.0, 90.0, 90.0, 90.0),
        "hexagonal": (9.0, 9.0, 14.0, 90.0, 90.0, 120.0),
        "tetragonal": (9.0, 9.0, 14.0, 90.0, 90.0, 90.0),
        "orthorhombic": (9.0, 11.0, 14.0, 90.0, 90.0, 90.0),
        "monoclinic": (9.0, 11.0, 14.0, 90.0, 103.0, 90.0),
        "triclinic": (9.0, 11.0, 14.0, 81.0, 95.0, 103.0),
    }
    positions = list(table().positions_of(number))[:8]
    symbols = rng.choice(["Ca", "Ti", "O"], len(positions))
    sites = tuple(
        Site(LETTERS[table().letter[p]], str(s), tuple(rng.random(table().freedom[p])))
        for p, s in zip(positions, symbols, strict=True)
    )
    a, b, c, *angles = shapes[crystal_family(number)]
    atoms = sum(int(table().multiplicity[p]) for p in positions)
    scale = (12.0 * atoms / (a * b * c)) ** (1 / 3)
    return WyckoffCrystal(number, sites, (a * scale, b * scale, c * scale, *angles))
