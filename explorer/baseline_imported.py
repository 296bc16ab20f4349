"""Other programs' samples, read from the files that those programs write.

MatterGen: a zip of CIFs, or extxyz. CrystalFormer: a CSV with the columns L, X, A, W (and G, or
the space group in the file's name), or one with structures. CrystaLLM: a folder or a tar of CIFs.
LeMat-GenBench: a CSV with a column of CIFs or structures. A Parquet file may hold samples of
several generators, told apart by a column ``generator``. A sample that cannot be read is kept, with
the reason: a generator is judged by all that it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer import isolation
from explorer.baselines import Drawn
from explorer.complaints import one_line
from explorer.csv_files import csv_rows
from explorer.samples import Sample, obeys
from explorer.strangers import reading_seconds, structure_from_row
from explorer.structure_files import (
    MAX_STRUCTURES,
    StructureFileError,
    is_tar,
    json_items,
    name_of_item,
    parquet_rows,
    parse_cif,
    read_cifs,
    read_structures,
    structure_from_item,
)
from model.constraints import ConstraintError, Constraints
from model.crystal import WyckoffCrystal


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
    ending = path.suffix.lower()
    if generator is not None and ending != ".parquet":
        raise StructureFileError(f"only a Parquet file names generators, {path.name} does not")
    if ending == ".parquet":
        found = _samples(_rows_of(path, generator), structure_from_row)
    elif ending == ".csv":
        table = csv_rows(path, MAX_STRUCTURES + 1)
        found = _samples(zip(table.names, table.rows, strict=True), table.read)
    elif ending == ".json":
        items = json_items(path)
        named = [(name_of_item(one) or f"{path.stem}-{k}", one) for k, one in enumerate(items)]
        found = _samples(named, structure_from_item)
    elif path.is_dir() or is_tar(path) or ending == ".zip":
        found = _from_cifs(path)
    else:
        found = ({"given": one, "name": name} for name, one in read_structures(path))
    drawn = [
        Drawn(index, **sample | {"name": one_line(sample["name"])})
        for index, sample in enumerate(islice(found, MAX_STRUCTURES))
    ]
    if not drawn:
        raise StructureFileError(f"{path} holds no structure")
    if next(found, None) is not None:
        raise StructureFileError(f"{path} holds more than {MAX_STRUCTURES} structures: split it")
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


def _rows_of(path: Path, generator: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Names and rows of a Parquet file, of one generator where it is named."""
    rows = list(parquet_rows(path))
    if generator is None:
        return rows
    known = generators(path)
    if generator not in known:
        names = ", ".join(known) or "no generator"
        raise StructureFileError(f"{path.name} holds {names}, not {generator!r}")
    names = _generator_column(path)
    return [row for row, name in zip(rows, names, strict=True) if name == generator]


def _samples(
    rows: Iterable[tuple[str, Any]], read: Callable[[Any], Structure | WyckoffCrystal]
) -> Iterator[dict[str, Any]]:
    """Fields of a `Drawn` for each named row: what was read, or the reason."""
    for name, row in rows:
        try:
            one = read(row)
        except Exception as error:  # whatever a parser throws says something of this sample only
            yield _unreadable(error, name)
        else:
            kind = "crystal" if isinstance(one, WyckoffCrystal) else "given"
            yield {kind: one, "name": name}


def _unreadable(error: Exception, name: str) -> dict[str, Any]:
    known = isinstance(error, StructureFileError)
    reason = f"unreadable: {one_line(error if known else repr(error))}"
    return {"reason": reason, "name": name}


def _from_cifs(path: Path) -> Iterator[dict[str, Any]]:
    """Fields of a `Drawn` for each structure of each CIF, or the reason why a CIF has none."""
    for name, text in read_cifs(path):
        try:
            found = parse_cif(text, name)
        except Exception as error:
            yield _unreadable(error, PurePosixPath(name).stem)
        else:
            yield from ({"given": one, "name": called} for called, one in found)
