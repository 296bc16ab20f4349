"""Space groups as people name them: numbers, symbols and crystal systems."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from model.wyckoff import table

CRYSTAL_SYSTEMS = {
    "triclinic": range(1, 3),
    "monoclinic": range(3, 16),
    "orthorhombic": range(16, 75),
    "tetragonal": range(75, 143),
    "trigonal": range(143, 168),
    "hexagonal": range(168, 195),
    "cubic": range(195, 231),
}
"""Numbers of the groups of each system."""
_SPAN = re.compile(r"(\d+)\s*[-\u2013]\s*(\d+)")  # a hyphen or an en dash


def read_spacegroups(asked: int | str | Iterable[int | str]) -> tuple[int, ...]:
    """Return numbers in ascending order.

    Parameters
    ----------
    asked
        Numbers (139), spans of numbers (195-206), Hermann-Mauguin symbols of the standard setting
        (Fm-3m, P6_3/mmc) and crystal systems (cubic); a text may hold several with commas.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    items = (asked,) if isinstance(asked, int | str) else asked
    found: set[int] = set()
    for item in items:
        parts = [part.strip() for part in item.split(",")] if isinstance(item, str) else [item]
        for part in parts:
            found |= _groups_of(part)
    return tuple(sorted(found))


@cache
def crystal_system(number: int) -> str:
    """Crystal system of a space group: 139 is tetragonal."""
    return next(name for name, numbers in CRYSTAL_SYSTEMS.items() if number in numbers)


def _groups_of(part: int | str) -> set[int]:
    if isinstance(part, str):
        name = _plain(part)
        if name in CRYSTAL_SYSTEMS:
            return set(CRYSTAL_SYSTEMS[name])
        if name in _numbers_by_symbol():
            return {_numbers_by_symbol()[name]}
        if span := _SPAN.fullmatch(part):
            first, last = map(int, span.groups())
            if 1 <= first <= last <= 230:
                return set(range(first, last + 1))
    number = int(part) if str(part).isdecimal() else 0
    if isinstance(part, bool) or not 1 <= number <= 230:
        raise ValueError(
            "expected a symbol such as Fm-3m or P2_1/c, a crystal system "
            f"such as cubic, or space groups from 1 to 230, got {part}"
        )
    return {number}


@cache
def _numbers_by_symbol() -> dict[str, int]:
    return {_plain(str(symbol)): k + 1 for k, symbol in enumerate(table().symbol)}


def _plain(text: str) -> str:
    """Write a name without case, spaces and underscores."""
    return "".join(c for c in text.lower() if c not in " _")
