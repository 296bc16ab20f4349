"""Reference phases: the known crystals that a candidate competes with, all at one energy level."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer.crystals import gate, read_structures, spacegroup_of
from explorer.phases import (
    Phase,
    ReferenceFileError,
    phase_from_structure,
    read_level,
    read_notes,
    read_system,
    write_phases,
)
from explorer.potentials import EnergyLevel, Potential

DATA = Path(__file__).parent / "data"
MAX_E_ABOVE_HULL = 0.1
ROWS_PER_PART = 512


@dataclass(frozen=True, eq=False)
class ReferencePhases:
    """The known phases of a chemical system and the level of their energies.

    Attributes
    ----------
    level
        Potential, weights and correction that every energy here shares.
    phases
        Of the system and of all systems inside it.
    elements
        Of the system, alphabetical.
    name
        For provenance: the file name and a hash of its metadata, or what the maker calls the set.
    """

    level: EnergyLevel
    phases: tuple[Phase, ...]
    elements: tuple[str, ...] = ()
    name: str = "unnamed"

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        if not self.elements:
            symbols = {s for phase in self.phases for s in phase.chemsys.split("-")}
            object.__setattr__(self, "elements", tuple(sorted(symbols)))
        duplicates = [i for i, n in Counter(p.id for p in self.phases).items() if n > 1]
        if duplicates:
            raise ValueError(f"phase ids must be unique, got {duplicates[0]!r} more than once")

    @classmethod
    def shipped(
        cls, chemical_system: str | Sequence[str], potential: str = "chgnet"
    ) -> ReferencePhases:
        """Read the phases that come with the program for a system such as "Al-Ca-Cu".

        Raises
        ------
        ReferenceFileError
            When no set of this potential is shipped.
        """
        return cls.from_file(shipped_file(potential), chemical_system)

    @classmethod
    def from_file(cls, path: Path, chemical_system: str | Sequence[str]) -> ReferencePhases:
        """Read the phases of a system from a file that `build` or `import_` wrote."""
        elements = _symbols(chemical_system)
        digest = hashlib.sha256(json.dumps(read_notes(path)).encode()).hexdigest()[:8]
        name = f"{path.name} [{digest}]"
        return cls(read_level(path), tuple(read_system(path, elements)), elements, name)

    @cached_property
    def missing_elements(self) -> tuple[str, ...]:
        """Elements of the system without an elemental phase of finite energy."""
        present = {p.chemsys for p in self.phases if isfinite(p.energy_per_atom)}
        return tuple(e for e in self.elements if e not in present)

    def targets(
        self,
        elements: str | Sequence[str] | None = None,
        max_e_above_hull: float = 0.02,
    ) -> list[Phase]:
        """Return the published near-hull phases that hold exactly these elements (default: all).

        Parameters
        ----------
        elements
            Symbols, or a system such as "Al-Ca-Cu".
        max_e_above_hull
            Largest published (DFT) distance above the hull, eV/atom.
        """
        system = "-".join(_symbols(elements if elements is not None else self.elements))
        return [
            phase
            for phase in self.phases
            if phase.chemsys == system
            and phase.e_above_hull_dft is not None
            and phase.e_above_hull_dft <= max_e_above_hull
        ]


def shipped_file(potential: str = "chgnet") -> Path:
    """Return the reference file that comes with the program for a potential.

    Raises
    ------
    ReferenceFileError
        When there is none; the message says how to make one.
    """
    path = DATA / f"references-{potential}.parquet"
    if ":" in potential or not path.is_file():
        raise ReferenceFileError(
            f"no reference phases are shipped for {potential!r}, only for "
            f"{', '.join(shipped_potentials())}: make some with 'hullscape references build'"
        )
    return path


def shipped_potentials() -> list[str]:
    """Return the potentials whose reference phases come with the program."""
    return sorted(p.stem.removeprefix("references-") for p in DATA.glob("references-*.parquet"))


def _symbols(system: str | Sequence[str]) -> tuple[str, ...]:
    parts = system.split("-") if isinstance(system, str) else system
    return tuple(sorted({part.strip() for part in parts}))


def static_energies(
    rows: pa.Table, potential: Potential, folder: Path, resume: bool = True
) -> dict[str, float]:
    """Compute the energy of every row on its published geometry, eV/atom by id.

    Finished parts lie in `folder`, so that an interrupted computation goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    energies: dict[str, float] = {}
    for start in range(0, len(rows), ROWS_PER_PART):
        part = folder / f"part-{start:06d}.parquet"
        chunk = rows.slice(start, ROWS_PER_PART)
        if not (resume and _part_matches(part, chunk, potential)):
            _write_part(part, chunk, potential)
        done = pq.read_table(part)
        energies.update(zip(done["id"].to_pylist(), done["energy"].to_pylist(), strict=True))
        print(f"static energies {start + len(chunk)}/{len(rows)}", file=sys.stderr, flush=True)
    return energies


def _write_part(part: Path, chunk: pa.Table, potential: Potential) -> None:
    structures = list(_structures(chunk))
    energies = list(potential.static_energies(structures))
    metadata = {"level": str(potential.level)}
    table = pa.table({"id": chunk["id"], "energy": energies}).replace_schema_metadata(metadata)
    temporary = part.with_suffix(".tmp")
    pq.write_table(table, temporary)
    temporary.replace(part)


def _part_matches(part: Path, chunk: pa.Table, potential: Potential) -> bool:
    if not part.exists():
        return False
    done = pq.read_table(part)
    level = (done.schema.metadata or {}).get(b"level", b"").decode()
    return level == str(potential.level) and done["id"].to_pylist() == chunk["id"].to_pylist()


def _structures(rows: pa.Table) -> Iterator[Structure]:
    for row in rows.select(["lattice", "numbers", "frac_coords"]).to_pylist():
        coords = np.reshape(row["frac_coords"], (-1, 3))
        yield Structure(np.reshape(row["lattice"], (3, 3)), row["numbers"], coords)


def published_rows(structures_file: Path, elements: frozenset[str]) -> pa.Table:
    """Return the phases near the published hull, and every elemental phase, that `elements` span."""
    rows = pq.read_table(structures_file)
    systems = rows["chemsys"].to_pylist()
    near = np.asarray(rows["e_above_hull"].to_numpy() <= MAX_E_ABOVE_HULL)
    unary = np.array(["-" not in system for system in systems])
    known = np.array([elements.issuperset(system.split("-")) for system in systems])
    return rows.filter(pa.array((near | unary) & known))
