"""The 230 space groups as a person looks for them: by system, point group, lattice and symbol."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import spglib

from explorer.figures.words import spacegroup_symbol
from model.spacegroups import crystal_system

HALL_SYMBOLS = 530
UNIQUE_B = re.compile(r"^([a-z])1(\S+)1$")
# International Tables A: family letter of the crystal system, then the centring.
BRAVAIS = {
    "triclinic": "a",
    "monoclinic": "m",
    "orthorhombic": "o",
    "tetragonal": "t",
    "trigonal": "h",
    "hexagonal": "h",
    "cubic": "c",
}
SIDE_CENTRED = {"A": "S", "C": "S"}
CENTRING_WORDS = {
    "P": "primitive",
    "S": "base-centred",
    "I": "body-centred",
    "F": "face-centred",
    "R": "rhombohedral",
}


@cache
def spacegroup_entries() -> tuple[dict[str, Any], ...]:
    """Describe the groups in the order of their numbers.

    Returns
    -------
    tuple of dict
        number, symbol (for people), system, point_group, lattice ("tI, body-centred") and names:
        the strings that a search compares with, in the spelling of `plain`.
    """
    return tuple(_entry(number, kinds) for number, kinds in sorted(_kinds_of_groups().items()))


def plain(text: str) -> str:
    """Return a symbol as it is typed: lower case, without spaces, underscores and braces."""
    return "".join(c for c in text.lower().replace("−", "-") if c not in " _{}")


def _kinds_of_groups() -> dict[int, list[spglib.SpaceGroupType]]:
    """All settings of each group, spglib's standard one first."""
    kinds: dict[int, list[spglib.SpaceGroupType]] = {}
    for hall in range(1, HALL_SYMBOLS + 1):
        kind = spglib.get_spacegroup_type(hall)
        kinds.setdefault(kind.number, []).append(kind)
    return kinds


def _entry(number: int, kinds: list[spglib.SpaceGroupType]) -> dict[str, Any]:
    first = kinds[0]
    system = crystal_system(number)
    centring = first.international_short[0]
    kind = SIDE_CENTRED.get(centring, centring)
    names = {first.schoenflies}
    for each in kinds:
        names |= {each.international_short, each.international_full}
        names |= {name.strip() for name in each.international.split("=")}
    if system == "monoclinic":  # P 1 2_1/n 1 is typed P21/n
        names |= {UNIQUE_B.sub(r"\1\2", plain(name)) for name in names}
    return {
        "number": number,
        "symbol": spacegroup_symbol(number),
        "system": system,
        "point_group": first.pointgroup_international,
        "lattice": f"{BRAVAIS[system]}{kind}, {CENTRING_WORDS[kind]}",
        "names": sorted({plain(name) for name in names}),
    }
