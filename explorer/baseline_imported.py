"""Other programs' samples, read from the files that those programs write.

MatterGen: a zip of CIFs, or extxyz. CrystalFormer: a CSV with the columns L, X, A, W (and G, or
the space group in the file's name), or one with structures. CrystaLLM: a folder or a tar of CIFs.
LeMat-GenBench: a CSV with a column of CIFs or structures. A Parquet file may hold samples of
several generators, told apart by a column ``generator``. A sample that cannot be read is kept, with
the reason: a generator is judged by all that it wrote.
"""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from explorer import isolation
from explorer.baselines import Drawn
from explorer.complaints import one_line
from explorer.encode import site_at
from explorer.samples import Sample, obeys
from explorer.strangers import reading_seconds, structure_from_dict
from explorer.structure_files import (
    MAX_STRUCTURES,
    StructureFileError,
    is_tar,
    parse_cif,
    read_cifs,
    read_structures,
)
from model.constraints import ConstraintError, Constraints
from model.crystal import WyckoffCrystal
from model.elements import symbol_of
from model.wyckoff import LETTERS

STRUCTURE_COLUMNS = ("structure", "LeMatStructs", "cif_string", "cif")
"""Columns of a CSV that may hold a structure, as text of a CIF, JSON or a Python dictionary."""


def imported(path: Path, generator: str | None = None) -> list[Drawn]:
    """Read samples in the order of their file.

    Parameters
    ----------
    generator : str, optional
        Of a Parquet file with a column ``generator``, only this one's samples.

    Raises
    ------
    StructureFileError
        When the file cannot be read as a whole, or has no such generator.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise StructureFileError(f"no such file or folder: {path}")
    try:
        return _imported(path, generator)
    except StructureFileError:
        raise
    except Exception as error:  # whatever else a parser throws says something of this file
        kind = type(error).__name__
        raise StructureFileError(f"cannot read {path}: {kind}: {error}") from error


def _imported(path: Path, generator: str | None) -> list[Drawn]:
    if path.suffix.lower() == ".parquet":
        return _parquet(path, generator)
    if generator is not None:
        raise StructureFileError(f"only a Parquet file names generators, {path.name} does not")
    if path.suffix.lower() == ".csv":
        return _csv(path)
    if path.is_dir() or is_tar(path) or path.suffix.lower() == ".zip":
        found = islice(_samples(read_cifs(path), _from_cif), MAX_STRUCTURES)
        drawn = [Drawn(index, **sample) for index, sample in enumerate(found)]
    else:
        drawn = [
            Drawn(k, given=structure) for k, (_, structure) in enumerate(read_structures(path))
        ]
    if not drawn:
        raise StructureFileError(f"{path} holds no structure")
    return drawn


def read_samples(path: Path, generator: str | None = None) -> list[Drawn]:
    """Read as `imported` does, in a child process, which may crash in our place.

    Raises
    ------
    StructureFileError
        When the file cannot be read.
    """
    try:
        return isolation.run(imported, path, generator, seconds=reading_seconds(path))
    except isolation.IsolationError as error:
        raise StructureFileError(f"cannot read {path}: reading it {error}") from error


def packed_samples(path: Path, generator: str | None = None) -> list[Sample]:
    """Read as `imported` does, for the store; a child process sends these back ten times faster.

    Raises
    ------
    StructureFileError
        Also when the file holds several generators' samples and none was named: a campaign judges
        one generator.
    """
    samples = [Sample.of(one) for one in imported(path, generator)]
    several = generators(path)
    if generator is None and len(several) > 1:
        raise StructureFileError(
            f"{path} holds samples of {', '.join(several)}: expected those of one generator, split "
            "the file, or name one with --samples-of on the command line"
        )
    return samples


def generators_and_samples(path: Path, generator: str) -> tuple[tuple[str, ...], list[Sample]]:
    """Return who has crystals in a file that names several generators, and those of the one named.

    Raises
    ------
    StructureFileError
        When the file cannot be read. Where it names several and `generator` is none of them there
        are no samples.
    """
    names = generators(path)
    if len(names) < 2:
        return (), packed_samples(path)
    return tuple(names), packed_samples(path, generator) if generator in names else []


def replay(
    samples: Sequence[Drawn], constraints: Constraints, *, n: int, seed: int = 0, start: int = 0
) -> Iterator[Drawn]:
    """Give samples ``start`` to ``n - 1`` of those that obey the constraints, in their order.

    Parameters
    ----------
    seed : int
        Changes nothing: samples are what they are. Every generator takes one.

    Raises
    ------
    ConstraintError
        If space groups or sites are asked for, which samples that are atoms do not name.
    """
    if constraints.spacegroups or constraints.sites:
        field = "spacegroups" if constraints.spacegroups else "sites"
        raise ConstraintError(field, "samples of a file take no space groups or sites")
    fitting = (one for one in samples if obeys(one, constraints))
    numbered = (replace(one, index=index) for index, one in enumerate(fitting))
    return islice(numbered, start, n)


def generators(path: Path) -> list[str]:
    """Names in the column ``generator`` of a Parquet file, sorted; none without that column."""
    if path.suffix.lower() != ".parquet" or "generator" not in pq.read_schema(path).names:
        return []
    return sorted(set(_generator_column(path)) - {""})


def _generator_column(path: Path) -> list[str]:
    """Return the name of each row's generator, "" where there is none."""
    column = pq.read_table(path, columns=["generator"])["generator"].to_pylist()
    return ["" if name is None else str(name) for name in column]


def _parquet(path: Path, generator: str | None) -> list[Drawn]:
    structures = [structure for _, structure in read_structures(path)]
    if generator is not None:
        known = generators(path)
        if generator not in known:
            names = ", ".join(known) or "no generator"
            raise StructureFileError(f"{path.name} holds {names}, not {generator!r}")
        column = _generator_column(path)
        structures = [s for s, name in zip(structures, column, strict=True) if name == generator]
    return [Drawn(index, given=structure) for index, structure in enumerate(structures)]


def _csv(path: Path) -> list[Drawn]:
    frame = pd.read_csv(path, nrows=MAX_STRUCTURES)
    if {"L", "X", "A", "W"} <= set(frame.columns):
        if "G" not in frame.columns:
            frame["G"] = _group_in_name(path)
        rows, read = frame[["G", "L", "X", "A", "W"]].itertuples(index=False), _from_wyckoff
    else:
        column = next((name for name in STRUCTURE_COLUMNS if name in frame.columns), None)
        if column is None:
            raise StructureFileError(
                f"{path} has no structures: expected the columns L, X, A, W or one of "
                f"{', '.join(STRUCTURE_COLUMNS)}, got {', '.join(map(str, frame.columns))}"
            )
        rows, read = ((text,) for text in frame[column]), _from_text
    return [Drawn(index, **sample) for index, sample in enumerate(_samples(rows, read))]


def _samples(rows: Iterator[Any], read: Callable[..., dict]) -> Iterator[dict[str, Any]]:
    """Fields of a `Drawn` for each row: what was read, or the reason."""
    for row in rows:
        try:
            yield read(*row)
        except Exception as error:  # whatever a parser throws says something of this sample only
            text = one_line(error if isinstance(error, StructureFileError) else repr(error))
            yield {"reason": f"unreadable: {text}"}


def _from_cif(name: str, text: str) -> dict[str, Any]:
    return {"given": parse_cif(text, name)[0].structure}


def _from_text(text: str) -> dict[str, Any]:
    """Read a cell of a CSV: a CIF, JSON, or the Python dictionary that CrystalFormer writes."""
    if not str(text).lstrip().startswith("{"):
        return _from_cif("in the table", str(text))
    try:
        values = json.loads(text)
    except ValueError:
        values = literal_eval(text)
    return {"given": structure_from_dict(values)}


def _from_wyckoff(group: int, lattice: str, points: str, numbers: str, letters: str) -> dict:
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
    return {"crystal": WyckoffCrystal(spacegroup, sites, parameters)}


def _group_in_name(path: Path) -> int:
    """Space group in a file name such as ``output_225.csv``."""
    numbers = re.findall(r"\d+", path.stem)
    if not numbers or not 1 <= int(numbers[-1]) <= 230:
        raise StructureFileError(
            f"{path} names no space group: expected a column G or a name such as output_225.csv"
        )
    return int(numbers[-1])
