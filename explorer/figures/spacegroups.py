"""The 230 space groups as a person looks for them: by system, point group, lattice and symbol."""

from __future__ import annotations

from functools import cache
from typing import Any

import spglib

from explorer.figures.words import spacegroup_symbol
from explorer.spacegroup_names import kinds_of_groups, names_of
from model.spacegroups import crystal_system

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
        the strings that a search compares with, of `names_of`.
    """
    return tuple(_entry(number, kinds) for number, kinds in kinds_of_groups().items())


def _entry(number: int, kinds: tuple[spglib.SpaceGroupType, ...]) -> dict[str, Any]:
    first = kinds[0]
    system = crystal_system(number)
    centring = first.international_short[0]
    kind = SIDE_CENTRED.get(centring, centring)
    return {
        "number": number,
        "symbol": spacegroup_symbol(number),
        "system": system,
        "point_group": first.pointgroup_international,
        "lattice": f"{BRAVAIS[system]}{kind}, {CENTRING_WORDS[kind]}",
        "names": sorted(names_of(number)),
    }
