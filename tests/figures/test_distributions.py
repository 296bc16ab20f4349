"""Histograms of a campaign, from candidates made by hand."""

import math

import pytest
from pymatgen.core import Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.figures.diffraction import diffraction_figure
from explorer.figures.distributions import density, distributions_figure, distributions_of
from explorer.figures.sites import cell_words, site_rows
from model.crystal import Site, WyckoffCrystal

SALT = WyckoffCrystal(
    225, (Site("a", "Na", ()), Site("b", "Cl", ())), (5.64, 5.64, 5.64, 90, 90, 90)
)
LAYERS = WyckoffCrystal(
    139, (Site("a", "Ca", ()), Site("e", "Al", (0.3866,))), (4.06, 4.06, 10.9, 90, 90, 90)
)


def candidate(index: int, crystal=SALT, energy=0.1, state=State.RELAXED) -> Candidate:
    """Return a candidate with an invented energy."""
    return Candidate(f"{index}", index, crystal=crystal, state=state, energy_above_hull=energy)


def test_every_crystal_is_counted_once_where_it_belongs():
    """Energies beyond the limit and without a number are told apart; undecodable ones are left."""
    drawn = [
        candidate(0),
        candidate(1, LAYERS, 0.9),
        candidate(2, energy=math.nan),
        candidate(3, state=State.FAILED),
        candidate(4, crystal=None, energy=None, state=State.REJECTED),
    ]
    shown = distributions_of(drawn, 0.5)
    assert shown.energies == (0.1,)
    assert shown.above == 1
    assert shown.groups == ((225, 3), (139, 1))
    assert len(shown.densities) == 4
    assert sum(fraction for _, fraction in shown.elements) == pytest.approx(1.0)
    assert dict(shown.elements)["Ca"] == pytest.approx(1 / 3 / 4)


def test_density_is_that_of_the_structure():
    """Rock salt: 2.17 g/cm³, as pymatgen finds."""
    structure = Structure.from_spacegroup(
        225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    assert density(candidate(0)) == pytest.approx(float(structure.density), rel=1e-3)


@pytest.mark.parametrize(
    "drawn", [[], [candidate(0)], [candidate(k, energy=k / 50) for k in range(60)]]
)
def test_bars_hold_all_values(drawn):
    """With no value, one and many: the counts of a histogram add up."""
    shown = distributions_of(drawn, 2.0)
    figure = distributions_figure(shown)
    assert sum(figure.data[0].y) == len(shown.energies)
    assert sum(figure.data[1].y) == len(shown.densities)
    for axis in ("yaxis", "yaxis2", "xaxis3"):  # no tick stands at half a crystal
        ticks = figure.layout[axis].tickvals or ()
        assert bool(ticks) == bool(drawn)
        assert all(tick == int(tick) for tick in ticks)


def test_energies_below_the_hull_are_told_with_a_minus_sign():
    """Also under the mouse."""
    shown = distributions_of([candidate(0, energy=-0.02), candidate(1, energy=0.3)], 2.0)
    told = distributions_figure(shown).data[0].hovertext
    assert told[0].startswith("−0.0")
    assert not any("-" in text for text in told)


def test_sites_are_printed_with_their_coordinates():
    """The first point of each orbit, fixed coordinates included."""
    rows = site_rows(LAYERS)
    assert [(row.element, row.position, row.site_symmetry) for row in rows] == [
        ("Ca", "2a", "4/mmm"),
        ("Al", "4e", "4mm"),
    ]
    assert rows[1].coordinates == ("0.0000", "0.0000", "0.3866")
    assert cell_words(LAYERS) == "I4/mmm (139): a 4.060 Å, b 4.060 Å, c 10.900 Å"


def test_the_highest_peak_of_rock_salt_is_200():
    """At 31.7 degrees for Cu K-alpha."""
    structure = Structure.from_spacegroup(
        225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    peaks, labels = diffraction_figure(structure).data
    highest = max(range(len(peaks.y)), key=lambda k: peaks.y[k])
    assert peaks.x[highest] == pytest.approx(31.7, abs=0.1)
    assert labels.text[0] == "2 0 0"


def test_indices_at_an_end_of_the_axis_stand_inside_it():
    """A label in the middle over the first or last peak would be cut off."""
    wide = Structure(Lattice.cubic(15.0), ["Na"], [[0, 0, 0]])  # first peak at 5.9 degrees
    _, labels = diffraction_figure(wide).data
    places = dict(zip(labels.x, labels.textposition, strict=True))
    assert places[min(places)] == "top right"
    assert all(x < 85.5 or place == "top left" for x, place in places.items())
