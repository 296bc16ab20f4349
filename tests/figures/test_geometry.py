"""Density, oxidation states and bonds in words."""

import pytest
from pymatgen.core import Lattice, Structure

from explorer.figures.geometry import bond_words, density_words, oxidation_words, site_bonds


def test_density_and_volume_are_those_of_textbooks():
    """Copper: 8.9 g/cm³ and 11.8 Å³ per atom."""
    copper = Structure.from_spacegroup(225, Lattice.cubic(3.615), ["Cu"], [[0, 0, 0]])
    assert density_words(copper) == "8.93 g/cm³, 11.8 Å³ per atom"


@pytest.mark.parametrize(
    ("formula", "words"),
    [("CaF2", "Ca²⁺ F⁻"), ("Fe3O4", "Fe²·⁶⁷⁺ O²⁻"), ("Al", ""), ("CaAl2Cu2", "")],
)
def test_oxidation_states_are_guessed_where_they_balance(formula, words):
    """Ionic compounds have them, elements and intermetallics do not."""
    assert oxidation_words(formula) == words


def test_distinct_sites_are_told_once():
    """Fluorite: the eight fluorines are one kind, each with four calciums around it."""
    lattice = Lattice.cubic(5.463)
    fluorite = Structure.from_spacegroup(225, lattice, ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    told = {site.element: site for site in site_bonds(fluorite)}
    assert (told["F"].count, told["F"].coordination) == (8, 4)
    assert (told["Ca"].count, told["Ca"].coordination) == (4, 8)
    assert bond_words(told["F"].lengths) == "4 Ca 2.37 Å"
    assert bond_words({"O": (1.9, 2.1, 6)}) == "6 O 1.90–2.10 Å"
