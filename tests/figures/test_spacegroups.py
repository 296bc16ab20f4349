"""The list behind the space-group picker."""

import pytest

from explorer.figures.spacegroups import spacegroup_entries
from explorer.spacegroup_names import numbers_of, plain


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("Pbnm", 62),
        ("P 2_1/n", 14),
        ("P2_1/c", 14),
        ("Fd-3m", 227),
        ("F 4_1/d -3 2/m", 227),
        ("Oh^5", 225),
        ("R−3m", 166),
    ],
)
def test_groups_are_known_by_all_settings_and_spellings(typed, number):
    """Full, short and Schoenflies symbols, with or without spaces and underscores."""
    found = [entry["number"] for entry in spacegroup_entries() if plain(typed) in entry["names"]]
    assert found == [number]
    assert numbers_of([typed]) == (number,)


def test_symbols_spans_and_systems_are_read_together():
    """As a command has them; what is none of them is named."""
    assert numbers_of(["P2_1/n, 195-197", "Fm-3m", 2]) == (2, 14, 195, 196, 197, 225)
    assert numbers_of(["hexagonal"]) == tuple(range(168, 195))
    with pytest.raises(ValueError, match="got Q4/x"):
        numbers_of(["Pbnm,Q4/x"])


def test_point_groups_are_those_of_their_systems():
    """32 point groups over 230 groups, each within one crystal system."""
    entries = spacegroup_entries()
    assert [entry["number"] for entry in entries] == list(range(1, 231))
    pairs = {(entry["system"], entry["point_group"]) for entry in entries}
    assert len(pairs) == len({point for _, point in pairs}) == 32
    assert {entry["lattice"][:2] for entry in entries} == {
        "aP", "mP", "mS", "oP", "oS", "oI", "oF", "tP", "tI", "hP", "hR", "cP", "cI", "cF",
    }  # fmt: skip
