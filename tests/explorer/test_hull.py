"""The hull: thermodynamics on energies of one level."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from explorer.candidate import Candidate, State
from explorer.hull import Hull, LevelError, decomposition_text, destabilised_text, reaction_text
from explorer.phases import Phase, phase_from_structure
from explorer.potentials import EnergyLevel
from explorer.references import ReferencePhases

LEVEL = EnergyLevel("toy 1", "0123456789ab", "none")
OTHER = EnergyLevel("toy 2", "0123456789ab", "none")


def phase(name: str, formula: str, energy: float) -> Phase:
    """Return a phase whose geometry does not matter."""
    symbols = [e.symbol for e, n in Composition(formula).items() for _ in range(int(n))]
    coords = np.linspace(0, 0.9, len(symbols))[:, None] * np.ones(3)
    return phase_from_structure(name, Structure(Lattice.cubic(9), symbols, coords), energy, "toy")


def references(*extra: Phase) -> ReferencePhases:
    """Return a toy Al-Ca-Cu with one compound."""
    corners = [phase("al", "Al", -3.0), phase("ca", "Ca", -2.0), phase("cu", "Cu", -4.0)]
    return ReferencePhases(LEVEL, (*corners, phase("laves", "CaAl2", -3.2), *extra))


def candidate(name: str, formula: str, energy: float, level: EnergyLevel = LEVEL) -> Candidate:
    """Return a relaxed candidate."""
    return Candidate(
        id=name,
        index=0,
        formula=formula,
        state=State.RELAXED,
        energy_per_atom=energy,
        level=level,
    )


def test_distance_and_decomposition_of_a_ternary() -> None:
    """A compound of Ca, Al and Cu is measured against CaAl2 + Cu at the same composition."""
    point = Hull(references()).place("CaAl2Cu", -3.0, LEVEL)
    assert point.energy_above_hull == pytest.approx(-3.0 - (0.75 * -3.2 + 0.25 * -4.0))
    assert point.decomposition == "0.75 CaAl2 + 0.25 Cu"
    assert point.formation_energy == pytest.approx(-3.0 - (0.25 * -2 + 0.5 * -3 + 0.25 * -4))


def test_below_the_hull_is_negative() -> None:
    """An energy that beats every competition has a negative distance."""
    point = Hull(references()).place("CaAl2", -3.5, LEVEL)
    assert point.energy_above_hull == pytest.approx(-0.3)
    assert point.decomposition == "CaAl2"


def test_levels_do_not_mix() -> None:
    """An energy of another level raises, and names both."""
    hull = Hull(references())
    with pytest.raises(LevelError, match=r"toy 1.*toy 2"):
        hull.place("CaAl2", -3.0, OTHER)
    strangers = [candidate(f"x{k}", "CaAl2", -3.0, OTHER) for k in range(5)]
    with pytest.raises(LevelError, match=r"for x0, x1, x2 and 2 more"):
        hull.lowered_by([candidate("fine", "CaAl2", -3.0), *strangers])


@pytest.mark.parametrize("energy", [float("nan"), float("inf"), None])
def test_no_energy_is_a_value_with_a_reason(energy: float | None) -> None:
    """A non-finite energy is not placed, and does not raise."""
    point = Hull(references()).place("CaAl2", energy, LEVEL)
    assert point.energy_above_hull is None
    assert "not a finite number" in point.reason


def test_absurd_energies_are_quarantined_and_counted() -> None:
    """NaN and -1e6 eV leave the hull as it was, and are listed with their reasons."""
    hull = Hull(references())
    lowered = hull.lowered_by(
        [candidate("nan", "CaAl2", float("nan")), candidate("deep", "CaCu", -1e6)]
    )
    assert lowered.stable == hull.stable
    assert set(lowered.quarantined) == {"nan", "deep"}
    assert "implausible" in lowered.quarantined["deep"]


def test_a_candidate_says_what_it_pushes_off_the_hull() -> None:
    """CaAl4 far below the hull makes CaAl2 unstable; one above the hull does nothing."""
    hull = Hull(references())
    deep = hull.lowering(candidate("deep", "CaAl4", -4.0))
    assert deep.depth == pytest.approx(4.0 - (0.6 * 3.2 + 0.4 * 3.0))
    share = (2 / 3) / 0.8  # of the atoms of CaAl2 in CaAl4, the rest in Ca
    tie_line = share * -4.0 + (1 - share) * -2.0
    assert deep.destabilised == {"laves": pytest.approx(-3.2 - tie_line)}
    assert destabilised_text(deep) == f"CaAl2 {-3.2 - tie_line:+.3f}"
    high = hull.lowering(candidate("high", "CaAl4", -2.9))
    assert (high.depth, high.destabilised) == (0.0, {})
    nothing = hull.lowering(candidate("nan", "CaAl4", float("nan")))
    assert (nothing.depth, nothing.destabilised) == (0.0, {})
    assert destabilised_text(nothing) == ""
    with pytest.raises(LevelError, match="for other"):
        hull.lowering(candidate("other", "CaAl4", -4.0, OTHER))


def test_the_lowest_polymorph_is_ranked_first_and_drawn_last() -> None:
    """Of three CaAl2 the deepest has rank 0 and comes after the others."""
    others = [phase("middle", "CaAl2", -3.1), phase("high", "Ca2Al4", -2.9)]
    points = Hull(references(*others)).points()
    same = points[points["formula"] == "CaAl2"]
    assert same["id"].tolist() == ["high", "middle", "laves"]
    assert same["polymorph"].tolist() == [2, 1, 0]


def test_many_distances_at_once_are_those_of_one_by_one() -> None:
    """What cannot be placed is NaN, not a number."""
    hull = Hull(references())
    formulas, energies = ["CaAl2Cu", "CaO", "Cu", "CaAl"], [-3.0, -3.0, None, -2.5]
    above = hull.energies_above(formulas, energies)
    assert np.isnan(above).tolist() == [False, True, True, False]
    for k in (0, 3):
        single = hull.place(formulas[k], energies[k], LEVEL).energy_above_hull
        assert above[k] == pytest.approx(single)


def test_reactions_are_balanced() -> None:
    """Shares of atoms become the smallest whole numbers of formula units."""
    assert Hull(references()).place("CaAl2Cu", -3.0, LEVEL).reaction == "CaAl2Cu -> CaAl2 + Cu"
    assert reaction_text("Ca3Al4", {"CaAl2": 6 / 7, "Ca": 1 / 7}) == "Ca3Al4 -> Ca + 2 CaAl2"
    assert reaction_text("CaAl3", {"CaAl2": 3 / 8, "CaAl4": 5 / 8}) == "2 CaAl3 -> CaAl2 + CaAl4"


def test_a_missing_corner_is_named() -> None:
    """Without elemental copper, what holds copper is not placed and the element is named."""
    phases = [p for p in references().phases if p.id != "cu"]
    hull = Hull(ReferencePhases(LEVEL, tuple(phases), ("Al", "Ca", "Cu")))
    assert hull.missing_elements == ("Cu",)
    assert "Cu" in hull.place("CaCu", -3.0, LEVEL).reason
    assert hull.place("CaAl2", -3.2, LEVEL).energy_above_hull == pytest.approx(0)


def test_a_foreign_element_is_named() -> None:
    """A compound outside the system is not placed."""
    assert "O outside the system" in Hull(references()).place("CaO", -6.0, LEVEL).reason


def test_candidates_lower_the_hull() -> None:
    """A candidate below the hull becomes a corner of the new one and leaves the old alone."""
    hull = Hull(references())
    lowered = hull.lowered_by([candidate("new", "CaCu", -3.5), candidate("new", "CaCu", -3.5)])
    assert "new" in lowered.stable
    assert "new" not in hull.stable
    assert lowered.place("CaCu", -3.5, LEVEL).energy_above_hull == pytest.approx(0)
    assert any("new" in facet for facet in lowered.facets())


def test_an_unconverged_candidate_is_no_corner() -> None:
    """The energy of a failed relaxation is kept for the record but lowers nothing."""
    failed = replace(candidate("new", "CaCu", -3.5), state=State.FAILED)
    assert "new" not in Hull(references()).lowered_by([failed]).stable


def test_one_composition_has_one_spelling() -> None:
    """Known phases come as Ca(AlCu)2 and Li2O2, candidates as CaAl2Cu2 and LiO."""
    hull = Hull(references(phase("known", "CaAl2Cu2", -3.9)))
    assert hull.references.phases[-1].formula == "Ca(AlCu)2"
    point = hull.place("CaAl2Cu2", -3.8, LEVEL)
    assert point.decomposition == "CaAl2Cu2"
    assert point.reaction == "CaAl2Cu2 -> CaAl2Cu2"
    points = hull.lowered_by([candidate("drawn", "CaAl2Cu2", -3.95)]).points()
    forms = points[points["formula"] == "CaAl2Cu2"].set_index("id")["polymorph"]
    assert forms.to_dict() == {"drawn": 0, "known": 1}
    oxides = [phase("li", "Li", -2.0), phase("o", "O2", -4.0), phase("peroxide", "LiO", -5.0)]
    air = Hull(ReferencePhases(LEVEL, tuple(oxides), ("Li", "O")))
    assert air.place("LiO", -4.9, LEVEL).reaction == "Li2O2 -> Li2O2"


def test_points_are_a_table_for_plots() -> None:
    """Every phase is a row whose fractions add up to one, and corners lie at zero."""
    points = Hull(references(phase("high", "CaAl2", -3.1))).points().set_index("id")
    assert np.allclose(points[["Al", "Ca", "Cu"]].sum(axis=1), 1)
    assert points.loc["high", "energy_above_hull"] == pytest.approx(0.1)
    assert not points.loc["high", "stable"]
    assert points.loc["al", "formation_energy"] == pytest.approx(0)


def test_phase_ids_are_unique() -> None:
    """Two phases of one id would be mixed up; that is refused."""
    with pytest.raises(ValueError, match="unique"):
        references(phase("al", "Al", -2.9))


FORMULAS = ["CaAl", "CaAl4", "Ca8Al3", "AlCu", "AlCu3", "Al2Cu", "CaCu5", "CaCu", "CaAlCu"]
ENTRIES = st.lists(st.tuples(st.sampled_from(FORMULAS), st.floats(-5, -1)), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(entries=ENTRIES, extra=st.tuples(st.sampled_from(FORMULAS), st.floats(-5, -1)))
def test_a_new_phase_lowers_no_distance(
    entries: list[tuple[str, float]], extra: tuple[str, float]
) -> None:
    """Adding a phase never brings another one closer to the hull."""
    known = [phase(f"p{i}", formula, energy) for i, (formula, energy) in enumerate(entries)]
    before = Hull(references(*known))
    after = before.lowered_by([candidate("extra", *extra)])
    for known_phase in before.references.phases:
        old = before.place(known_phase.formula, known_phase.energy_per_atom, LEVEL)
        new = after.place(known_phase.formula, known_phase.energy_per_atom, LEVEL)
        assert new.energy_above_hull >= old.energy_above_hull - 1e-9
        assert old.energy_above_hull >= -1e-9


def test_decompositions_read_well() -> None:
    """Fractions of atoms, the largest first; one phase stands alone."""
    assert decomposition_text({"Cu": 0.25, "CaAl2": 0.75}) == "0.75 CaAl2 + 0.25 Cu"
    assert decomposition_text({"CaAl2": 1.0}) == "CaAl2"


def test_a_candidate_never_takes_the_place_of_a_known_phase_of_its_name() -> None:
    """References imported from an earlier campaign are called 000000 too; both stay."""
    hull = Hull(references(phase("000000", "AlCu", -4.5)))
    lowered = hull.lowered_by([candidate("000000", "CaCu", -3.5)])
    assert lowered.place("AlCu", -4.5, LEVEL).energy_above_hull == pytest.approx(0.0)
    assert lowered.place("CaCu", -3.5, LEVEL).energy_above_hull == pytest.approx(0.0)
    assert {"reference 000000", "000000"} <= set(lowered.points()["id"])
