"""Export: chosen candidates as CIFs, extxyz and a CSV that says where everything comes from."""

from __future__ import annotations

import csv
import io
import math
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from explorer.candidate import Candidate
from explorer.crystals import gate, spacegroup_of, to_atoms
from explorer.structure_files import cif_text, safe_name

SYMPRECS = (0.1, 0.01)
"""Å: tolerances at which the table gives the space group; CIFs are written at the first."""

COLUMNS = (
    "id",
    "index",
    "formula",
    "state",
    "reason",
    "spacegroup_asked",
    "spacegroup_generated",
    "spacegroup_relaxed",
    "log_likelihood",
    "novel",
    "matched",
    "energy_per_atom",
    "energy_above_hull",
    "decomposition",
    "steps",
    "converged",
)
"""Fields of a candidate in the table; energies in eV/atom."""


class ExportError(OSError):
    """An export that could not be written; the message names the place and the reason."""


def export_candidates(
    candidates: Iterable[Candidate], provenance: Mapping[str, Any], destination: str | Path
) -> Path:
    """Write candidates to a zip or a folder, whole or not at all.

    It holds `cifs/<id>-<formula>.cif` with symmetry (symprec 0.1 Å), `candidates.extxyz` with
    energy (eV), forces (eV/Å) and stress (eV/Å³, ASE's sign), and `candidates.csv` with one column
    for each entry of the provenance. Candidates without a structure are in the table only.

    Parameters
    ----------
    candidates
        Relaxed ones are written relaxed, the others as drawn.
    provenance
        Where they come from: model checkpoint, seed, constraints, potential and its hash,
        reference set. Values are written as text.
    destination
        A name that ends in .zip, or a folder to make. An existing one is replaced.

    Raises
    ------
    ExportError
        When the destination cannot be written.
    """
    destination = Path(destination).expanduser()
    chosen = list(candidates)
    files = {"candidates.csv": _table(chosen, provenance), "candidates.extxyz": _frames(chosen)}
    files |= dict(_cifs(chosen))
    part = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.suffix.lower() == ".zip":
            _write_zip(part, files)
        else:
            _write_folder(part, files)
            if destination.is_dir():
                shutil.rmtree(destination)
        part.replace(destination)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(f"cannot write {destination}: {reason}: choose another place") from error
    finally:
        _remove(part)
    return destination


def _write_zip(path: Path, files: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def _write_folder(path: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def _cifs(candidates: Sequence[Candidate]) -> Iterator[tuple[str, str]]:
    for candidate in _with_structure(candidates):
        name = safe_name(f"{candidate.id}-{candidate.formula}")
        yield f"cifs/{name}.cif", cif_text(candidate.structure, SYMPRECS[0])


def _with_structure(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [c for c in candidates if c.structure is not None and not gate(c.structure)]


def _frames(candidates: Sequence[Candidate]) -> str:
    frames = [_frame(candidate) for candidate in _with_structure(candidates)]
    if not frames:
        return ""
    buffer = io.StringIO()
    ase.io.write(buffer, frames, format="extxyz")
    return buffer.getvalue()


def _frame(candidate: Candidate) -> Atoms:
    atoms = to_atoms(candidate.structure)
    values = {
        "id": candidate.id,
        "state": str(candidate.state),
        "relaxed": candidate.relaxed is not None,
        "energy_above_hull": candidate.energy_above_hull,
        "level": str(candidate.level) if candidate.level else None,
    }
    atoms.info = {name: value for name, value in values.items() if value is not None}
    if candidate.relaxed is not None and candidate.energy_per_atom is not None:
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=candidate.energy_per_atom * len(atoms),
            forces=candidate.forces,
            stress=candidate.stress,
        )
    return atoms


def _table(candidates: Sequence[Candidate], provenance: Mapping[str, Any]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    origin = [cell(value) for value in provenance.values()]
    groups = [f"spacegroup_symprec_{symprec:g}" for symprec in SYMPRECS]
    writer.writerow([*COLUMNS, *groups, "level", *map(cell, provenance)])
    for candidate in candidates:
        values = [cell(getattr(candidate, name)) for name in COLUMNS]
        writer.writerow([*values, *_groups(candidate), cell(candidate.level), *origin])
    return buffer.getvalue()


def _groups(candidate: Candidate) -> list[str]:
    structure = candidate.structure
    if structure is None:
        return ["" for _ in SYMPRECS]
    return [cell(spacegroup_of(structure, symprec)) for symprec in SYMPRECS]


def cell(value: Any) -> str:
    """Return a value as text for a CSV cell; empty when unknown.

    Text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    text = str(value)
    numeric = isinstance(value, int)
    return f"'{text}" if not numeric and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
