"""The Wyckoff table against two independent sources, for all 230 groups."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from pyxtal.symmetry import Group

from explorer.tables import wyckoff_arrays
from model.crystal import CENTERING_BASIS
from model.wyckoff import LETTERS, table


def test_table_is_what_its_command_makes() -> None:
    """The shipped file holds exactly what ``explorer.prepare tables`` computes."""
    made, shipped = wyckoff_arrays(), table()
    assert len(shipped.group) == 1731
    for name in ("group", "letter", "multiplicity", "freedom", "operation_start", "site_symmetry"):
        assert np.array_equal(made[name], getattr(shipped, name)), name


def test_positions_share_orbits() -> None:
    """Positions with the same list of coordinate triplets, modulo translations, are one orbit."""
    orbits = {
        frozenset(_key(op[:, :3], op[:, 3]) for op in table().operations_of(position))
        for position in range(len(table().group))
    }
    assert len(orbits) == 940


@pytest.mark.parametrize("number", range(1, 231))
def test_group_operations_are_spglibs(number: int) -> None:
    """The general position lists the operations that spglib has for the same setting."""
    hall = Group(number).hall_number
    known = spglib.get_symmetry_from_database(hall)
    expected = {_key(r, t) for r, t in zip(known["rotations"], known["translations"], strict=True)}
    operations = table().group_operations(number)
    assert {_key(op[:, :3], op[:, 3]) for op in operations} == expected


@pytest.mark.parametrize("number", range(1, 231))
def test_orbits_are_closed_and_of_their_multiplicity(number: int) -> None:
    """A random point of each position has as many images under the group as the table says."""
    rng = np.random.default_rng(number)
    operations = table().group_operations(number)
    for position in table().positions_of(number):
        points = table().orbit(position, rng.uniform(0.03, 0.47, table().freedom[position]))
        images = operations[:, :, :3] @ points[0] + operations[:, :, 3]
        distinct = {tuple(np.rint(image * 4800).astype(int) % 4800) for image in images}
        listed = {tuple(np.rint(point * 4800).astype(int) % 4800) for point in points}
        assert listed == distinct
        assert len(points) == table().multiplicity[position]


@pytest.mark.parametrize("number", range(1, 231))
def test_normalizers_keep_the_group(number: int) -> None:
    """Every normalizer operation maps the group's operations onto themselves."""
    operations = table().group_operations(number)
    members = {_key(op[:, :3], op[:, 3]) for op in operations}
    for setting in table().normalizers_of(number):
        turn, shift = setting[:, :3], setting[:, 3]
        back = np.linalg.inv(turn)
        for op in operations:
            rotation = turn @ op[:, :3] @ back
            translation = turn @ op[:, 3] + shift - rotation @ shift
            assert _key(rotation, translation) in members


def test_first_points_of_an_orbit_make_the_primitive_cell() -> None:
    """The first m / centering points of each orbit are distinct modulo the primitive lattice."""
    wyckoff = table()
    rng = np.random.default_rng(0)
    for position in range(len(wyckoff.group)):
        symbol = str(wyckoff.symbol[wyckoff.group[position] - 1])
        count = int(wyckoff.primitive_multiplicity[position])
        points = wyckoff.orbit(position, rng.random(wyckoff.freedom[position]))[:count]
        frac = points @ np.linalg.inv(np.array(CENTERING_BASIS[symbol[0]]))
        apart = frac[:, None] - frac[None]
        apart -= np.rint(apart)
        assert (np.abs(apart).max(axis=2) + np.eye(count)).min() > 1e-6


def test_unknown_letters_and_groups_are_refused_by_name() -> None:
    """The error says what the group has."""
    with pytest.raises(ValueError, match="letters a to o, got 'q'"):
        table().position(139, "q")
    with pytest.raises(ValueError, match="from 1 to 230, got 231"):
        table().positions_of(231)
    assert LETTERS[26] == "A"


def _key(rotation: np.ndarray, translation: np.ndarray) -> tuple[int, ...]:
    turned = tuple(np.rint(rotation).astype(int).ravel())
    return (*turned, *(np.rint(np.asarray(translation) * 24).astype(int) % 24))
