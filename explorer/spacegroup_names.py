"""The names that people give to space groups, in whatever setting they know them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import spglib

from model.spacegroups import crystal_system, read_spacegroups

HALL_SYMBOLS = 530
UNIQUE_B = re.compile(r"^([a-z])1(\S+)1$")


def numbers_of(asked: Iterable[int | str]) -> tuple[int, ...]:
    """Read space groups as `model.spacegroups.read_spacegroups` does, symbols of any setting too.

    P2_1/n is 14 and Pbnm 62: which group it is does not depend on the axes. Letters and coordinates
    of sites always belong to the standard setting.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    items = [item.split(",") if isinstance(item, str) else [item] for item in asked]
    return read_spacegroups([_number_or(part) for parts in items for part in parts])


def _number_or(part: int | str) -> int | str:
    """Return the number of a symbol, or what is none as it was: the model reads that."""
    return _numbers().get(plain(part), part) if isinstance(part, str) else part


@cache
def kinds_of_groups() -> dict[int, tuple[spglib.SpaceGroupType, ...]]:
    """All settings of each group, spglib's standard one first."""
    kinds: dict[int, list[spglib.SpaceGroupType]] = {}
    for hall in range(1, HALL_SYMBOLS + 1):
        kind = spglib.get_spacegroup_type(hall)
        kinds.setdefault(kind.number, []).append(kind)
    return {number: tuple(kinds[number]) for number in sorted(kinds)}


@cache
def names_of(number: int) -> frozenset[str]:
    """Full, short and Schoenflies symbols of a group in all settings, as `plain` spells them."""
    kinds = kinds_of_groups()[number]
    names = {kinds[0].schoenflies}
    for each in kinds:
        names |= {each.international_short, each.international_full}
        names |= {name.strip() for name in each.international.split("=")}
    if crystal_system(number) == "monoclinic":  # P 1 2_1/n 1 is typed P21/n
        names |= {UNIQUE_B.sub(r"\1\2", plain(name)) for name in names}
    return frozenset(map(plain, names))


@cache
def _numbers() -> dict[str, int]:
    return {name: number for number in kinds_of_groups() for name in names_of(number)}


def plain(text: str) -> str:
    """Return a symbol as it is typed: lower case, without spaces, underscores and braces."""
    return "".join(c for c in text.lower().replace("−", "-") if c not in " _{}")
