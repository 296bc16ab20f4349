"""What the page says of the phases that candidates compete with."""

from __future__ import annotations

import pytest

from explorer.campaign import CampaignSpec
from explorer.figures.known import NOTHING, known_of
from explorer.figures.picture import Kind
from explorer.phases import PREDICTED
from explorer.references import ReferencePhases


def test_competition_counts_the_compounds_that_are_there() -> None:
    """Under the hull stand those of the reference set: no elements, and polymorphs once."""
    spec = CampaignSpec.parse(elements="Al-Ca-Cu", hull="potential")
    said = known_of(spec).competition
    phases = ReferencePhases.shipped("Al-Ca-Cu").phases
    formulas = {p.formula: p.chemsys.split("-") for p in phases}
    compounds = sum(len(system) > 1 for system in formulas.values())
    ternary = sum(len(system) == 3 for system in formulas.values())
    assert compounds < sum("-" in p.chemsys for p in phases)
    assert f"compete with {compounds} known compounds ({ternary} of Al–Ca–Cu" in said


def test_the_hull_of_dft_counts_its_own_phases() -> None:
    """A new campaign says that it uses DFT formation energies; phases keep their structures."""
    known = known_of(CampaignSpec.parse(elements="Al-Ca-Cu"))
    assert "DFT formation energies (MP2020)" in known.competition
    assert "energies of the potential" in known_of(CampaignSpec(elements=("Al", "Cu"))).competition
    compounds = [p for p in known.hull.references.phases if "-" in p.chemsys]
    guessed = [p for p in compounds if p.source == PREDICTED]
    assert guessed
    assert f"{len(compounds) - len(guessed)} known compounds" in known.competition
    assert f"{len(guessed)} predicted ones" in known.competition
    shown = [dot.id for dot in known.picture.dots if dot.kind == Kind.PREDICTED]
    assert sorted(shown) == sorted(phase.id for phase in guessed)
    assert {p.geometry for p in compounds if p.source != PREDICTED} == {"dft"}
    assert all(len(phase.structure) == phase.n_atoms for phase in known.phases.values())


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("C", "compete with 1 known form of C;"),
        ("Al-Cu", "compete with 2 known compounds of Al–Cu;"),
        ("Mg-Si", "compete with 1 known compound of Mg–Si;"),
        ("Cu-W", "compete with no known compound of Cu–W;"),
        ("Mg-Si-W", "compete with 2 known compounds (none of Mg–Si–W, none of Mg–W);"),
        ("Al-Ca-Cu-Mg", "(none of Al–Ca–Cu–Mg, none of Ca–Cu) and with 2 predicted ones of pairs"),
        ("Al-Li-Na-O-Si", "(none of Al–Li–Na–O–Si, none of Al–Na, Al–Si, Li–Na, Na–Si);"),
    ],
)
def test_what_competes_is_told_once_for_any_number_of_elements(system: str, said: str) -> None:
    """No "1 compounds", no "0 of them", and no count of a pair's compounds that repeats itself."""
    assert said in known_of(CampaignSpec.parse(elements=system)).competition


def test_of_many_pairs_without_a_compound_the_first_are_named() -> None:
    """A caption that lists dozens of pairs hides what it says."""
    said = known_of(CampaignSpec.parse(elements="Cr-Cu-Mo-Nb-Ta-W")).competition
    named = said[said.rindex("none of ") : said.index(")", said.rindex("none of "))]
    assert named.count("–") == 6
    assert named.endswith(" pairs more")


def test_nothing_is_said_where_nothing_is_known() -> None:
    """Without a system there is no competition to speak of."""
    assert NOTHING.competition == ""


def test_what_competes_without_a_structure_is_told_beside_the_targets() -> None:
    """Or the counts of known ternaries, on the hull and among the targets, would contradict."""
    known = known_of(CampaignSpec.parse(elements="Al-Ca-Cu"))
    ternary = {p.id for p in known.hull.references.phases if p.chemsys == "Al-Ca-Cu"}
    absent = ternary - known.phases.keys()
    assert absent
    assert known.targets.remark.startswith(f"{len(absent)} known phase")
    assert not ternary & set(known.targets.names) & absent
    own = known_of(CampaignSpec.parse(elements="Al-Ca-Cu", hull="potential"))
    assert own.targets.remark == ""  # all that compete there have their structures
