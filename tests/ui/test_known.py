"""What the page says of the phases that candidates compete with."""

from __future__ import annotations

from explorer.campaign import CampaignSpec
from explorer.references import ReferencePhases
from explorer.ui.known import NOTHING, known_of


def test_competition_counts_the_compounds_that_are_there() -> None:
    """The numbers under the hull are those of the reference set, elements left out."""
    said = known_of(CampaignSpec.parse(elements="Al-Ca-Cu")).competition
    systems = [p.chemsys.split("-") for p in ReferencePhases.shipped("Al-Ca-Cu").phases]
    compounds = sum(len(system) > 1 for system in systems)
    ternary = sum(len(system) == 3 for system in systems)
    assert f"{compounds} known compounds, {ternary} of them of Al, Ca and Cu" in said


def test_nothing_is_said_where_nothing_is_known() -> None:
    """Without a system there is no competition to speak of."""
    assert NOTHING.competition == ""
