"""Phases on disk: one Parquet file, sorted by chemical system so that a system reads in moments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pymatgen.core import Composition, Structure

from explorer.complaints import one_line
from explorer.potentials import EnergyLevel

# Small enough that one chemical system touches few rows, large enough to compress.
ROWS_PER_GROUP = 256

STATIC = "static"
"""Of an energy on a published geometry, as it stands."""
RELAXED = "relaxed"
"""Of an energy on the geometry that the potential itself prefers."""
FORM = "relaxed form"
"""Of what a potential makes of a published phase that it turns into another crystal."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("formula", pa.string()),
        ("chemsys", pa.string()),
        ("n_atoms", pa.int16()),
        ("spacegroup", pa.int16()),
        ("e_above_hull", pa.float32()),
        ("energy_per_atom", pa.float64()),
        ("geometry", pa.dictionary(pa.int8(), pa.string())),
        ("remark", pa.string()),
        ("lattice", pa.list_(pa.float32())),
        ("numbers", pa.list_(pa.uint8())),
        ("frac_coords", pa.list_(pa.float32())),
    ]
)


class ReferenceFileError(ValueError):
    """A reference file that is missing, damaged or not one of ours; one line says why."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


PREDICTED = "predicted"
"""Source of what nobody published: see `explorer.sides`."""
MARK = f" ({PREDICTED})"
"""What follows the formula of such a phase where it is told what a candidate competes with."""


@dataclass(frozen=True, eq=False)
class CompetingPhase:
    """A known phase by its energy alone: all that a hull needs.

    Attributes
    ----------
    id
        Unique, such as "mp-865981".
    source
        Where it comes from: "mp", "wbm", "ase reference state", "predicted", or a file name.
    formula
        Reduced.
    chemsys
        Elements in alphabetical order with dashes.
    e_above_hull_dft
        Published distance above the DFT hull, eV/atom, None when unknown.
    energy_per_atom
        At the level of the set that it belongs to, eV/atom.
    geometry
        "relaxed" with the potential of the set, "static" as published, "dft": an energy of DFT, or
        "relaxed form": what the potential makes of a published phase that it does not hold.
    remark
        Why it is static although the set is relaxed, or what became of the form; "" otherwise.
    """

    id: str
    source: str
    formula: str
    chemsys: str
    e_above_hull_dft: float | None
    energy_per_atom: float
    geometry: str = STATIC
    remark: str = ""

    @cached_property
    def composition(self) -> Composition:
        """Of the reduced formula."""
        return Composition(self.formula)

    @property
    def published(self) -> bool:
        """Whether somebody published this crystal: it is neither predicted nor a relaxed form."""
        return self.source != PREDICTED and self.geometry != FORM


@dataclass(frozen=True, eq=False, kw_only=True)
class Phase(CompetingPhase):
    """A known phase with its energy and its structure.

    Attributes
    ----------
    n_atoms
        Of the stored cell.
    spacegroup
        As published (spglib, symprec 0.1 Å), None when unknown.
    lattice, numbers, frac_coords
        Shapes (3, 3) Å, (N,), (N, 3).
    """

    n_atoms: int
    spacegroup: int | None
    lattice: np.ndarray
    numbers: np.ndarray
    frac_coords: np.ndarray

    @cached_property
    def structure(self) -> Structure:
        """The geometry, built when first asked for."""
        return Structure(self.lattice, self.numbers, self.frac_coords)


def form_id(phase_id: str) -> str:
    """Return the id of what a potential turns a published phase into."""
    return f"{phase_id} ({FORM})"


def phase_of_form(phase_id: str) -> str:
    """Return the id of the phase that a form is of; of a phase its own."""
    return phase_id.removesuffix(f" ({FORM})")


def phase_from_structure(
    phase_id: str,
    structure: Structure,
    energy_per_atom: float,
    source: str,
    *,
    spacegroup: int | None = None,
    e_above_hull: float | None = None,
    geometry: str = STATIC,
    remark: str = "",
) -> Phase:
    """Describe an ordered structure as a phase."""
    return Phase(
        id=phase_id,
        source=source,
        formula=structure.composition.reduced_formula,
        chemsys=structure.chemical_system,
        n_atoms=len(structure),
        spacegroup=spacegroup,
        e_above_hull_dft=e_above_hull,
        energy_per_atom=energy_per_atom,
        geometry=geometry,
        remark=remark,
        lattice=structure.lattice.matrix,
        numbers=np.array(structure.atomic_numbers),
        frac_coords=structure.frac_coords,
    )


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read a Parquet table that has these columns, and whatever else it has.

    Raises
    ------
    ReferenceFileError
        When it cannot be read or lacks a column.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ReferenceFileError(
            f"cannot read {path}: expected a Parquet table with {', '.join(columns)}: {error}"
        ) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise ReferenceFileError(
            f"{path} lacks the column {missing[0]}: expected {', '.join(columns)}"
        )
    return table


def write_phases(
    path: Path, phases: Iterable[Phase], level: EnergyLevel, notes: Mapping[str, str]
) -> None:
    """Write phases sorted by chemical system; the level and the notes go into the metadata."""
    ordered = sorted(phases, key=lambda p: (p.chemsys, p.formula, p.id))
    columns: dict[str, list[Any]] = {
        "id": [p.id for p in ordered],
        "source": [p.source for p in ordered],
        "formula": [p.formula for p in ordered],
        "chemsys": [p.chemsys for p in ordered],
        "n_atoms": [p.n_atoms for p in ordered],
        "spacegroup": [p.spacegroup for p in ordered],
        "e_above_hull": [p.e_above_hull_dft for p in ordered],
        "energy_per_atom": [p.energy_per_atom for p in ordered],
        "geometry": [p.geometry for p in ordered],
        "remark": [p.remark for p in ordered],
        "lattice": [np.ravel(p.lattice) for p in ordered],
        "numbers": [p.numbers for p in ordered],
        "frac_coords": [np.ravel(p.frac_coords) for p in ordered],
    }
    metadata = {"level": json.dumps(level.to_dict()), **notes}
    table = pa.table(columns, schema=SCHEMA.with_metadata(metadata))
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(
        table, temporary, compression="zstd", compression_level=19, row_group_size=ROWS_PER_GROUP
    )
    temporary.replace(path)


def read_level(path: Path) -> EnergyLevel:
    """Return the energy level that a reference file was written at.

    Raises
    ------
    ReferenceFileError
        When the file is missing, is no Parquet file or carries no level.
    """
    return EnergyLevel.from_dict(json.loads(read_notes(path)["level"]))


def read_notes(path: Path) -> dict[str, str]:
    """Return the metadata of a reference file: level, attribution, geometry and so on."""
    notes = read_metadata(path)
    if "level" not in notes:
        raise ReferenceFileError(
            f"{path} carries no energy level: expected a file that this program's "
            "'references build' or 'references import' wrote"
        )
    return notes


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a table that is sorted by chemical system."""
    return _reader(path, _stamp(path))[0]


def digest_of(path: Path) -> str:
    """Return eight hexadecimal digits that tell a table from any other of its name."""
    return _digest(path, _stamp(path))


def read_system(path: Path, elements: Sequence[str]) -> list[Phase]:
    """Read the phases of a chemical system and of all systems inside it."""
    return [phase_from_row(row) for row in read_rows(path, elements)]


def read_rows(path: Path, elements: Sequence[str]) -> list[dict[str, Any]]:
    """Read the rows of a chemical system and of all systems inside it from a table like ours."""
    names = subsystems(elements)
    groups = _groups_of(path, names)
    if not groups:
        return []
    try:
        table = pq.ParquetFile(path).read_row_groups(groups)
    except (OSError, pa.ArrowException) as error:
        raise ReferenceFileError(f"cannot read {path}: {error}: make the file again") from error
    return table.filter(pc.is_in(table["chemsys"], pa.array(names))).to_pylist()


def subsystems(elements: Sequence[str]) -> list[str]:
    """Return every chemical system that the elements span, "Al" to "Al-Ca-Cu"."""
    ordered = sorted(set(elements))
    sizes = range(1, len(ordered) + 1)
    return ["-".join(part) for size in sizes for part in combinations(ordered, size)]


def read_chemical_systems(path: Path) -> list[str]:
    """Return every chemical system of the file, alphabetically."""
    read_metadata(path)
    column = pq.read_table(path, columns=["chemsys"])["chemsys"]
    return sorted(column.unique().to_pylist())


def phase_from_row(row: Mapping[str, Any]) -> Phase:
    """Return the phase that a row of a reference table describes."""
    return Phase(
        id=row["id"],
        source=row["source"],
        formula=row["formula"],
        chemsys=row["chemsys"],
        n_atoms=row["n_atoms"],
        spacegroup=row["spacegroup"],
        e_above_hull_dft=row["e_above_hull"],
        energy_per_atom=row["energy_per_atom"],
        # Sets of the first release hold static energies and do not say so in columns.
        geometry=row.get("geometry") or STATIC,
        remark=row.get("remark") or "",
        lattice=np.reshape(row["lattice"], (3, 3)),
        numbers=np.array(row["numbers"], dtype=int),
        frac_coords=np.reshape(row["frac_coords"], (-1, 3)),
    )


def _groups_of(path: Path, names: Sequence[str]) -> list[int]:
    """Return the row groups that may hold these systems, by their statistics."""
    ranges = _reader(path, _stamp(path))[1]
    return [k for k, (low, high) in enumerate(ranges) if any(low <= n <= high for n in names)]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise ReferenceFileError(f"cannot read reference phases {path}: {error}") from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=8)
def _digest(path: Path, _stamp: tuple[int, int]) -> str:
    """Hash the content of a file; until it changes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


@lru_cache(maxsize=8)
def _reader(path: Path, _stamp: tuple[int, int]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read metadata and the first and last system of each row group; until the file changes."""
    try:
        with pq.ParquetFile(path) as file:
            column = file.schema_arrow.get_field_index("chemsys")
            if column < 0:
                raise KeyError("it lacks the column chemsys")
            # Of a file whose columns are flat up to here, places in schema and in groups agree.
            ranges = [
                _range(file.metadata.row_group(k).column(column).statistics)
                for k in range(file.num_row_groups)
            ]
            metadata = file.schema_arrow.metadata or {}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ReferenceFileError(f"cannot read reference phases {path}: {error}") from error
    return {key.decode(): value.decode() for key, value in metadata.items()}, ranges


def _range(statistics: pq.Statistics | None) -> tuple[str, str]:
    """Return the first and last value; without statistics a range that holds everything."""
    if statistics is None or not statistics.has_min_max:
        return "", "\U0010ffff"
    return statistics.min, statistics.max
