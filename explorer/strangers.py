"""What a stranger's file may not do: take for ever, hold endless atoms, choose what is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

MAX_SITES = 2000
"""Sites that a CIF may list, and atoms that they must not exceed: more are never accepted."""
MOST_ALIKE = 48
"""Largest order of a site symmetry: an orbit has at least so many times fewer points than there
are operations."""
SITE_COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
"""Of a CIF's atoms, without `_atom_site_`."""
GROUPS_OF_ATOMS = ("OH", "O-H", "Wat", "wat", "NO3")
"""What some CIFs call several atoms at one place."""
READ_SECONDS, READ_SECONDS_PER_MB = 8.0, 120.0
"""What reading a file may take: a small one that takes longer plays a trick."""
PACKED = 4
"""How many times larger the text of a compressed file is counted."""


def reading_seconds(path: str | Path) -> float:
    """Return how long the child may take that reads a file, seconds; more for a larger one."""
    path = Path(path).expanduser()
    files = path.iterdir() if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    size *= PACKED if path.suffix == ".gz" else 1
    return READ_SECONDS + READ_SECONDS_PER_MB * size / 2**20


def refuse_crowds(blocks: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a CIF before its atoms are made when they would be too many to be accepted."""
    for block in blocks.values():
        sites = _length(block, "_atom_site_fract_x")
        operations = max(
            _length(block, "_symmetry_equiv_pos_as_xyz"),
            _length(block, "_space_group_symop_operation_xyz"),
        )
        if sites > MAX_SITES or sites * operations > MAX_SITES * MOST_ALIKE:
            raise ValueError(f"{sites} sites, more than {MAX_SITES} atoms are not accepted")


def refuse_lost_atoms(blocks: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a CIF of which pymatgen would leave out atoms, or put them elsewhere, in silence.

    It passes over what has no element, over hydroxyl and the hydrogen of water, takes an occupancy
    of "." for none, and a coordinate of "." for zero.
    """
    for block in blocks.values():
        rows = {column: block.get(f"_atom_site_{column}") for column in SITE_COLUMNS}
        labels = rows["label"] if isinstance(rows["label"], list) else []
        for number, label in enumerate(labels):
            row = {c: v[number] for c, v in rows.items() if isinstance(v, list) and number < len(v)}
            kind = row.get("type_symbol", label)
            if not kind[:1].isalpha():
                raise ValueError(f"the atom {label} has no element: {kind!r}")
            if kind.startswith(GROUPS_OF_ATOMS):
                raise ValueError(f"{kind!r} is no element: list its atoms one by one")
            empty = [column for column in SITE_COLUMNS[2:] if row.get(column) == "."]
            if empty:
                raise ValueError(f"the {empty[0]} of the atom {label} is '.': expected a number")


def _length(block: Mapping[str, Any], name: str) -> int:
    found = block.get(name, ())
    return 1 if isinstance(found, str) else len(found)


def structure_from_dict(values: Mapping[str, Any]) -> Structure:
    """Build a structure from pymatgen's dictionary, of cell, species and coordinates alone.

    `Structure.from_dict` hands the properties of sites to a decoder that imports whatever module
    they name, and calls what they name in it: a stranger's file must not choose that.
    """
    sites = [
        {"species": site["species"], "abc": site["abc"], "label": site.get("label")}
        for site in values["sites"]
    ]
    return Structure.from_dict({"lattice": {"matrix": values["lattice"]["matrix"]}, "sites": sites})


def structure_from_row(row: Mapping[str, Any]) -> Structure:
    """Build a structure from flat lists: lattice (9), numbers (N), frac_coords (3 N).

    Raises
    ------
    ValueError
        With the list that is wrong.
    """
    numbers = row["numbers"]
    if not isinstance(numbers, list) or not numbers:
        raise ValueError(f"expected a list of atomic numbers, got {numbers!r}")
    lattice = _reals(row, "lattice", 9)
    coords = _reals(row, "frac_coords", 3 * len(numbers))
    return Structure(lattice.reshape(3, 3), numbers, coords.reshape(-1, 3))


def _reals(row: Mapping[str, Any], name: str, size: int) -> np.ndarray:
    try:
        values = np.asarray([] if row[name] is None else row[name], float).ravel()
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected {size} numbers as {name}, got {row[name]!r}") from error
    if len(values) != size:
        raise ValueError(f"expected {size} numbers as {name}, got {len(values)}")
    return values


def bare(structure: Structure) -> Structure:
    """Return an ordered structure of elements alone, without the oxidation states and spins.

    CIFs may carry them, and to a matcher Na+ and Na would be different elements.
    """
    return Structure(structure.lattice, structure.atomic_numbers, structure.frac_coords)


def safe_name(text: str) -> str:
    """Return `text` as a file name: letters, digits, dot, dash and underscore, at most 100."""
    cleaned = "".join(c if (c.isascii() and c.isalnum()) or c in "-_." else "_" for c in text)
    return cleaned.lstrip(".")[:100] or "structure"
