"""Wyckoff positions in words and pictures, against the tables and the atoms themselves."""

import numpy as np
import pytest

from explorer.figures.wyckoff import SIZE, coordinate_words, coordinates, position_cards
from model.wyckoff import table


@pytest.mark.parametrize(
    ("group", "letter", "expected"),
    [
        (139, "e", ["0,0,z", "0,0,-z"]),
        (227, "a", ["1/8,1/8,1/8", "7/8,3/8,3/8"]),
        (14, "e", ["x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2"]),
        (166, "c", ["0,0,z", "0,0,-z"]),
        (194, "h", None),
    ],
)
def test_coordinates_are_those_of_international_tables(group, letter, expected):
    """Centring translations are left out, as in the printed tables."""
    position = table().position(group, letter)
    found = coordinates(position)
    if expected is None:
        assert found[0] == "x,2x,1/4"
    else:
        assert found == expected
    assert len(found) * table().centering[group - 1] == table().multiplicity[position]


@pytest.mark.parametrize("group", [1, 2, 14, 47, 62, 139, 166, 194, 225, 227, 230])
def test_every_position_has_a_picture_within_its_frame(group):
    """As many points as the multiplicity, and images only of points on the faces."""
    card = position_cards(group)
    wyckoff = table()
    assert len(card["edges"]) == 12
    assert len(card["positions"]) == len(wyckoff.positions_of(group))
    for picture, position in zip(card["positions"], wyckoff.positions_of(group), strict=True):
        points = np.array(picture["points"])
        assert picture["name"] == wyckoff.name(position)
        assert len(points) >= wyckoff.multiplicity[position]
        assert len(picture["axes"]) == picture["freedom"]
        assert (points[:, :2] >= 0).all()
        assert (points[:, :2] <= SIZE).all()
        assert (points[:, 2] >= -1e-6).all()
        assert (points[:, 2] <= 1).all()


def test_a_corner_is_drawn_at_all_eight_corners():
    """The origin of a primitive cubic cell."""
    card = position_cards(221)
    assert len(card["positions"][0]["points"]) == 8
    assert len(card["positions"][1]["points"]) == 1


def test_words_of_a_map_keep_signs_and_fractions():
    """Factors before variables, fractions at the end."""
    rows = [[1, -1, 0, 0], [0, 2, 0, 1 / 3], [0, 0, 0, 0]]
    assert coordinate_words(np.array(rows, float)) == "x-y,2y+1/3,0"
