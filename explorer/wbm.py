"""Near-hull phases of the WBM set, from the files that Matbench Discovery serves.

The summary (``*-wbm-summary.csv.gz``) names each material, its formula and its distance from the
Materials Project hull. The structures lie in another file: entries or structures as JSON, one
material a line (``.jsonl.gz``) or one column after the other (``.json.bz2``, as pandas writes
tables), or extxyz files in a zip, named by material. All are read as a stream: unpacked, some hold
more than a gigabyte.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import ase.io
import numpy as np
import pandas as pd
from pymatgen.core import Composition, Structure

from explorer.strangers import structure_from_dict
from explorer.structure_files import NamedStructure, StructureFileError

IDENTITY, FORMULA = "material_id", "formula"
DISTANCE = "e_above_hull_mp2020_corrected_ppd_mp"
"""Column with the distance from the hull of the Materials Project, eV/atom; negative below it."""
STRUCTURE_KEYS = ("computed_structure_entry", "relaxed_structure", "initial_structure")
"""What may hold a structure, the relaxed first."""
CHUNK = 2**20
"""Characters read at a time."""


def wbm_phases(
    summary: Path, structures: Path, system: str, max_e_above_hull: float
) -> list[NamedStructure]:
    """Read the phases of a chemical system that lie near the hull.

    Parameters
    ----------
    summary, structures
        As Matbench Discovery serves them.
    system
        Such as "Al-Ca-Cu"; only phases of all its elements count.
    max_e_above_hull
        Largest distance from the hull, eV/atom.

    Returns
    -------
    list of NamedStructure
        Named by material, in the order of the summary.

    Raises
    ------
    StructureFileError
        When a file is not of that format, or the structure of a phase is missing.
    """
    wanted = near_hull(summary, system, max_e_above_hull)
    found = {}
    for name, structure in _structures(structures, set(wanted)):
        found[name] = structure
        if len(found) == len(wanted):
            break
    missing = [name for name in wanted if name not in found]
    if missing:
        raise StructureFileError(
            f"{structures.name} lacks {len(missing)} of the {len(wanted)} phases of {system} that "
            f"{summary.name} names, first {missing[0]}: give the file of the same release"
        )
    return [NamedStructure(name, found[name]) for name in wanted]


def near_hull(summary: Path, system: str, max_e_above_hull: float) -> list[str]:
    """Return the ids of a system's phases up to a distance from the hull, eV/atom."""
    try:
        table = pd.read_csv(summary, usecols=[IDENTITY, FORMULA, DISTANCE])
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise StructureFileError(
            f"{summary} is no summary of WBM: expected a CSV with the columns {IDENTITY}, "
            f"{FORMULA} and {DISTANCE}: {error}"
        ) from error
    near = table[table[DISTANCE] <= max_e_above_hull]
    elements = sorted(system.split("-"))
    # comparing text first spares parsing a quarter of a million formulas
    for symbol in elements:
        near = near[near[FORMULA].str.contains(symbol, regex=False)]
    of_system = near[FORMULA].map(lambda text: Composition(text).chemical_system)
    return [str(name) for name in near[IDENTITY][of_system == "-".join(elements)]]


def _structures(path: Path, wanted: set[str]) -> Iterator[tuple[str, Structure]]:
    """Name and structure of the materials wanted, in the order of the file."""
    names = [suffix.lower() for suffix in path.suffixes]
    try:
        if ".zip" in names:
            yield from _zipped(path, wanted)
        elif ".jsonl" in names:
            with _text(path) as file:
                yield from _from_rows((json.loads(line) for line in file if line.strip()), wanted)
        elif ".json" in names:
            with _text(path) as file:
                yield from _from_columns(file, wanted)
        else:
            raise StructureFileError(
                f"expected structures as .json.bz2, .jsonl.gz or .extxyz.zip, got {path.name}"
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, StructureFileError):
            raise
        raise StructureFileError(f"cannot read the structures of {path}: {error!r}") from error


def _text(path: Path) -> TextIO:
    opener = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix.lower(), open)
    return opener(path, "rt", encoding="utf-8")


def _zipped(path: Path, wanted: set[str]) -> Iterator[tuple[str, Structure]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name = Path(member).name.removesuffix(".extxyz")
            if name in wanted:
                text = archive.read(member).decode()
                atoms = ase.io.read(io.StringIO(text), format="extxyz")
                points = atoms.get_scaled_positions()
                yield name, Structure(np.asarray(atoms.cell), atoms.numbers, points)


def _from_rows(rows: Iterator[dict[str, Any]], wanted: set[str]) -> Iterator[tuple[str, Structure]]:
    for row in rows:
        if row[IDENTITY] in wanted:
            yield row[IDENTITY], _structure(next(row[key] for key in STRUCTURE_KEYS if key in row))


def _from_columns(file: TextIO, wanted: set[str]) -> Iterator[tuple[str, Structure]]:
    """Read ``{"material_id": {"0": ...}, "initial_structure": {"0": ...}}``."""
    names: dict[str, str] = {}
    taken = None
    for column, row, value in _Walk(file).cells():
        if column == IDENTITY and value in wanted:
            names[row] = value
        elif column in STRUCTURE_KEYS and taken in (None, column) and row in names:
            taken = column  # a file with entries and initial structures: the first of the two
            yield names[row], _structure(value)


def _structure(value: dict[str, Any]) -> Structure:
    """Build a structure; the file may not choose the class."""
    return structure_from_dict(value.get("structure", value))


class _Walk:
    """Reads a JSON object of objects without holding more than one of its values."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._buffer, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def cells(self) -> Iterator[tuple[str, str, Any]]:
        """Yield (outer key, inner key, value)."""
        for column in self._keys():
            for row in self._keys():
                yield column, row, self._value()

    def _keys(self) -> Iterator[str]:
        """Yield the keys of an object; whoever asks reads the value before the next."""
        if self._sign() != "{":
            raise ValueError("expected a JSON object")
        while True:
            if self._peek() == "}":
                self._sign()
                return
            key = self._value()
            if self._sign() != ":":
                raise ValueError(f"expected a value after the key {key!r}")
            yield key
            if self._peek() == ",":
                self._sign()

    def _sign(self) -> str:
        sign = self._peek()
        self._at += 1
        return sign

    def _peek(self) -> str:
        """Return the next character that is no space."""
        while True:
            while self._at < len(self._buffer):
                if not self._buffer[self._at].isspace():
                    return self._buffer[self._at]
                self._at += 1
            self._fill()

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
                if end < len(self._buffer):  # else a number might go on
                    self._at = end
                    return value
            except json.JSONDecodeError:
                pass
            self._fill()

    def _fill(self) -> None:
        more = self._file.read(max(CHUNK, len(self._buffer) - self._at))
        if not more:
            raise EOFError("the JSON ends before it is complete")
        self._buffer, self._at = self._buffer[self._at :] + more, 0
