"""How formulas, space groups and energies are written."""

import math
from dataclasses import replace

import pytest

from explorer.candidate import Candidate
from explorer.figures.words import (
    NOT_KNOWN,
    energy_label,
    escape,
    expected_label,
    formula_label,
    fractions,
    geometry_words,
    likelihood_label,
    odds_label,
    reaction_label,
    spacegroup_label,
    spacegroup_symbol,
)
from explorer.track_record import Record
from model.spacegroups import crystal_system


@pytest.mark.parametrize(
    ("number", "symbol"),
    [(1, "P1"), (10, "P2/m"), (14, "P2₁/c"), (92, "P4₁2₁2"), (139, "I4/mmm"), (225, "Fm-3m")],
)
def test_space_groups_have_short_symbols(number, symbol):
    """Screw axes are subscripts, and monoclinic symbols name their unique axis only."""
    assert spacegroup_symbol(number) == symbol


def test_every_space_group_has_its_own_symbol_and_a_system():
    """The 230 symbols differ, and the systems follow the International Tables."""
    assert len({spacegroup_symbol(number) for number in range(1, 231)}) == 230
    assert [crystal_system(n) for n in (2, 3, 74, 75, 143, 168, 195)] == [
        "triclinic",
        "monoclinic",
        "orthorhombic",
        "tetragonal",
        "trigonal",
        "hexagonal",
        "cubic",
    ]
    assert spacegroup_label(None) == "–"


def test_counts_are_lowered_but_amounts_are_not():
    """In a decomposition only the counts of the formulas become subscripts."""
    assert formula_label("0.5 CaAl2 + 0.5 Cu") == "0.5 CaAl₂ + 0.5 Cu"
    assert formula_label("0.5 Ca(Al2Cu)4 + Cu") == "0.5 CaAl₈Cu₄ + Cu"
    assert formula_label("0.5 Ca(NO3)2 (predicted)") == "0.5 CaN₂O₆ (predicted)"
    assert formula_label("CaAl1-4, CaCu10") == "CaAl₁₋₄, CaCu₁₀"
    assert formula_label("Al-Ca-Cu") == "Al-Ca-Cu"


def test_a_reaction_points_to_what_lies_lower():
    """Away from a candidate above the hull, to one below; beside its own polymorph is none."""
    above = Candidate("a", 0, reaction="CaAl2Cu -> CaAl2 + Cu", energy_above_hull=0.02)
    assert reaction_label(above) == "CaAl₂Cu → CaAl₂ + Cu"
    assert reaction_label(replace(above, energy_above_hull=-0.02)) == "CaAl₂Cu ← CaAl₂ + Cu"
    assert reaction_label(replace(above, reaction="CaAl2 -> CaAl2")) == ""
    older = replace(above, reaction="CaAl2Cu2 -> Ca(AlCu)2")  # spelled as phases were
    assert reaction_label(older) == ""
    assert reaction_label(Candidate("b", 1)) == ""


def test_energies_without_a_value_are_a_dash():
    """Missing and non-finite energies are never printed as numbers."""
    assert energy_label(None) == energy_label(math.nan) == "–"
    assert energy_label(-0.0001) == "0.000 eV/atom"
    assert energy_label(-0.0876) == "−0.088 eV/atom"


def test_text_from_data_is_escaped():
    """Nothing that comes from data can open a tag or leave an attribute."""
    assert escape("<b title='x'>\"&") == "&lt;b title=&#x27;x&#x27;&gt;&quot;&amp;"


def test_fractions_follow_the_order_of_the_elements():
    """Atomic fractions of a formula in a system that has more elements."""
    assert fractions("CaAl2", ("Al", "Ca", "Cu")) == pytest.approx((2 / 3, 1 / 3, 0))


def test_a_likelihood_is_told_with_its_parts_or_not_at_all():
    """Crystals of a generator without a model have none."""
    parts = {"skeleton": -9.125, "lattice": -8.0}
    assert odds_label(0.0) == "50 % within 0.075 eV/atom of the hull"
    assert odds_label(9.0) == "> 99 % within 0.075 eV/atom of the hull"
    assert odds_label(-9.0) == "< 1 % within 0.075 eV/atom of the hull"
    assert odds_label(None) == geometry_words("") == ""
    assert geometry_words("CaAl2Ni2") == "as in CaAl₂Ni₂"
    assert likelihood_label(-17.125, parts) == "−17.12 (skeleton −9.12, lattice −8.00)"
    assert likelihood_label(-17.125) == "−17.12"
    assert likelihood_label(-1.0, {"coordinates": -0.001}) == "−1.00 (coordinates 0.00)"
    assert likelihood_label(float("nan")) == NOT_KNOWN


def test_what_is_expected_of_dft_is_told_with_its_range():
    """Or not at all where nobody knows."""
    record = Record(-0.0324, "exchanged", -0.1236, 0.0487, 0.71, 0.97)
    assert expected_label(record) == "about −0.032 eV/atom by DFT (−0.124 to 0.049)"
    assert expected_label(None) == ""
