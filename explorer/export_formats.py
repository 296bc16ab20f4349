"""The formats in which candidates leave the program, one writer for each."""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.core import Structure
from pymatgen.io.optimade import OptimadeStructureAdapter

from explorer.audit import NOTHING_ASKED, Audit
from explorer.candidate import Candidate
from explorer.crystals import gate, spacegroup_of, to_atoms
from explorer.marks import Mark
from explorer.spreadsheet import cell
from explorer.structure_files import cif_text, frame_name, lemat_csv, poscar_text, safe_name
from explorer.track_record import EXPECTED, expected_of
from explorer.twins import SAME, twins

SYMPRECS = (0.1, 0.01)
"""Å: tolerances at which the table gives the space group; CIFs are written at the first."""

COLUMNS = (
    "id",
    "index",
    "sample",
    "formula",
    "state",
    "reason",
    "spacegroup_asked",
    "spacegroup_generated",
    "spacegroup_relaxed",
    "log_likelihood",
    "novel",
    "composition_known",
    "matched",
    "energy_per_atom",
    "energy_above_hull",
    "formation_energy",
    "decomposition",
    "reaction",
    "destabilises",
    "steps",
    "converged",
    "lowered_by_rattling",
)
"""Fields of a candidate in the table; energies in eV/atom."""

HELD = ("asked_held_as_drawn", "asked_held_relaxed")
"""Further fields, where space groups or sites were asked for: whether all of that is held."""

NUMBERS = (
    "energy_per_atom",
    "energy_above_hull",
    "formation_energy",
    "log_likelihood",
    "steps",
)
"""Fields that travel with a structure in JSON."""

Files = Iterator[tuple[str, str]]
"""Names inside the export, and texts."""


@dataclass(frozen=True)
class Chosen:
    """What is to be written.

    Attributes
    ----------
    candidates
        Relaxed ones are written relaxed, the others as drawn.
    provenance
        Where they come from; values are written as text.
    marks
        What people said of them, by candidate id.
    audit
        What they hold of the space groups and sites that were asked for; empty where that is none.
    hull
        Which hull their campaign asked for, as in `explorer.track_record.track_record`.
    left_out
        Filled while writing: name of a file that could not be made, to the reason.
    """

    candidates: Sequence[Candidate]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    audit: Audit = NOTHING_ASKED
    hull: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    def with_structure(self) -> list[Candidate]:
        """Return the candidates whose structure can be written."""
        return [c for c in self.candidates if c.structure is not None and not gate(c.structure)]

    def each(self, write: Callable[[Candidate, str], Files]) -> Files:
        """Write one candidate after the other; what a library refuses is left out with a reason."""
        for candidate in self.with_structure():
            name = safe_name(f"{candidate.id}-{candidate.formula}")
            try:
                yield from write(candidate, name)
            except Exception as error:
                # A writer is foreign code: what it throws belongs to this candidate alone.
                self.left_out[name] = " ".join(f"{type(error).__name__}: {error}".split())


def cifs(chosen: Chosen) -> Files:
    """One CIF each, with the symmetry of `explorer.cif_files.cif_text`."""

    def write(candidate: Candidate, name: str) -> Files:
        yield f"cifs/{name}.cif", cif_text(candidate.structure, SYMPRECS[0])

    return chosen.each(write)


def poscars(chosen: Chosen) -> Files:
    """One POSCAR each, with the elements in order."""

    def write(candidate: Candidate, name: str) -> Files:
        structure = candidate.structure.get_sorted_structure()
        yield f"poscars/{name}.vasp", poscar_text(structure, name)

    return chosen.each(write)


def vasp_inputs(chosen: Chosen) -> Files:
    """INCAR, KPOINTS, POSCAR and the names of the POTCARs of the Materials Project's relaxation."""
    from pymatgen.io.vasp.sets import MPRelaxSet  # noqa: PLC0415 - half a second to import

    def write(candidate: Candidate, name: str) -> Files:
        with warnings.catch_warnings():  # it misses the POTCARs, which nobody may hand on
            warnings.simplefilter("ignore")
            inputs = MPRelaxSet(candidate.structure).get_input_set(potcar_spec=True)
            files = [(f"vasp/{name}/{file}", f"{content}\n") for file, content in inputs.items()]
        yield from files

    return chosen.each(write)


def extxyz(chosen: Chosen) -> Files:
    """All structures in one file with energy (eV), forces (eV/Å) and stress (eV/Å³, ASE's sign)."""
    frames = [_frame(candidate) for candidate in chosen.with_structure()]
    buffer = io.StringIO()
    if frames:
        ase.io.write(buffer, frames, format="extxyz")
    yield "candidates.extxyz", buffer.getvalue()


def _frame(candidate: Candidate) -> Atoms:
    atoms = to_atoms(candidate.structure)
    values = {
        **frame_name(candidate.id),
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


def pymatgen_json(chosen: Chosen) -> Files:
    """All structures as pymatgen's dictionaries, each with its facts."""
    items = [
        {"id": c.id, **_facts(c, chosen.marks), "structure": c.structure.as_dict(verbosity=0)}
        for c in chosen.with_structure()
    ]
    yield "candidates.json", _json(items)


def lemat(chosen: Chosen) -> Files:
    """Return LeMat-GenBench's input: every crystal as drawn, and those with a relaxed structure.

    A benchmark of the generator takes the former, rejected and repeated crystals included.
    """
    yield "lemat/generated.csv", lemat_csv((c.id, c.initial) for c in chosen.candidates)
    relaxed = [(c.id, c.relaxed) for c in chosen.with_structure() if c.relaxed is not None]
    yield "lemat/relaxed.csv", lemat_csv(relaxed)


def optimade(chosen: Chosen) -> Files:
    """The answer that an OPTIMADE server would give for these structures."""
    data = [_optimade_entry(candidate, chosen.marks) for candidate in chosen.with_structure()]
    meta = {
        "api_version": "1.2.0",
        "query": {"representation": "/structures"},
        "data_returned": len(data),
        "more_data_available": False,
        "implementation": {"name": "Hullscape"},
    }
    yield "optimade.json", _json({"data": data, "meta": meta})


def _optimade_entry(candidate: Candidate, marks: Mapping[str, Mark]) -> dict[str, Any]:
    entry = OptimadeStructureAdapter.get_optimade_structure(candidate.structure)
    own = {f"_hullscape_{name}": value for name, value in _facts(candidate, marks).items()}
    return {"id": candidate.id, "type": "structures", "attributes": entry["attributes"] | own}


def _facts(candidate: Candidate, marks: Mapping[str, Mark]) -> dict[str, Any]:
    """Return a candidate's numbers as plain JSON values; null where unknown."""
    mark = marks.get(candidate.id, Mark())
    numbers = {name: getattr(candidate, name) for name in NUMBERS}
    return {
        **{name: _finite(value) for name, value in numbers.items()},
        "sample": candidate.sample,
        "state": str(candidate.state),
        "reason": candidate.reason,
        "matched": candidate.matched,
        "spacegroup": _group(candidate.structure, SYMPRECS[0]),
        "level": str(candidate.level) if candidate.level else None,
        "starred": mark.starred,
        "tags": list(mark.tags),
        "note": mark.note,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _group(structure: Structure | None, symprec: float) -> int | None:
    return None if structure is None else spacegroup_of(structure, symprec)


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def table(chosen: Chosen) -> Files:
    """Every candidate as a row, with one column for each entry of the provenance."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    origin = [cell(value) for value in chosen.provenance.values()]
    groups = [f"spacegroup_symprec_{symprec:g}" for symprec in SYMPRECS]
    marks = ["starred", "tags", "note"]
    told = (SAME, *EXPECTED, *(HELD if chosen.audit else ()))
    same = twins(chosen.candidates)
    writer.writerow([*COLUMNS, *told, *groups, "level", *marks, *map(cell, chosen.provenance)])
    for candidate in chosen.candidates:
        mark = chosen.marks.get(candidate.id, Mark())
        found = [_group(candidate.structure, symprec) for symprec in SYMPRECS]
        values = [getattr(candidate, name) for name in COLUMNS]
        values.append(same.get(candidate.id, ""))
        values += expected_of(candidate, chosen.hull).values()
        values += chosen.audit.whole(candidate.id) if chosen.audit else ()
        values += [*found, candidate.level, mark.starred, ", ".join(mark.tags), mark.note]
        writer.writerow([*map(cell, values), *origin])
    yield "candidates.csv", buffer.getvalue()
