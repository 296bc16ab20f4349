"""What the page says of the phases that candidates compete with."""

from __future__ import annotations

import pytest

from explorer.campaign import CampaignSpec
from explorer.figures.known import NOTHING, known_of
from explorer.figures.picture import Kind
from explorer.phases import PREDICTED
from explorer.references import ReferencePhases


def test_competition_counts_the_compounds_that_are_there() -> None:
    """The numbers under the hull are those of the reference set, elements left out."""
    spec = CampaignSpec.parse(elements="Al-Ca-Cu", hull="potential")
    said = known_of(spec).competition
    systems = [p.chemsys.split("-") for p in ReferencePhases.shipped("Al-Ca-Cu").phases]
    compounds = sum(len(system) > 1 for system in systems)
    ternary = sum(len(system) == 3 for system in systems)
    assert f"{compounds} known compounds, {ternary} of them of Al, Ca and Cu" in said


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
        ("Mg-Si", "compete with 1 known compound, of Mg and Si;"),
        ("Cu-W", "compete with no known compound, none of Cu-W;"),
        ("Al-Li-Na-O-Si", "known compounds, none of them of Al, Li, Na, O and Si,"),
    ],
)
def test_one_compound_and_none_are_told_as_such(system: str, said: str) -> None:
    """No "1 compounds" and no "0 of them"."""
    assert said in known_of(CampaignSpec.parse(elements=system)).competition


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
