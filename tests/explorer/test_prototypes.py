"""Prototypes: elements forgotten and put back, skeletons alike in every description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explorer.baseline_random import random_crystals
from explorer.baseline_substitution import (
    compute_similarity,
    element_similarity,
    satisfies,
    substitution,
)
from explorer.baselines import formula_of
from explorer.crystals import spacegroup_of
from explorer.generators import METHODS, generator
from explorer.prototypes import (
    Prototype,
    build_library,
    letter_maps,
    load_library,
    save_library,
    skeleton,
)
from model.constraints import ConstraintError, Constraints
from model.crystal import Site, WyckoffCrystal

CUBE = (90.0, 90.0, 90.0)


def heusler(x: str, y: str, z: str, turned: bool = False, a: float = 6.0) -> WyckoffCrystal:
    """X2YZ, group 225: Y and Z on a and b, in either description."""
    ends = (Site("a", z), Site("b", y)) if turned else (Site("a", y), Site("b", z))
    return WyckoffCrystal(225, (*ends, Site("c", x)), (a, a, a, *CUBE))


def layered(x: str, y: str, z: str, height: float) -> WyckoffCrystal:
    """ThCr2Si2's prototype, group 139: one free coordinate."""
    sites = (Site("a", x), Site("d", y), Site("e", z, (height,)))
    return WyckoffCrystal(139, sites, (4.0, 4.0, 10.5, *CUBE))


def test_letters_move_as_the_normalizer_says() -> None:
    """In group 225 the half-diagonal exchanges a with b and f's relatives, and leaves c alone."""
    ways = letter_maps(225)
    assert len(ways) == 2
    identity, other = ways
    assert identity == tuple(range(12))
    assert other[:3] == (1, 0, 2)


def test_a_skeleton_is_the_same_in_every_description() -> None:
    """Exchanging a and b describes the same Heusler crystal; exchanging elements does not."""
    assert skeleton(heusler("Cu", "Mn", "Al")) == skeleton(heusler("Cu", "Mn", "Al", turned=True))
    assert skeleton(heusler("Cu", "Mn", "Al")) != skeleton(heusler("Mn", "Cu", "Al"))


def test_members_of_one_prototype_are_counted_together(tmp_path: Path) -> None:
    """Two Heuslers, described differently, are one prototype; what is saved is what is read."""
    crystals = [
        heusler("Cu", "Mn", "Al"),
        heusler("Ni", "Mn", "Ga", turned=True, a=5.8),
        layered("Ca", "Al", "Si", 0.36),
    ]
    library = build_library(crystals)
    assert [(p.spacegroup, p.count) for p in library.prototypes] == [(225, 2), (139, 1)]
    save_library(tmp_path / "some.npz", library)
    read = load_library(tmp_path / "some.npz")
    for ours, theirs in zip(library.prototypes, read.prototypes, strict=True):
        assert [site[:2] for site in ours.sites] == [site[:2] for site in theirs.sites]
        assert ours.sites[-1][2] == pytest.approx(theirs.sites[-1][2])
        assert (ours.members == theirs.members).all()
        assert (ours.turns, ours.spacegroup) == (theirs.turns, theirs.spacegroup)
        assert ours.lattice == pytest.approx(theirs.lattice)
    with pytest.raises(ValueError, match="no prototypes at"):
        load_library(tmp_path / "none.npz")


def test_a_filled_prototype_has_the_room_its_atoms_need() -> None:
    """Elements with twice the volume make a cell of twice the volume, and keep the shape."""
    (prototype,) = build_library([layered("Ca", "Al", "Si", 0.36)]).prototypes
    volumes = np.full(119, 10.0)
    volumes[[56, 49, 50]] = 20.0
    replaced = {"Ca": "Ba", "Al": "In", "Si": "Sn"}
    filled = prototype.filled([replaced[symbol] for symbol in _typical(prototype)], volumes)
    assert filled.skeleton == (139, (("a", "Ba"), ("d", "In"), ("e", "Sn")))
    assert filled.lattice[:3] == pytest.approx([2 ** (1 / 3) * v for v in (4.0, 4.0, 10.5)])


def test_frequency_puts_the_most_common_prototype_first_and_repeats_no_skeleton() -> None:
    """Six ways to fill a Heusler are three skeletons; they come before the rarer prototype."""
    library = build_library(
        [heusler("Cu", "Mn", "Al"), heusler("Ni", "Mn", "Ga"), layered("Ca", "Al", "Si", 0.36)]
    )
    drawn = list(substitution(Constraints.parse("Al-Ca-Cu"), n=50, library=library))
    assert [one.index for one in drawn] == list(range(9))
    assert [one.crystal.spacegroup for one in drawn] == [225] * 3 + [139] * 6
    assert len({skeleton(one.crystal) for one in drawn}) == 9
    assert all(set(one.crystal.elements) == {"Al", "Ca", "Cu"} for one in drawn)
    assert [one.template for one in drawn][2:4] == ["MnAlCu2", "CaAl2Si2"]  # whose geometry


def test_similarity_puts_each_element_where_its_like_sits() -> None:
    """Strontium takes calcium's place sooner than silicon's."""
    library = build_library([layered("Ca", "Al", "Si", 0.36)])
    first = next(substitution(Constraints.parse("Al-Si-Sr"), n=1, similar=True, library=library))
    assert first.crystal.skeleton[1][0] == ("a", "Sr")
    chances = element_similarity()
    assert chances[20, 38] > chances[20, 14]
    assert chances.sum(axis=1) == pytest.approx(1.0)
    assert chances == pytest.approx(compute_similarity(), abs=1e-12)


def test_the_shipped_library_obeys_constraints() -> None:
    """Formula, group, size and subsystems hold for everything that is filled."""
    asked = Constraints.parse("Al-Ca-Cu", formula="CaAl2Cu2", spacegroups=139, max_atoms=10)
    drawn = list(substitution(asked, n=20))
    assert drawn
    assert {one.crystal.formula for one in drawn} == {"CaAl2Cu2"}
    assert {spacegroup_of(one.structure) for one in drawn if one.index < 3} == {139}
    subset = substitution(Constraints.parse("Al-Ca-Cu", subset=True), n=3000)
    assert {len(one.crystal.elements) for one in subset} == {1, 2, 3}
    with pytest.raises(ConstraintError, match="expected the elements"):
        substitution(Constraints(), n=1)


@pytest.mark.parametrize(
    "wish",
    [
        {"elements": "Al-Ca-Cu", "formula": "CaAl1-4Cu1-3", "spacegroups": "tetragonal"},
        {"formula": "CaAl2, CaCu5"},
        {"elements": "Al-Ca-Cu", "required": "Al-Cu"},
        {"formula": "Li0-1CoO2", "spacegroups": (166, 194)},
    ],
    ids=str,
)
def test_baselines_obey_ranges_and_required_elements(wish: dict) -> None:
    """Filled prototypes and random crystals alike; formulas are told from their counts here."""
    asked = Constraints.parse(**wish)
    filled = [one.crystal for one in substitution(asked, n=40)]
    made = random_crystals(asked, n=3, seed=2, seconds=60)
    crystals = [*filled, *(one.crystal for one in made if one.crystal)]
    assert len(crystals) > len(filled) > 5
    for crystal in crystals:
        assert satisfies(crystal, asked)
        held = dict(formula_of(crystal.composition))
        if "CaAl1-4" in str(wish):
            assert (held["Ca"], held["Al"] <= 4, held["Cu"] <= 3) == (1, True, True)
            assert 75 <= crystal.spacegroup <= 142
        if "CaCu5" in str(wish):
            assert held in ({"Ca": 1, "Al": 2}, {"Ca": 1, "Cu": 5})
        if "CoO2" in str(wish):
            assert held in ({"Co": 1, "O": 2}, {"Li": 1, "Co": 1, "O": 2})
        assert "required" not in wish or {"Al", "Cu"} <= set(held)
    assert len({crystal.formula for crystal in filled}) > 1


def test_sites_asked_for_are_occupied_as_often_as_asked() -> None:
    """A site must carry one of the elements allowed on it."""
    crystal = layered("Ca", "Al", "Si", 0.36)
    assert satisfies(crystal, Constraints.parse("Al-Ca-Si", sites=["139:2a=Ca"]))
    assert not satisfies(crystal, Constraints.parse("Al-Ca-Si", sites=["139:2a=Al"]))
    assert not satisfies(crystal, Constraints.parse("Al-Ca-Si", sites=["139:4e", "139:4e"]))


def test_random_crystals_have_the_group_they_were_made_with() -> None:
    """The same seed gives the same crystals; each is of the formula and group asked for."""
    asked = Constraints.parse(formula="NaCl", spacegroups=(129, 225))
    first, again = (list(random_crystals(asked, n=3, seed=4, seconds=60)) for _ in range(2))
    made = [one for one in first if one.crystal]
    assert made
    assert [one.crystal for one in first] == [one.crystal for one in again]
    assert {one.crystal.formula for one in made} == {"NaCl"}
    assert {one.crystal.spacegroup for one in made} <= {129, 225}
    with pytest.raises(ConstraintError, match="take no sites"):
        random_crystals(Constraints.parse("Na-Cl", sites=["225:4a"]), n=1)


def test_neutral_formulas_are_neutral() -> None:
    """Charge compensation leaves the fluorides that lithium and calcium can form."""
    drawn = random_crystals(
        Constraints.parse("F-Li"), n=2, seed=1, charge_balanced=True, seconds=60
    )
    formulas = {one.crystal.formula for one in drawn if one.crystal}
    assert formulas == {"LiF"}


def test_what_takes_too_long_is_a_failure_with_its_reason() -> None:
    """A crystal that cannot be made in time keeps its place."""
    (one,) = random_crystals(Constraints.parse(formula="NaCl"), n=1, seconds=0.0)
    assert one.crystal is None
    assert one.reason.startswith("PyXtal took longer than")


def test_generators_are_made_by_name() -> None:
    """An unknown name lists those there are; the network is asked for where it is needed."""
    with pytest.raises(ValueError, match="substitution, similarity, random"):
        generator("alchemy")
    with pytest.raises(ValueError, match="needs a network"):
        generator("transformer")
    crystals = {
        name: next(generator(name)(Constraints.parse("Al-Ca-Cu"), n=1, seed=0)).crystal
        for name in METHODS
        if name in {"substitution", "similarity"}
    }
    assert all(crystal.spacegroup > 1 for crystal in crystals.values())


def _typical(prototype: Prototype) -> list[str]:
    """Symbols of the typical member, by kind."""
    names = {20: "Ca", 13: "Al", 14: "Si"}
    return [names[int(z)] for z in prototype.members[0]]
