"""What a build of reference phases has finished, on disk: a killed build goes on from here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.phases import ReferenceFileError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("energy_per_atom", pa.float64()),
        ("geometry", pa.string()),
        ("remark", pa.string()),
        ("lattice", pa.list_(pa.float64())),
        ("frac_coords", pa.list_(pa.float64())),
        (
            "form",
            pa.struct(
                [
                    ("energy_per_atom", pa.float64()),
                    ("lattice", pa.list_(pa.float64())),
                    ("frac_coords", pa.list_(pa.float64())),
                ]
            ),
        ),
    ]
)


@dataclass(frozen=True, eq=False)
class Form:
    """Another crystal that a potential turns a published phase into.

    Attributes
    ----------
    energy_per_atom
        eV/atom.
    lattice, frac_coords
        Shapes (3, 3) Å and (N, 3).
    """

    energy_per_atom: float
    lattice: np.ndarray
    frac_coords: np.ndarray


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a potential makes of one published phase.

    Attributes
    ----------
    id
        Of the phase.
    energy_per_atom
        eV/atom, NaN when there is none.
    geometry
        "relaxed" or "static": which geometry the energy belongs to.
    remark
        Why there is no energy, or no relaxed one; "" when all went well.
    lattice, frac_coords
        Shapes (3, 3) Å and (N, 3), of that geometry.
    form
        What the potential turns it into, where that is another crystal.
    """

    id: str
    energy_per_atom: float
    geometry: str
    remark: str
    lattice: np.ndarray
    frac_coords: np.ndarray
    form: Form | None = None


class Parts:
    """A folder of finished outcomes, each file whole or not there.

    Parameters
    ----------
    folder
        Made when missing.
    mark
        What decides the outcomes: potential, input, settings. Parts of another mark are refused.
    resume
        False empties the folder first.

    Raises
    ------
    ReferenceFileError
        When the folder holds parts of another build.
    """

    def __init__(self, folder: Path, mark: Mapping[str, object], resume: bool = True) -> None:
        self.folder = folder
        self.mark = json.dumps(mark, sort_keys=True)
        if not resume and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._files():
            self._refuse_foreign(file)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Add outcomes as one more file."""
        columns = {
            "id": [o.id for o in outcomes],
            "energy_per_atom": [o.energy_per_atom for o in outcomes],
            "geometry": [o.geometry for o in outcomes],
            "remark": [o.remark for o in outcomes],
            "lattice": [np.ravel(o.lattice) for o in outcomes],
            "frac_coords": [np.ravel(o.frac_coords) for o in outcomes],
            "form": [o.form and _flat(asdict(o.form)) for o in outcomes],
        }
        table = pa.table(columns, schema=SCHEMA.with_metadata({"mark": self.mark}))
        part = self.folder / f"part-{len(self._files()):06d}.parquet"
        temporary = part.with_suffix(".tmp")
        pq.write_table(table, temporary)
        temporary.replace(part)

    def read(self) -> Iterator[Outcome]:
        """Yield every outcome so far."""
        for file in self._files():
            for row in pq.read_table(file).to_pylist():
                form = row.pop("form")
                yield Outcome(**_shaped(row), form=Form(**_shaped(form)) if form else None)

    def ids(self) -> set[str]:
        """Return the ids of the phases that are done."""
        return {
            i for f in self._files() for i in pq.read_table(f, columns=["id"])["id"].to_pylist()
        }

    def remove(self) -> None:
        """Delete the folder: what it held lies in the finished file."""
        shutil.rmtree(self.folder)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _refuse_foreign(self, file: Path) -> None:
        advice = "go on with the options it was made with, or start over with --no-resume"
        try:
            found = (pq.read_schema(file).metadata or {}).get(b"mark", b"").decode()
        except (OSError, pa.ArrowException) as error:
            raise ReferenceFileError(f"cannot read {file}: {error}: {advice}") from error
        if found != self.mark:
            raise ReferenceFileError(
                f"{self.folder} holds parts of another build: expected {self.mark}, got "
                f"{found or 'none'}: {advice}"
            )


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write the geometry of a row as flat lists."""
    return {
        name: np.ravel(value).tolist() if isinstance(value, np.ndarray) else value
        for name, value in row.items()
    }


def _shaped(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give the geometry of a row its shape."""
    lattice, coords = np.reshape(row["lattice"], (3, 3)), np.reshape(row["frac_coords"], (-1, 3))
    return {**row, "lattice": lattice, "frac_coords": coords}
