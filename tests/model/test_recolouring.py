"""Ordered variants: known geometries under other kinds of atoms, the nearest first."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from explorer.crystals import to_structure
from explorer.encode import encode
from explorer.template_build import collect, entries
from model.crystal import WyckoffCrystal
from model.elements import element_distance
from model.recolouring import MOST_ARRANGEMENTS, arrangements, recolourings
from model.templates import Templates
from model.tokens import END, crystal_to_row, row_to_crystal, sorted_sites
from model.wyckoff import table

PEROVSKITE = Structure.from_spacegroup(
    "Pnma",
    Lattice.orthorhombic(5.44, 7.64, 5.38),
    ["Ca", "Ti", "O", "O"],
    [[0.036, 0.25, 0.993], [0, 0, 0.5], [0.484, 0.25, 0.071], [0.289, 0.037, 0.711]],
)
DISULFIDE = Structure.from_spacegroup(
    "Pnma",
    Lattice.orthorhombic(9.0, 4.0, 12.0),
    ["Mo", "Mo", "S", "S", "S", "S"],
    [
        [0.1, 0.25, 0.1],
        [0.4, 0.25, 0.3],
        [0.2, 0.25, 0.6],
        [0.6, 0.25, 0.2],
        [0.8, 0.25, 0.8],
        [0.9, 0.25, 0.4],
    ],
)
EXACT = StructureMatcher(ltol=0.05, stol=0.05, angle_tol=1, scale=True)


def library(*structures: Structure, variants: bool = True) -> Templates:
    """Templates of some crystals."""
    found = [entry for structure in structures for entry in entries(encode(structure))]
    plain = Templates(collect(found), np.full(119, 15.0))
    return plain.with_variants() if variants else plain


def skeleton_of(crystal: WyckoffCrystal) -> tuple[int, ...]:
    """Tokens of a crystal up to the end of its sites."""
    tokens = [int(token) for token in crystal_to_row(crystal).tokens]
    return tuple(tokens[: tokens.index(END) + 1])


def recoloured(structure: Structure, elements: list[str]) -> Structure:
    """Put elements on the orbits of a structure, in the order of its sites."""
    orbits = encode(structure)
    pairs = zip(orbits.sites, elements, strict=True)
    sites = [replace(site, element=element) for site, element in pairs]
    crystal = WyckoffCrystal(orbits.spacegroup, tuple(sites), orbits.lattice)
    return to_structure(replace(crystal, sites=tuple(sorted_sites(crystal))))


@pytest.mark.parametrize(
    ("structure", "elements"),
    [
        (PEROVSKITE, ["Ti", "Ca", "O", "S"]),  # one kind split
        (PEROVSKITE, ["Ti", "Ca", "Ca", "O"]),  # one site changed
        (PEROVSKITE, ["Ti", "O", "O", "O"]),  # two kinds become one
        (DISULFIDE, ["Mo", "W", "S", "S", "S", "S"]),
        (DISULFIDE, ["Mo", "W", "S", "Se", "S", "Se"]),  # more than one change
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value.reduced_formula,
)
def test_a_variant_gets_the_geometry_it_varies(structure: Structure, elements: list[str]) -> None:
    """One of the ways to arrange its elements is its own; without variants there is none."""
    wanted = encode(recoloured(structure, elements))
    skeleton = skeleton_of(wanted)
    assert not library(structure, variants=False).of(skeleton)
    templates = library(structure)
    assert not templates.knows(skeleton)
    found = [row_to_crystal(t.row.tokens, t.row.fine) for t in templates.of(skeleton)]
    assert all(skeleton_of(crystal) == skeleton for crystal in found)
    assert any(EXACT.fit(to_structure(crystal), to_structure(wanted)) for crystal in found)
    for crystal in found:  # as every row is written, so that its likelihood is that of the crystal
        assert list(crystal.sites) == sorted_sites(crystal)


def test_a_known_skeleton_keeps_to_those_that_have_it() -> None:
    """Variants are for skeletons that nobody has."""
    alone, both = library(PEROVSKITE, variants=False), library(PEROVSKITE, DISULFIDE)
    skeleton = skeleton_of(encode(PEROVSKITE))
    assert [t.model for t in both.of(skeleton)] == [t.model for t in alone.of(skeleton)]


def test_each_way_counts_once() -> None:
    """Sites with the same position and element may be exchanged; others may not."""
    asked = [(7, 8), (7, 8), (7, 16), (9, 20)]
    ways = arrangements(asked, [7, 9, 7, 7])
    elements = {tuple(asked[index][1] for index in way) for way in ways}
    assert len(ways) == len(elements) == 3
    assert elements == {order for order in permutations((8, 20, 8, 16)) if order[1] == 20}
    assert all(sorted(way) == [0, 1, 2, 3] for way in ways)


def test_other_positions_and_too_many_ways_give_none() -> None:
    """21 sites of one letter with three elements could be arranged in millions of ways."""
    assert arrangements([(7, 8)], [9]) == []
    assert arrangements([(7, 8), (7, 8)], [7]) == []
    many = [(7, 8)] * 7 + [(7, 16)] * 7 + [(7, 34)] * 7
    assert arrangements(many, [7] * 21) == []
    assert 0 < len(arrangements(many[:6] + many[7:9], [7] * 8)) <= MOST_ARRANGEMENTS


def test_the_nearest_elements_lead() -> None:
    """The distance is the mean over atoms, and rises."""
    first = table().positions_of(62)[0]
    positions = [first, first, first + 2]
    known = np.array([[42, 16, 8], [74, 34, 8], [11, 17, 8]])
    asked = [(first, 42), (first, 34), (first + 2, 8)]
    ways = list(recolourings(asked, positions, known))
    assert len(ways) == 2 * len(known)
    distances = [apart for apart, *_ in ways]
    assert distances == sorted(distances)
    weight = table().multiplicity[positions]
    by_hand = {
        (member, order): sum(
            weight[there] * element_distance()[known[member, there], asked[index][1]]
            for index, there in enumerate(order)
        )
        / weight.sum()
        for member in range(len(known))
        for order in ((0, 1, 2), (1, 0, 2))
    }
    assert {(member, order): apart for apart, member, order in ways} == pytest.approx(by_hand)
