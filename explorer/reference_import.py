"""Reference sets of phases that a user brings, from files or from a database of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from itertools import chain, count
from pathlib import Path

import pyarrow as pa
from pymatgen.core import Structure

from explorer.crystals import gate, spacegroup_of
from explorer.logs import say
from explorer.phases import STATIC, Phase, phase_from_structure
from explorer.potentials import Potential
from explorer.reference_build import BuildReport, Limits, elemental_phases, write_set
from explorer.reference_energies import phases_of, relaxed, static
from explorer.reference_parts import Outcome
from explorer.relax import Relaxer
from explorer.structure_files import NamedStructure


def import_phases(
    brought: Iterable[tuple[str, NamedStructure]],
    potential: Potential,
    out: Path,
    progress: Callable[[str], None] = say,
    *,
    limits: Limits | None = None,
    workers: int | None = None,
) -> BuildReport:
    """Make a reference set of structures that a user brings.

    Elements of which nothing was brought get their textbook crystal, relaxed: without them there
    is no hull.

    Parameters
    ----------
    brought
        Where each structure comes from, and the structure. Names that stand twice are numbered.
    potential
        Gives the energies and the level of the set.
    out
        Parquet file to write, atomically.
    limits
        Every structure is relaxed to these; None takes static energies on the geometry given.
    workers
        Of the relaxation.
    """
    refused: dict[str, str] = {}
    kept: dict[str, tuple[str, Structure]] = {}
    for source, (name, structure) in brought:
        tries = (f"{name} ({number})" for number in count(2))
        key = next(one for one in chain([name], tries) if one not in kept and one not in refused)
        reason = gate(structure) or _unknown(potential, structure)
        if reason:
            refused[key] = reason
        else:
            kept[key] = (source, structure)
    progress(f"{len(kept)} structures kept, {len(refused)} refused")
    if not kept:
        first = next(iter(refused.items()), None)
        why = f"the first, {first[0]}: {first[1]}" if first else "none was brought"
        raise ValueError(f"expected a structure that can be a reference phase, got none: {why}")
    phases = [
        phase
        for outcome in _outcomes(kept, potential, limits, workers, progress)
        for phase in _phases(outcome, *kept[outcome.id])
    ]
    present = {phase.chemsys for phase in phases}
    needed = {symbol for phase in phases for symbol in phase.chemsys.split("-")}
    added = list(elemental_phases(sorted(needed - present), potential, progress))
    words = "relaxed with the potential" if limits else "as imported, static energy"
    notes = {"attribution": "imported", "geometry": f"{words}; elements added: relaxed"}
    report = write_set(out, [*phases, *added], potential, notes)
    unrelaxed = {phase.id: phase.remark for phase in phases if limits and phase.geometry == STATIC}
    return replace(
        report,
        refused=refused | report.refused,
        unrelaxed={k: v for k, v in unrelaxed.items() if k not in report.refused},
        added=tuple(phase.chemsys for phase in added),
    )


def _outcomes(
    kept: dict[str, tuple[str, Structure]],
    potential: Potential,
    limits: Limits | None,
    workers: int | None,
    progress: Callable[[str], None],
) -> list[Outcome]:
    """Return the energy of each structure, in the order in which they were brought."""
    if limits is None:
        return list(static(_rows(kept), potential))
    named = ((name, structure) for name, (_, structure) in kept.items())
    found: dict[str, Outcome] = {}
    with Relaxer(potential, workers=workers, **asdict(limits)) as relaxer:
        for outcome in relaxed(named, relaxer):
            found[outcome.id] = outcome
            progress(f"relaxed {len(found)}/{len(kept)}")
    return [found[name] for name in kept]


def _rows(kept: dict[str, tuple[str, Structure]]) -> pa.Table:
    return pa.table(
        {
            "id": list(kept),
            "lattice": [s.lattice.matrix.ravel().tolist() for _, s in kept.values()],
            "numbers": [list(s.atomic_numbers) for _, s in kept.values()],
            "frac_coords": [s.frac_coords.ravel().tolist() for _, s in kept.values()],
        }
    )


def _phases(outcome: Outcome, source: str, structure: Structure) -> list[Phase]:
    brought = phase_from_structure(outcome.id, structure, outcome.energy_per_atom, source)
    phases = phases_of(brought, outcome)
    return [replace(phase, spacegroup=spacegroup_of(phase.structure)) for phase in phases]


def _unknown(potential: Potential, structure: Structure) -> str:
    unknown = potential.unknown_elements(structure)
    return f"{potential.name} does not know {', '.join(unknown)}" if unknown else ""
