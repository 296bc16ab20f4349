"""The list behind the space-group picker."""

import pytest

from explorer.figures.spacegroups import plain, spacegroup_entries


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


def test_point_groups_are_those_of_their_systems():
    """32 point groups over 230 groups, each within one crystal system."""
    entries = spacegroup_entries()
    assert [entry["number"] for entry in entries] == list(range(1, 231))
    pairs = {(entry["system"], entry["point_group"]) for entry in entries}
    assert len(pairs) == len({point for _, point in pairs}) == 32
    assert {entry["lattice"][:2] for entry in entries} == {
        "aP", "mP", "mS", "oP", "oS", "oI", "oF", "tP", "tI", "hP", "hR", "cP", "cI", "cF",
    }  # fmt: skip
