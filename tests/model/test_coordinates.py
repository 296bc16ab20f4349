"""Free coordinates that are asked for: read, led to the smallest equivalent, obeyed, audited."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.baseline_substitution import proposals, satisfies
from explorer.crystals import to_structure
from model.checkpoint import LoadedNetwork
from model.constraints import ConstraintError, Constraints, SiteConstraint
from model.coordinates import STEPS, Interval, has, read_intervals, smallest_box, steps_of
from model.sample import sample
from model.templates import load_templates
from model.wyckoff import table


def _point(position: int, rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(rng.random(int(table().freedom[position])).round(4))


def _asked(position: int, free: tuple[float, ...], half: float = 0.0) -> tuple[Interval, ...]:
    """Box around a point."""
    axes = np.flatnonzero(table().free_axes[position])
    names = ("xyz"[axis] for axis in axes)
    told = (f"{n}={v - half:.5f}..{v + half:.5f}" for n, v in zip(names, free, strict=True))
    return read_intervals(",".join(told), position)


@pytest.mark.parametrize("spacegroup", range(1, 231))
def test_what_is_asked_of_a_point_holds_for_all_its_equivalents(spacegroup: int) -> None:
    """A site has its own coordinates, told by any of its points, and not those of another."""
    rng = np.random.default_rng(spacegroup)
    for position in table().positions_of(spacegroup):
        if not table().freedom[position]:
            continue
        free = _point(position, rng)
        box = _asked(position, free, half=0.0005)
        smallest = smallest_box(position, box)
        assert has(position, free, box)
        assert has(position, free, smallest)
        assert has(position, [(i.low + i.high) / 2 % 1.0 for i in smallest], box)
        assert smallest_box(position, smallest) == smallest
        other = _asked(position, tuple((v + 0.01) % 1 for v in free), half=0.0005)
        # a point at (x, x + 0.01) may be an equivalent of the other
        assert has(position, free, other) == has(position, [i.low + 0.0005 for i in other], box)


@pytest.mark.parametrize(("low", "high"), [(0.25, 0.25), (0.3, 0.42), (0.95, 1.05), (0.0, 0.0)])
def test_steps_of_an_interval_lie_in_it(low: float, high: float) -> None:
    """The steps are those values that the interval holds, and there is always one."""
    interval = Interval(2, low, high)
    places = (np.arange(STEPS) - 32) / STEPS
    allowed = steps_of(interval).ravel()
    assert allowed.any()
    assert interval.holds(places[allowed]).all()
    assert allowed.sum() >= (high - low) * STEPS - 1


def test_texts_come_back_as_they_were() -> None:
    """What is written is what was read, fractions and ranges over the edge included."""
    for text in ("139:4e=Al@z=0.36", "139:4e@z=0.34..0.38", "62:4c=O@x=0.33333,z=0.95..1.05"):
        assert str(SiteConstraint.parse(text)) == text
    assert str(SiteConstraint.parse("62:4c=O@x=1/3,z=-0.05..0.05")) == (
        "62:4c=O@x=0.33333,z=0.95..1.05"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("139:4e=Al@", "expected coordinates such as z=0.36"),
        ("139:4e=Al@z=x", "expected coordinates such as z=0.36"),
        ("139:4e=Al@z=1/0", "expected a number, got 1/0"),
        ("139:4e=Al@z=36", "expected a fraction of the cell's edge, got 36"),
        ("139:4e@x=0.1", "x is no free coordinate of 4e; its free coordinates are z"),
        ("139:2a@z=0.1", "z is no free coordinate of 2a; it has none"),
        ("139:4e@z=0.1,z=0.2", "one value or range for z, got two"),
        ("139:4e@z=0.4..0.3", "expected a range that rises by less than 1, got z=0.4..0.3"),
        ("139:4e@z=0.5", "belongs to a more symmetric position"),
        ("139:4d=none@z=0.1", "leave out @"),
    ],
)
def test_bad_coordinates_are_refused(text: str, message: str) -> None:
    """The message says what was expected and what would help."""
    with pytest.raises(ConstraintError, match=message):
        Constraints.parse("Al-Ca-Cu", sites=[text])


def test_the_same_place_is_not_asked_for_twice() -> None:
    """Two sites at equivalent points would be one; at others they are two."""
    with pytest.raises(ConstraintError, match="twice at the same place"):
        Constraints.parse("Al-Ca-Cu", sites=["139:4e@z=0.36", "139:4e@z=0.64"])
    assert Constraints.parse("Al-Ca-Cu", sites=["139:4e@z=0.36", "139:4e@z=0.14"])


@pytest.mark.parametrize("search", ["independent", "likeliest"])
def test_drawn_crystals_have_the_coordinates(shipped: LoadedNetwork, search: str) -> None:
    """Every crystal has the values asked for, whoever found its geometry; others stay free."""
    constraints = Constraints.parse(
        "Al-Ca-Cu", sites=["139:4e=Al@z=0.62", "139:4e=Cu@z=0.1..0.2", "139:8f"]
    )
    known = {"templates": load_templates(), "again": 1.5} if search == "likeliest" else {}
    drawn = list(sample(shipped, constraints, seed=3, count=24, search=search, **known))
    assert all(draw.crystal is not None for draw in drawn)
    for draw in drawn:
        placed = constraints.assign(draw.crystal.sites)
        assert placed is not None
        told = {str(want): draw.crystal.sites[index].free for index, want in placed.items()}
        assert told["139:4e=Al@z=0.62"][0] == pytest.approx(0.38, abs=1 / STEPS)
        assert 0.1 - 1 / STEPS <= told["139:4e=Cu@z=0.1..0.2"][0] <= 0.2 + 1 / STEPS
        assert satisfies(draw.crystal, constraints)
    copper = {round(s.free[0], 3) for d in drawn for s in d.crystal.sites if s.letter == "e"}
    assert len(copper) > 5


def test_general_positions_take_some_coordinates(shipped: LoadedNetwork) -> None:
    """Of three coordinates one may be fixed; the atoms are there in the drawn structure."""
    constraints = Constraints.parse(
        "Ca-O-Ti", spacegroups=62, sites=["62:8d=O@x=0.79,y=0.04..0.06"]
    )
    for draw in sample(shipped, constraints, seed=0, count=12):
        oxygen = [s for s in draw.crystal.sites if s.letter == "d" and s.element == "O"]
        box = constraints.occupied[0].coordinates
        assert any(has(constraints.occupied[0].position, s.free, box) for s in oxygen)
        structure = to_structure(draw.crystal)
        found = np.abs((structure.frac_coords[:, 0] - 0.79 + 0.5) % 1.0 - 0.5) < 1e-3
        assert found.any()


def test_an_audit_tells_a_crystal_that_misses_its_coordinate(shipped: LoadedNetwork) -> None:
    """A described crystal is held against the coordinates; skeletons are proposed all the same."""
    free = Constraints.parse("Al-Ca-Cu", sites=["139:4e=Al"])
    drawn = next(iter(sample(shipped, free, seed=5, count=1))).crystal
    z = next(s.free[0] for s in drawn.sites if s.letter == "e" and s.element == "Al")
    here = Constraints.parse("Al-Ca-Cu", sites=[f"139:4e=Al@z={z:.5f}"])
    away = Constraints.parse("Al-Ca-Cu", sites=[f"139:4e=Al@z={(z + 0.05) % 0.5:.5f}"])
    assert satisfies(drawn, here)
    assert not satisfies(drawn, away)
    first = next(proposals(away))
    assert satisfies(first, away.without_coordinates())
