"""Validity, symmetry, uniqueness, novelty and distances of distributions, on hand-made crystals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from explorer.baselines import Drawn
from explorer.crystals import NamedStructure, write_structures
from explorer.evaluate.checks import Check, check, is_smact_valid
from explorer.evaluate.distances import describe, distances
from explorer.evaluate.distinct import judge
from explorer.evaluate.generation import by_crystal_system, evaluate_generation
from explorer.evaluate.matching import MATCHING, Same, reduced
from model.crystal import Site, WyckoffCrystal
from model.spacegroups import crystal_system


def salt(a: float = 5.64, cation: str = "Na", anion: str = "Cl") -> WyckoffCrystal:
    """Rock salt in its space group, 225."""
    sites = (Site("a", cation), Site("b", anion))
    return WyckoffCrystal(225, sites, (a, a, a, 90.0, 90.0, 90.0))


def caesium_chloride(a: float, ordered: bool = True) -> Structure:
    """Eight-fold coordination: the same formula as rock salt, another crystal."""
    return Structure(Lattice.cubic(a), ["Na", "Cl" if ordered else "Na"], [[0] * 3, [0.5] * 3])


@pytest.mark.parametrize(
    ("formula", "valid"),
    [
        ((("Cl", 1), ("Na", 1)), True),
        ((("Cl", 2), ("Na", 1)), False),
        ((("Al", 2), ("Ca", 1), ("Cu", 2)), True),
        ((("Fe", 1),), True),
        ((("F", 3), ("Na", 1)), False),
    ],
)
def test_smact_convention(formula: tuple, valid: bool) -> None:
    """Neutral and Pauling-ordered compositions are valid, and so are alloys and elements."""
    assert is_smact_valid(formula) is valid


def test_a_good_crystal_keeps_all_that_was_asked() -> None:
    """Rock salt drawn as 225 is found as 225, with two orbits that have no free coordinate."""
    told = check(Drawn(0, salt()), ("Na", "Cl"))
    assert told.elements_kept
    assert told.spacegroup_kept
    assert told.spacegroup_exact
    assert told.apart_07
    assert told.smact_valid
    assert (told.spacegroup, told.asked, told.freedoms) == (225, 225, (2, 0, 0, 0))
    assert told.density == pytest.approx(2.16, abs=0.02)
    assert not check(Drawn(0, salt()), ("Na", "Br")).elements_kept


def test_a_supergroup_keeps_the_group_but_is_not_it() -> None:
    """Equal atoms on both sites of rock salt make a simple cubic crystal, of group 221."""
    told = check(Drawn(0, salt(anion="Na")))
    assert told.spacegroup == 221
    assert told.spacegroup_kept
    assert not told.spacegroup_exact


def test_a_subgroup_does_not_keep_the_group() -> None:
    """A crystal drawn as cubic whose cell is stretched has lost the symmetry."""
    stretched = WyckoffCrystal(225, salt().sites, (5.6, 5.6, 7.0, 90.0, 90.0, 90.0))
    told = check(Drawn(0, stretched))
    assert told.spacegroup == 139
    assert not told.spacegroup_kept


def test_collisions_are_told_at_both_distances() -> None:
    """Atoms 0.6 Å apart pass the looser limit only, and fail the gate."""
    close = Structure(Lattice.cubic(4.0), ["H", "H"], [[0, 0, 0], [0.15, 0, 0]])
    told = check(Drawn(0, given=close))
    assert told.apart_05
    assert not told.apart_07
    assert not told.gated


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_spglib_would_die_of_is_not_shown_to_it(broken: float) -> None:
    """A crystal with a coordinate that is no number fails every check."""
    bad = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    bad[1].frac_coords = np.array([broken, 0, 0])
    assert check(Drawn(0, given=bad)) == Check()


def test_an_undecodable_draw_counts_against_every_rate() -> None:
    """A draw that is no crystal is judged, and passes nothing."""
    assert check(Drawn(3, reason="the row has no end of its sites")) == Check()


def test_the_matcher_agrees_with_pymatgen() -> None:
    """Reducing once and skipping hopeless lattices changes no verdict."""
    crystals = [Drawn(0, salt()).structure, Drawn(0, salt(7.0)).structure, caesium_chloride(3.4)]
    for c in (3.0, 3.6, 4.4, 6.0):
        tetragonal = Lattice.tetragonal(3.4, c)
        crystals.append(Structure(tetragonal, ["Na", "Cl"], [[0] * 3, [0.5] * 3]))
    same, pymatgen = Same(), StructureMatcher(**MATCHING)
    verdicts = [
        (same(reduced(a), reduced(b)), pymatgen.fit(a, b)) for a in crystals for b in crystals
    ]
    assert all(ours == theirs for ours, theirs in verdicts)
    assert 0 < sum(ours for ours, _ in verdicts) < len(verdicts)


def test_unique_and_novel_are_told_by_crystal() -> None:
    """The second copy is not unique, what is known is not novel, and a collision is neither."""
    collision = Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0] * 3, [0.05, 0, 0]])
    drawn = [
        Drawn(0, salt()),
        Drawn(1, salt(5.7)),
        Drawn(2, given=caesium_chloride(3.4)),
        Drawn(3, given=collision),
    ]
    verdicts, given_up = judge(drawn, [caesium_chloride(3.5)])
    assert verdicts.tolist() == [[True, True], [False, True], [True, False], [False, False]]
    assert given_up == 0


def test_distances_are_zero_to_oneself_and_grow_with_the_difference() -> None:
    """Same crystals: all 0. Other groups altogether: the full Jensen-Shannon distance, 1."""
    salts = describe([Drawn(0, salt()).structure] * 3)
    others = describe([caesium_chloride(3.4)] * 2)
    assert set(distances(salts, salts).values()) == {0.0}
    told = distances(salts, others)
    assert told["spacegroup_js"] == pytest.approx(1.0)
    assert told["wyckoff_dimension_js"] == pytest.approx(0.0, abs=1e-9)
    assert told["n_elements_wasserstein"] == 0.0
    assert told["density_wasserstein"] == pytest.approx(abs(salts[0].density - others[0].density))


def test_crystal_systems_follow_the_group_asked_for() -> None:
    """Rates are told by the system of the group that was drawn; trigonal is not hexagonal."""
    assert [crystal_system(g) for g in (1, 15, 74, 75, 167, 168, 230)] == [
        "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic",
    ]  # fmt: skip
    told = by_crystal_system([check(Drawn(0, salt())), check(Drawn(1, salt(anion="Na"))), Check()])
    assert told["cubic"]["n"] == 2
    assert told["cubic"]["spacegroup_exact"] == 0.5
    assert told["cubic"]["valid"] == 1.0
    assert told["unknown"]["n"] == 1


def test_a_report_has_every_rate_or_a_reason(tmp_path: Path) -> None:
    """Rates count all that was drawn, undecodable draws included."""
    known = tmp_path / "known.json"
    write_structures(known, [NamedStructure("salt", Drawn(0, salt(5.5)).structure)])
    drawn = [Drawn(0, salt()), Drawn(1, salt(anion="F")), Drawn(2, salt()), Drawn(3, reason="no")]
    told = evaluate_generation(
        drawn, elements=("Cl", "Na"), reference=known, seconds_sampling=1.0, workers=1
    )
    assert told["n"] == 4
    assert told["decodable"] == 0.75
    assert told["elements_kept"] == told["unique"] == 0.5
    assert told["spacegroup_exact"] == told["no_collision_0.5"] == told["smact_valid"] == 0.75
    assert told["novel"] == 0.25
    assert told["distances"]["n_reference"] == 1
    assert told["reasons"] == {}


def test_what_cannot_be_compared_is_none_with_a_reason() -> None:
    """Samples of a file name no group, and without known structures nothing is novel or not."""
    told = evaluate_generation([Drawn(0, given=caesium_chloride(3.4))], workers=1)
    empty = {"elements_kept", "spacegroup_kept", "spacegroup_exact", "novel", "distances"}
    assert {name for name, value in told.items() if value is None} == empty | {"seconds_sampling"}
    assert set(told["reasons"]) == empty | {"seconds_sampling"}
    assert told["by_crystal_system"]["cubic"]["spacegroup_kept"] is None
    with pytest.raises(ValueError, match="at least one crystal"):
        evaluate_generation([])


def test_a_reference_without_a_sound_crystal_is_refused(tmp_path: Path) -> None:
    """Nothing could be known or novel by it; the line says what is wrong with it."""
    known = tmp_path / "known.json"
    write_structures(known, [NamedStructure("mixed", caesium_chloride(0.5))])
    with pytest.raises(ValueError, match="no crystal to compare with, the first: a cell length"):
        evaluate_generation([Drawn(0, salt())], reference=known, workers=1)
