"""Free coordinates of a site that are asked for: values and ranges, and whether a crystal has them.

A site may be told by any of its points that lies on the first representative of its position, so
what is asked for holds if it holds for one of them. The sampler is led by the smallest equivalent
of what is asked, as the description of crystals settles on the smallest point.

Letters in shapes: K points of an orbit, F free coordinates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from model.tokens import COORDINATE_SCALE, FINE_STEPS
from model.wyckoff import WyckoffTable, table

AXES = "xyz"
STEPS = COORDINATE_SCALE.bins * FINE_STEPS
"""Values that a coordinate may have in a token row."""
DECIMALS = 5
"""More would be less than a step."""
FARTHEST = 10.0
"""Cells away that a coordinate may be told; a number beyond is no fraction."""
TOLERANCE = 2e-3
"""How far (fractional) a symmetrized point may lie from its Wyckoff position."""
_NUMBER = r"([+-]?\d*\.?\d+(?:/\d+)?)"
_ASKED = re.compile(rf"^\s*([xyz])\s*=\s*{_NUMBER}\s*(?:\.\.\s*{_NUMBER})?\s*$")


class Interval(NamedTuple):
    """What one free coordinate may be."""

    axis: int
    """0, 1 or 2 for x, y or z."""
    low: float
    """In [0, 1)."""
    high: float
    """In [low, low + 1); beyond 1 the range goes on at 0. Equal to ``low`` for a single value."""

    def __str__(self) -> str:
        """Return the form that `read_intervals` reads."""
        values = [self.low] if self.low == self.high else [self.low, self.high]
        told = (f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in values)
        return f"{AXES[self.axis]}=" + "..".join(told)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Whether values, of any shape, lie in it, to a step of the token rows."""
        apart = values - self.low
        beyond = apart - np.floor(apart + 1 / STEPS)
        return beyond <= self.high - self.low + 1 / STEPS


Box = tuple[Interval, ...]
"""One interval for each coordinate that is asked for, in the order x, y, z."""


def read_intervals(text: str, position: int) -> Box:
    """Read ``z=0.36``, ``x=1/8,z=0.34..0.38`` or ``z=-0.05..0.05`` for a Wyckoff position.

    Raises
    ------
    ValueError
        If the text has another form, names a coordinate that is not free or names one twice, if a
        range is empty or longer than the cell, or if the values lie on a more symmetric position.
    """
    free = [AXES[axis] for axis in np.flatnonzero(table().free_axes[position])]
    found: dict[int, Interval] = {}
    for part in text.split(","):
        match = _ASKED.match(part)
        if match is None:
            raise ValueError(f"expected coordinates such as z=0.36 or z=0.34..0.38, got {part!r}")
        name, first, last = match.groups()
        if name not in free:
            has = f"its free coordinates are {', '.join(free)}" if free else "it has none"
            raise ValueError(f"{name} is no free coordinate of {table().name(position)}; {has}")
        if AXES.index(name) in found:
            raise ValueError(f"expected one value or range for {name}, got two")
        found[AXES.index(name)] = _interval(AXES.index(name), first, last or first)
    box = tuple(found[axis] for axis in sorted(found))
    _refuse_special(position, box)
    return box


def _interval(axis: int, first: str, last: str) -> Interval:
    """Read the two ends of a range."""
    low, high = _value(first), _value(last)
    if not low <= high < low + 1:
        raise ValueError(
            f"expected a range that rises by less than 1, got {AXES[axis]}={first}..{last}"
        )
    whole = np.floor(low)
    return Interval(axis, round(low - whole, DECIMALS) % 1.0, round(high - whole, DECIMALS))


def _value(text: str) -> float:
    """Read a decimal number or a fraction."""
    numerator, _, denominator = text.partition("/")
    if denominator and not int(denominator):
        raise ValueError(f"expected a number, got {text}")
    value = float(numerator) / int(denominator or 1)
    if not abs(value) <= FARTHEST:
        raise ValueError(f"expected a fraction of the cell's edge, got {text}")
    return value


def _refuse_special(position: int, box: Box) -> None:
    """Raise ValueError where all coordinates are single values that bring points together."""
    if len(box) < table().freedom[position] or any(i.low != i.high for i in box):
        return
    points = table().orbit(position, [interval.low for interval in box])
    apart = points[:, None] - points[None]
    together = (np.abs(apart - np.rint(apart)) < TOLERANCE).all(axis=2).sum() > len(points)
    if together:
        raise ValueError(
            f"{', '.join(map(str, box))} puts atoms of {table().name(position)} on one another: "
            "the point belongs to a more symmetric position; ask for that one"
        )


def free_coordinates(wyckoff: WyckoffTable, position: int, points: np.ndarray) -> np.ndarray:
    """Free coordinates of those points that lie on the position's first representative.

    Parameters
    ----------
    points : ndarray, shape (K, 3)
        Points of one orbit, fractional.

    Returns
    -------
    ndarray, shape (K', F)
        In [0, 1); K' <= K points lie on the representative.
    """
    operation = wyckoff.operations_of(position)[0]
    matrix, offset = operation[:, :3], operation[:, 3]
    variables = np.zeros_like(points)
    for axis in np.flatnonzero(wyckoff.free_axes[position]):
        row = _bare_row(matrix, axis)
        variables[:, axis] = (points[:, row] - offset[row]) * matrix[row, axis]
    apart = variables @ matrix.T + offset - points
    on_it = (np.abs(apart - np.rint(apart)) < TOLERANCE).all(axis=1)
    free = variables[on_it][:, wyckoff.free_axes[position]]
    free = free - np.floor(free)
    free[free >= 1.0 - 1e-6] = 0.0
    return free


def _bare_row(matrix: np.ndarray, axis: int) -> int:
    """Row in which the variable stands alone with coefficient 1 or -1; every position has one."""
    alone = (np.abs(matrix[:, axis]) == 1) & ((matrix != 0).sum(axis=1) == 1)
    return int(np.flatnonzero(alone)[0])


def has(position: int, free: Sequence[float], box: Box) -> bool:
    """Whether an orbit has the coordinates asked for, in any way to tell it.

    Parameters
    ----------
    free : sequence of float, shape (F,)
    """
    told = free_coordinates(table(), position, table().orbit(position, free))
    columns = _columns(position)
    inside = np.ones(len(told), bool)
    for interval in box:
        inside &= interval.holds(told[:, columns[interval.axis]])
    return bool(inside.any())


@lru_cache(maxsize=1000)
def smallest_box(position: int, box: Box) -> Box:
    """Return the equivalent of what is asked for that lies nearest to the origin.

    Only equivalents that ask for single coordinates are looked at, as those of x - y do not.
    """
    turned = (_turned(box, matrix, shift) for matrix, shift in _changes(position))
    return min((other for other in turned if other is not None), key=_centres)


def _centres(box: Box) -> tuple[float, ...]:
    """Middle of each coordinate; the middle of the cell for one that is not asked for."""
    middle = {interval.axis: (interval.low + interval.high) / 2 % 1.0 for interval in box}
    return tuple(round(middle.get(axis, 0.5), DECIMALS) for axis in range(3))


def _changes(position: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All changes of the variables, (3, 3) and (3,), that tell the same orbit.

    They come from the operations of the group that take the first representative to itself.
    """
    wyckoff = table()
    first = wyckoff.operations_of(position)[0]
    matrix, offset = first[:, :3], first[:, 3]
    axes = np.flatnonzero(wyckoff.free_axes[position])
    rows = [_bare_row(matrix, axis) for axis in axes]
    signs = matrix[rows, axes]
    for operation in wyckoff.group_operations(int(wyckoff.group[position])):
        moved = operation[:, :3] @ matrix  # of the variables
        start = operation[:, :3] @ offset + operation[:, 3]
        change, shift = np.zeros((3, 3)), np.zeros(3)
        change[axes] = signs[:, None] * moved[rows]
        shift[axes] = signs * (start - offset)[rows]
        apart = matrix @ shift + offset - start
        if np.allclose(matrix @ change, moved) and np.allclose(apart, np.rint(apart)):
            yield change, shift


def _turned(box: Box, change: np.ndarray, shift: np.ndarray) -> Box | None:
    """Box after a change of the variables, (3, 3) and (3,); None where it mixes them."""
    asked = {interval.axis: interval for interval in box}
    turned = []
    for axis in range(3):
        sources = np.flatnonzero(np.rint(change[axis]))
        if not any(int(source) in asked for source in sources):
            continue
        if len(sources) > 1:
            return None
        interval, sign = asked[int(sources[0])], change[axis, sources[0]]
        ends = sorted(float(sign * end + shift[axis]) for end in (interval.low, interval.high))
        whole = np.floor(ends[0] + 10.0**-DECIMALS / 2)
        low, high = (round(end - whole, DECIMALS) for end in ends)
        turned.append(Interval(axis, max(low, 0.0), max(high, 0.0)))
    return tuple(turned) if len(turned) == len(box) else None


def _columns(position: int) -> dict[int, int]:
    """Column of each free axis among the free coordinates."""
    axes = np.flatnonzero(table().free_axes[position])
    return {int(axis): column for column, axis in enumerate(axes)}


@lru_cache(maxsize=1000)
def steps_of(interval: Interval) -> np.ndarray:
    """Bins, and steps within them, that lie in an interval, at least one, (96, 64) bool."""
    first = int(np.ceil(interval.low * STEPS - 1e-6))
    last = int(np.floor(interval.high * STEPS + 1e-6))
    if last < first:
        first = last = round((interval.low + interval.high) / 2 * STEPS)
    allowed = np.zeros(STEPS, bool)
    # a bin is centred on its value: its steps begin half a bin before
    allowed[(np.arange(first, last + 1) + FINE_STEPS // 2) % STEPS] = True
    return allowed.reshape(COORDINATE_SCALE.bins, FINE_STEPS)
