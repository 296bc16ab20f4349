"""Making reference sets: static energies on published or imported geometries."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer.crystals import gate, read_structures, spacegroup_of
from explorer.elements import elemental_structure, source_of
from explorer.phases import Phase, phase_from_row, phase_from_structure, write_phases
from explorer.potentials import Potential
from explorer.relaxation import relax_structure
from explorer.structure_files import structure_from_row

MAX_E_ABOVE_HULL = 0.1
"""eV/atom; published phases farther from the hull compete with nothing."""
POOR_ELEMENT = 0.02
"""eV/atom; an element whose best published phase lies higher gets its textbook crystal too."""
ROWS_PER_PART = 512

ATTRIBUTION = (
    "Structures and published hull distances: Materials Project (CC BY 4.0; Jain et al., APL "
    "Mater. 1, 011002, 2013), in the MP-20 (Xie et al., ICLR 2022) and MPTS-52 (Baird and Sparks) "
    "selections; WBM (Wang, Botti, Marques, npj Comput. Mater. 7, 12, 2021) as served by Matbench "
    "Discovery. Elemental crystals: reference states of ASE and textbook structures."
)


@dataclass(frozen=True)
class BuildReport:
    """What became of the structures of a reference set.

    Attributes
    ----------
    written
        Phases in the file.
    refused
        Name to reason of every structure that did not get in.
    """

    written: int
    refused: dict[str, str]


def say(line: str) -> None:
    """Print progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def build(
    structures_file: Path,
    potential: Potential,
    out: Path,
    resume: bool = True,
    progress: Callable[[str], None] = say,
) -> BuildReport:
    """Compute the reference set of every chemical system of a table of published structures.

    Each phase near the published hull gets the static energy of the potential on its published
    geometry; each element without a good one also gets its textbook crystal, relaxed.

    Parameters
    ----------
    structures_file
        Parquet with columns id, source, formula, chemsys, spacegroup, e_above_hull (eV/atom),
        lattice, numbers, frac_coords.
    potential
        Gives the energies and the level of the set.
    out
        Parquet file to write, atomically. Finished parts wait in a folder beside it.
    resume
        Use the parts of an earlier, interrupted run.
    progress
        Receives a line now and then.
    """
    rows = published_rows(structures_file, potential.elements)
    parts = out.with_name(out.stem + ".parts")
    energies = static_energies(rows, potential, parts, resume, progress)
    published = [_published_phase(row, energies[row["id"]]) for row in rows.to_pylist()]
    poor = _poor_elements(published, potential.elements)
    phases = published + list(_elemental_phases(poor, potential, progress))
    notes = {
        "attribution": ATTRIBUTION,
        "geometry": "published DFT geometry, static energy; elements without one: relaxed",
    }
    report = _write(out, phases, potential, notes)
    shutil.rmtree(parts)
    return report


def import_(
    files: Sequence[Path],
    potential: Potential,
    out: Path,
    progress: Callable[[str], None] = say,
) -> BuildReport:
    """Make a reference set of a user's own structure files, static energies as they stand.

    Raises
    ------
    StructureFileError
        When a file cannot be read.
    """
    refused: dict[str, str] = {}
    kept: dict[str, tuple[str, Structure]] = {}
    for file in files:
        for name, structure in read_structures(file):
            key = name if name not in kept else f"{name} ({len(kept)})"
            reason = gate(structure) or _unknown(potential, structure)
            if reason:
                refused[key] = reason
            else:
                kept[key] = (Path(file).name, structure)
        progress(f"{file}: {len(kept)} structures kept, {len(refused)} refused")
    energies = potential.static_energies([structure for _, structure in kept.values()])
    phases = [
        phase_from_structure(key, structure, energy, source, spacegroup=spacegroup_of(structure))
        for (key, (source, structure)), energy in zip(kept.items(), energies, strict=True)
    ]
    notes = {"attribution": "imported", "geometry": "as imported, static energy"}
    report = _write(out, phases, potential, notes)
    return BuildReport(report.written, refused | report.refused)


def published_rows(structures_file: Path, elements: frozenset[str]) -> pa.Table:
    """Return the rows near the published hull, and all elemental rows, within `elements`."""
    rows = pq.read_table(structures_file)
    systems = rows["chemsys"].to_pylist()
    near = np.asarray(rows["e_above_hull"].to_numpy() <= MAX_E_ABOVE_HULL)
    unary = np.array(["-" not in system for system in systems])
    known = np.array([elements.issuperset(system.split("-")) for system in systems])
    return rows.filter(pa.array((near | unary) & known))


def static_energies(
    rows: pa.Table,
    potential: Potential,
    folder: Path,
    resume: bool = True,
    progress: Callable[[str], None] = say,
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
        progress(f"static energies {start + len(chunk)}/{len(rows)}")
    return energies


def _write_part(part: Path, chunk: pa.Table, potential: Potential) -> None:
    structures = [structure_from_row(row) for row in chunk.to_pylist()]
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


def _published_phase(row: dict, energy: float) -> Phase:
    return phase_from_row({**row, "energy_per_atom": energy})


def _poor_elements(published: list[Phase], elements: frozenset[str]) -> list[str]:
    good = {
        p.chemsys for p in published if "-" not in p.chemsys and p.e_above_hull_dft <= POOR_ELEMENT
    }
    return sorted(elements - good)


def _elemental_phases(
    symbols: Sequence[str], potential: Potential, progress: Callable[[str], None]
) -> Iterator[Phase]:
    calculator = potential.calculator()
    for symbol in symbols:
        structure = elemental_structure(symbol)
        if structure is None:
            progress(f"{symbol}: no textbook crystal at hand")
            continue
        done = relax_structure(structure, calculator, potential.level, max_steps=500)
        if done.structure is None:
            progress(f"{symbol}: {done.reason}")
            continue
        group = spacegroup_of(done.structure)
        progress(f"{symbol}: {done.energy_per_atom:.4f} eV/atom, group {group} {done.reason}")
        yield phase_from_structure(
            f"element-{symbol}",
            done.structure,
            done.energy_per_atom,
            source_of(symbol),
            spacegroup=group,
        )


def _unknown(potential: Potential, structure: Structure) -> str:
    unknown = potential.unknown_elements(structure)
    return f"{potential.name} does not know {', '.join(unknown)}" if unknown else ""


def _write(
    out: Path, phases: Sequence[Phase], potential: Potential, notes: dict[str, str]
) -> BuildReport:
    finite = [phase for phase in phases if isfinite(phase.energy_per_atom)]
    refused = {p.id: "no finite energy" for p in phases if not isfinite(p.energy_per_atom)}
    write_phases(out, finite, potential.level, notes)
    return BuildReport(len(finite), refused)
