"""Structures in a CSV: one that CrystalFormer writes, or a column of CIFs or JSON.

CrystalFormer: the columns L, X, A, W (and G, or the space group in the file's name), or one with
structures. LeMat-GenBench: `material_id` and `structure`, which `hullscape` writes, too.
"""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pymatgen.core import Structure

from explorer.cif_files import StructureFileError, parse_cif
from explorer.crystals import to_structure
from explorer.encode import site_at
from explorer.strangers import structure_from_dict
from model.crystal import WyckoffCrystal
from model.elements import symbol_of
from model.wyckoff import LETTERS

STRUCTURE_COLUMNS = ("structure", "LeMatStructs", "cif_string", "cif")
"""Columns of a CSV that may hold a structure, as text of a CIF, JSON or a Python dictionary."""
NAME_COLUMNS = ("id", "material_id", "name")


class CsvRows(NamedTuple):
    """The rows of a CSV, and how to read one.

    Attributes
    ----------
    names : list of str
    rows : list
    read : callable
        Crystal of a row; raises whatever a parser stumbles over.
    """

    names: list[str]
    rows: list[Any]
    read: Callable[[Any], Structure | WyckoffCrystal]

    def structure(self, number: int) -> Structure:
        """Return the structure of a row, counted from 0; StructureFileError says what ails it."""
        try:
            one = self.read(self.rows[number])
        except Exception as error:  # whatever a parser throws says something of this row only
            raise StructureFileError(f"row {number} ({self.names[number]}): {error}") from error
        return to_structure(one) if isinstance(one, WyckoffCrystal) else one


def csv_rows(path: Path, most: int) -> CsvRows:
    """Read a CSV, but not yet its structures: at most so many rows.

    Raises
    ------
    StructureFileError
        When it has none of the columns that say what a structure is.
    """
    frame = pd.read_csv(
        path,
        nrows=most,
        dtype=dict.fromkeys(NAME_COLUMNS, str),  # 000042 is no number,
        keep_default_na=False,  # and NaN a compound of sodium
        na_values=[""],
    )
    named = next((name for name in NAME_COLUMNS if name in frame.columns), None)
    told = frame[named] if named else [None] * len(frame)
    names = [n if isinstance(n, str) else f"{path.stem}-{k}" for k, n in enumerate(told)]
    if {"L", "X", "A", "W"} <= set(frame.columns):
        if "G" not in frame.columns:
            frame["G"] = _group_in_name(path)
        rows = list(frame[["G", "L", "X", "A", "W"]].itertuples(index=False))
        return CsvRows(names, rows, lambda row: _from_wyckoff(*row))
    column = next((name for name in STRUCTURE_COLUMNS if name in frame.columns), None)
    if column is None:
        raise StructureFileError(
            f"{path} has no structures: expected the columns L, X, A, W or one of "
            f"{', '.join(STRUCTURE_COLUMNS)}, got {', '.join(map(str, frame.columns))}"
        )
    return CsvRows(names, list(frame[column]), _from_text)


def _from_text(text: Any) -> Structure:
    """Read a cell: a CIF, JSON, or the Python dictionary that CrystalFormer writes."""
    if not isinstance(text, str):
        raise ValueError("expected a structure, got an empty cell")
    if not text.lstrip().startswith("{"):
        found = parse_cif(text, "in the table")
        if len(found) != 1:
            raise ValueError(f"expected one structure in a cell, got {len(found)}")
        return found[0].structure
    try:
        values = json.loads(text)
    except ValueError:
        values = literal_eval(text)
    return structure_from_dict(values)


def _from_wyckoff(
    group: int, lattice: str, points: str, numbers: str, letters: str
) -> WyckoffCrystal:
    """Read a row of CrystalFormer: letters count from 1 = a, rows end with zeros."""
    spacegroup, parameters = int(group), tuple(float(v) for v in json.loads(lattice))
    if min(parameters) <= 0:
        raise ValueError(f"expected positive lattice parameters, got {min(parameters):.4f}")
    sites = tuple(
        site_at(spacegroup, LETTERS[letter - 1], symbol_of(number), np.array(point))
        for point, number, letter in zip(
            json.loads(points), json.loads(numbers), json.loads(letters), strict=True
        )
        if number and letter
    )
    if not sites:
        raise ValueError("expected at least one atom, got none")
    return WyckoffCrystal(spacegroup, sites, parameters)


def _group_in_name(path: Path) -> int:
    """Space group in a file name such as ``output_225.csv``."""
    numbers = re.findall(r"\d+", path.stem)
    if not numbers or not 1 <= int(numbers[-1]) <= 230:
        raise StructureFileError(
            f"{path} names no space group: expected a column G or a name such as output_225.csv"
        )
    return int(numbers[-1])
