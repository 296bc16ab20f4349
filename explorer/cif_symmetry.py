"""The symmetry of CIFs that name their space group and do not list its operations.

pymatgen reads such a file without any symmetry where it does not know the symbol, "F d -3 m :2" or
"P 21/n", and at the first origin where a group has two: another crystal, and no word of it. Here
symbols are looked up among spglib's 530 settings; which of them is meant, if the symbol does not
say, follows from the cell and the formula, and what remains open is refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import spglib
from pymatgen.core import Composition, Lattice
from pymatgen.core.operations import SymmOp
from pymatgen.io.cif import str2float

OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
MAGNETIC = "_space_group_symop_magn"
"""Of operations that pymatgen reads otherwise."""
SYMBOLS = (
    *("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m"),
    *("_space_group_name_h-m_full", "_symmetry_space_group_name_h_m", "_space_group_name_h-m_ref"),
)
HALLS = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SETTINGS = range(1, 531)
GLIDES = {
    67: {"": "Cmma", "ba-c": "Cmmb", "cab": "Abmm", "-cba": "Acmm", "bca": "Bmcm", "a-cb": "Bmam"},
    68: {"": "Ccca", "ba-c": "Cccb", "cab": "Abaa", "-cba": "Acaa", "bca": "Bbcb", "a-cb": "Bbab"},
}
"""Settings by their axes of groups where the newer symbols, Cmme and Ccce, are the same for two."""
CHOICE = re.compile(r"(?:\(?:?(?:originchoice|origin|o|:)|(?<=[a-z\d/]))([12hrsz])\)?$")
CHOICES = {"s": "1", "z": "2", "h": "H", "r": "R"}
UNSTRAINED = 0.02
"""How far a cell may be from having a symmetry, as a share of the square of its longest edge."""
APART = 5e-3
"""Fractions of an edge: points of an orbit that are nearer than this are one."""
ADVICE = "list its operations (_space_group_symop_operation_xyz)"

Block = Mapping[str, Any]


def missing_operations(block: Block) -> tuple[str, ...]:
    """Return the operations that a CIF's block means and pymatgen would not find; () for none.

    Parameters
    ----------
    block
        Values by name, as `pymatgen.io.cif.CifParser.as_dict` gives them.

    Raises
    ------
    ValueError
        When what it names is no space group, or leaves more than one setting open.
    """
    told = {str(name).lower().replace(".", "_").rstrip("_"): value for name, value in block.items()}
    if any(name.startswith(MAGNETIC) for name in told):
        return ()
    listed = next((told[name] for name in OPERATIONS if told.get(name)), ())
    if listed and not _left_out(told, listed):
        return _readable([listed] if isinstance(listed, str) else listed, block)
    named, settings = _named(told)
    if not settings:
        return ()
    settings = _of_cell(settings, told, named)
    settings = _of_formula(settings, told)
    if len({frozenset(_operations(setting)) for setting in settings}) > 1:
        raise ValueError(
            f"it names the space group {named}, of which it leaves the origin or the axes open: "
            f"{ADVICE}, or :1 or :2 behind the symbol"
        )
    return _operations(settings[0])


def _left_out(told: Block, listed: str | Sequence[str]) -> bool:
    """Whether a block lists the identity alone and its formula counts the atoms of its group.

    So do generators that write the atoms of a group and leave its operations to who reads them.
    """
    wanted, points = _counted(told)
    alone = isinstance(listed, str) or len(listed) == 1
    if not alone or not points or len(points) in wanted:
        return False
    return any(_atoms(setting, points) in wanted for setting in _named(told)[1])


def _readable(listed: Sequence[str], block: Block) -> tuple[str, ...]:
    """Return operations that stand under a name that pymatgen passes by; refuse strange ones."""
    for text in listed:
        try:
            volume = abs(np.linalg.det(SymmOp.from_xyz_str(text).rotation_matrix))
        except (ValueError, ZeroDivisionError):
            volume = 0.0
        if not 0.99 < volume < 1.01:
            raise ValueError(f"{text!r} is no symmetry operation: expected such as -x, y+1/2, -z")
    return () if any(block.get(name) for name in OPERATIONS) else tuple(listed)


def _named(told: Block) -> tuple[str, list[int]]:
    """Return what a block calls its space group, and the settings that may be meant."""
    number = next((text for name in NUMBERS if (text := _text(told, name))), "")
    hall = next((text for name in HALLS if (text := _text(told, name))), "")
    if (found := _settings_of_halls().get(_spaced(hall))) is not None:
        return hall, [found]
    symbols = [text for name in SYMBOLS if (text := _text(told, name))]
    for symbol in symbols:
        if found := _of_symbol(symbol):
            return symbol, found
    if symbols and not number:
        raise ValueError(f"it names the space group {symbols[0]}, which is unknown: {ADVICE}")
    if not number:
        return hall, []
    if not (number.isdecimal() and 1 <= int(number) <= 230):
        raise ValueError(f"it names the space group {number}: expected one from 1 to 230")
    return number, [k for k in _of_number(int(number)) if _usual(k)]


def _text(told: Block, name: str) -> str:
    value = told.get(name)
    text = value[0] if isinstance(value, list) and value else value
    text = str(text or "").strip().strip("'")  # a Hall symbol may end in a double quote
    return "" if text in {"?", "."} else text


def _plain(symbol: str) -> str:
    return re.sub(r"[\s_]", "", symbol).lower()


def _spaced(hall: str) -> str:
    """Return a Hall symbol as spglib spaces it: P 32 and P 3 2 are two."""
    return " ".join(hall.replace("_", " ").lower().split())


def _of_symbol(symbol: str) -> list[int]:
    """Return the settings that a Hermann-Mauguin symbol may mean, [] where it is unknown."""
    plain = re.sub(r"\((\d)\)", r"\1", _plain(symbol))  # P2(1)/c
    if plain in _settings():
        return list(_settings()[plain])
    choice = CHOICE.search(plain)
    if choice is None:
        return []
    wanted = CHOICES.get(choice[1], choice[1])
    found = _settings().get(plain[: choice.start()], ())
    return [k for k in found if spglib.get_spacegroup_type(k).choice.startswith(wanted)]


@cache
def _settings() -> dict[str, tuple[int, ...]]:
    """Return the settings by their symbols, long, short and as they were until 1992."""
    found: dict[str, list[int]] = defaultdict(list)
    for setting in SETTINGS:
        for name in set(_names(setting)):
            found[_plain(name)].append(setting)
    return {name: tuple(settings) for name, settings in found.items()}


def _names(setting: int) -> Iterator[str]:
    kind = spglib.get_spacegroup_type(setting)
    full, short = kind.international_full, kind.international_short
    if kind.number in GLIDES:
        yield GLIDES[kind.number][kind.choice.lstrip("12")]
        if kind.choice in {"", "1", "2"}:  # of two settings of one name the usual one is meant
            yield from (full, short)
        return
    yield full
    if 3 <= kind.number <= 15:  # P 1 21/n 1: the short symbol of spglib is that of another setting
        yield "".join(part for part in full.split() if part != "1")
        return
    yield short
    if kind.number >= 195:  # m3m
        yield short.replace("-3", "3")
    elif "e" in short:  # a plane with two glides had the name of either
        yield from (short.replace("e", glide) for glide in "abc")


@cache
def _settings_of_halls() -> dict[str, int]:
    return {_spaced(spglib.get_spacegroup_type(k).hall_symbol): k for k in SETTINGS}


def _of_number(number: int) -> list[int]:
    return [k for k in SETTINGS if spglib.get_spacegroup_type(k).number == number]


def _usual(setting: int) -> bool:
    """Whether a setting has the axes that a number alone stands for."""
    return spglib.get_spacegroup_type(setting).choice in {"", "b", "b1", "1", "2", "H", "R"}


@cache
def _operations(setting: int) -> tuple[str, ...]:
    found = spglib.get_symmetry_from_database(setting)
    pairs = zip(found["rotations"], found["translations"], strict=True)
    return tuple(SymmOp.from_rotation_and_translation(*pair).as_xyz_str() for pair in pairs)


def _of_cell(settings: list[int], told: Block, named: str) -> list[int]:
    """Return the settings whose symmetry the cell has."""
    numbers = [_text(told, f"_cell_{name}") for name in CELL]
    if not all(numbers):
        return settings
    matrix = Lattice.from_parameters(*map(str2float, numbers)).matrix
    metric = matrix @ matrix.T
    kept = [k for k in settings if _fits(k, metric)]
    if not kept:
        raise ValueError(f"its cell has not the symmetry of the space group {named}: {ADVICE}")
    # Where no angle tells which axis is the unique one it is b.
    return [k for k in kept if spglib.get_spacegroup_type(k).choice.startswith("b")] or kept


def _fits(setting: int, metric: np.ndarray) -> bool:
    rotations = spglib.get_symmetry_from_database(setting)["rotations"].astype(float)
    turned = np.swapaxes(rotations, 1, 2) @ metric @ rotations
    return bool(np.abs(turned - metric).max() < UNSTRAINED * metric.max())


def _of_formula(settings: list[int], told: Block) -> list[int]:
    """Return the settings that make as many atoms as formula and formula units tell, if any do."""
    wanted, points = _counted(told)
    return [k for k in settings if _atoms(k, points) in wanted] or settings


def _counted(told: Block) -> tuple[set[float], list[tuple[float, ...]]]:
    """Return how many atoms the formula may tell, and the places that are listed; none without.

    It is that of a formula unit, or of the whole cell, which is what pymatgen writes.
    """
    formula, units = _text(told, "_chemical_formula_sum"), _text(told, "_cell_formula_units_z")
    places = [told.get(f"_atom_site_fract_{axis}", ()) for axis in "xyz"]
    if not (formula and units.isdecimal()) or any(isinstance(place, str) for place in places):
        return set(), []
    try:
        points = [tuple(map(str2float, place)) for place in zip(*places, strict=True)]
        atoms = round(Composition(formula).num_atoms, 3)
        return {atoms, atoms * int(units)}, points
    except ValueError:
        return set(), []


def _atoms(setting: int, points: Iterable[tuple[float, ...]]) -> int:
    found = spglib.get_symmetry_from_database(setting)
    return sum(_orbit(found["rotations"] @ point + found["translations"]) for point in points)


def _orbit(points: np.ndarray) -> int:
    apart = points[:, None] - points[None]
    near = (np.abs(apart - np.rint(apart)) < APART).all(axis=2)
    return round(float((1 / near.sum(axis=1)).sum()))
