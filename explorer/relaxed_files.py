"""Relaxed structures in files, with their energies where the format has a place for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from explorer.candidate import Relaxation
from explorer.crystals import NamedStructure, to_atoms, write_structures
from explorer.outputs import replacing
from explorer.structure_files import frame_name

Named = tuple[str, Relaxation]


def write_relaxed(output: Path, results: Sequence[Named]) -> None:
    """Write relaxed structures, in their order; those that have none are left out.

    extxyz, Parquet and JSON carry the energy (eV), forces (eV/Å), stress (eV/Å³, ASE's sign),
    whether the relaxation converged, its steps and why it failed; the latter two also the energy
    per atom (eV/atom).
    """
    sane = [(name, relaxed) for name, relaxed in results if relaxed.structure is not None]
    named = [NamedStructure(name, relaxed.structure) for name, relaxed in sane]
    with replacing(output) as part:
        if output.suffix == ".extxyz":
            ase.io.write(part, [_frame(*item) for item in sane], format="extxyz")
            return
        write_structures(part, named)
        if output.suffix == ".parquet":
            _add_columns(part, [_facts(relaxed) for _, relaxed in sane])
        elif output.suffix == ".json":
            items = json.loads(part.read_text(encoding="utf-8"))
            told = [item | _facts(relaxed) for item, (_, relaxed) in zip(items, sane, strict=True)]
            part.write_text(json.dumps(told), encoding="utf-8")


def _facts(relaxed: Relaxation) -> dict[str, Any]:
    return {
        "energy": relaxed.energy_per_atom * len(relaxed.structure),
        "energy_per_atom": relaxed.energy_per_atom,
        "forces": relaxed.forces.ravel().tolist(),
        "stress": relaxed.stress.ravel().tolist(),
        "converged": relaxed.converged,
        "steps": relaxed.steps,
        "lowered_by_rattling": relaxed.lowered,
        "reason": relaxed.reason,
        "level": str(relaxed.level),
    }


def _add_columns(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    table = pq.read_table(file)
    for name in rows[0] if rows else ():
        table = table.append_column(name, pa.array([row[name] for row in rows]))
    pq.write_table(table, file, compression="zstd")


def _frame(name: str, relaxed: Relaxation) -> Atoms:
    atoms = to_atoms(relaxed.structure)
    atoms.info = frame_name(name)
    atoms.info |= {"converged": relaxed.converged, "steps": relaxed.steps}
    atoms.info |= {"reason": relaxed.reason} if relaxed.reason else {}
    lowered = relaxed.lowered
    atoms.info |= {} if lowered is None else {"lowered_by_rattling": lowered}
    atoms.info |= {"level": str(relaxed.level)}
    energy = relaxed.energy_per_atom * len(atoms)
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy, forces=relaxed.forces, stress=relaxed.stress
    )
    return atoms
