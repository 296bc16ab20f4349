"""Computing the corners of the DFT hulls from tables of published formation energies."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from explorer.phases import ROWS_PER_GROUP, read_columns, subsystems

TOLERANCE = 1e-6
"""eV/atom; a phase this near the hull of its system is a corner of it."""
COLUMNS = ("id", "formula", "chemsys", "formation_energy_per_atom")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("formula", pa.string()),
        ("chemsys", pa.string()),
        ("formation_energy", pa.float32()),
    ]
)
ATTRIBUTION = (
    "Formation energies (PBE and PBE+U with MP2020 corrections): Materials Project (CC BY 4.0; "
    "Jain et al., APL Mater. 1, 011002, 2013); WBM (Wang, Botti, Marques, npj Comput. Mater. 7, "
    "12, 2021) as served by Matbench Discovery. Corners of the convex hulls computed by Hullscape."
)
SYSTEMS_PER_LINE = 2000


class Vertex(NamedTuple):
    """A phase by its formation energy against the elements, eV/atom."""

    id: str
    source: str
    formula: str
    chemsys: str
    formation_energy: float


@dataclass(frozen=True)
class VertexReport:
    """What a table of hull corners was made of.

    Attributes
    ----------
    read
        Phases with a finite formation energy in the tables, each id once.
    written
        Corners: compounds on the hull of their own chemical system.
    refused
        Id to reason of every phase that was left out of the hulls.
    """

    read: int
    written: int
    refused: dict[str, str]


def build_hull(
    tables: Sequence[Path], out: Path, progress: Callable[[str], None] = print
) -> VertexReport:
    """Compute the corners of the hull of every chemical system and write them as a table.

    Parameters
    ----------
    tables
        Parquet with columns id, formula, chemsys, formation_energy_per_atom (eV/atom) and perhaps
        source. Of two rows with one id the last counts.
    out
        Parquet file to write, sorted by chemical system.
    progress
        Receives a line now and then.

    Raises
    ------
    ReferenceFileError
        When a table cannot be read or lacks a column.
    """
    phases = {phase.id: phase for table in tables for phase in read_table(table)}
    refused = {i: "no finite energy" for i, p in phases.items() if not isfinite(p.formation_energy)}
    finite = [phase for name, phase in phases.items() if name not in refused]
    corners = sorted(vertices(finite, progress), key=lambda v: (v.chemsys, v.formula, v.id))
    columns = {name: [getattr(v, name) for v in corners] for name in SCHEMA.names}
    digest = hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:8]
    notes = {"made": digest, "attribution": ATTRIBUTION, "correction": "MP2020"}
    temporary = out.with_name(out.name + ".tmp")
    pq.write_table(
        pa.table(columns, schema=SCHEMA.with_metadata(notes)),
        temporary,
        compression="zstd",
        compression_level=19,
        row_group_size=ROWS_PER_GROUP,
    )
    temporary.replace(out)
    return VertexReport(len(finite), len(corners), refused)


def read_table(path: Path) -> Iterator[Vertex]:
    """Yield the phases of a table of formation energies."""
    table = read_columns(path, COLUMNS)
    sources = table["source"].to_pylist() if "source" in table.column_names else ["mp"] * len(table)
    columns = [table[name].to_pylist() for name in COLUMNS]
    for (name, formula, chemsys, energy), source in zip(
        zip(*columns, strict=True), sources, strict=True
    ):
        yield Vertex(name, source, formula, chemsys, float("nan") if energy is None else energy)


def vertices(phases: Iterable[Vertex], progress: Callable[[str], None] = print) -> Iterator[Vertex]:
    """Yield the compounds on the hull of their own chemical system.

    Systems go from small to large: what is stable in a system is stable in every system inside
    it, so that a hull needs the corners of its sides and its own phases only.
    """
    by_system: dict[str, list[Vertex]] = defaultdict(list)
    for phase in phases:
        if "-" in phase.chemsys:
            by_system[phase.chemsys].append(phase)
    corners: dict[str, list[Vertex]] = {}
    order = sorted(by_system, key=lambda name: (name.count("-"), name))
    for number, system in enumerate(order, 1):
        elements = system.split("-")
        sides = [v for name in subsystems(elements) for v in corners.get(name, ())]
        corners[system] = _stable(elements, sides, lowest_of_each(by_system[system]))
        yield from corners[system]
        if number % SYSTEMS_PER_LINE == 0:
            progress(f"hulls {number}/{len(order)}")


def lowest_of_each(phases: Iterable[Vertex]) -> list[Vertex]:
    """Return the lowest phase of each formula; of equal ones the first id."""
    lowest: dict[str, Vertex] = {}
    for phase in sorted(phases, key=lambda p: (p.formation_energy, p.id)):
        lowest.setdefault(phase.formula, phase)
    return list(lowest.values())


def _stable(
    elements: Sequence[str], sides: Sequence[Vertex], own: Sequence[Vertex]
) -> list[Vertex]:
    """Return those of a system's own phases that lie on its hull; elements lie at 0."""
    entries = [PDEntry(Composition(symbol), 0.0) for symbol in elements]
    entries += [_entry(phase) for phase in sides]
    named = {_entry(phase): phase for phase in own if phase.formation_energy < 0}
    diagram = PhaseDiagram([*entries, *named])
    return [
        phase
        for entry, phase in named.items()
        if (diagram.get_e_above_hull(entry) or 0.0) <= TOLERANCE
    ]


def _entry(phase: Vertex) -> PDEntry:
    composition = Composition(phase.formula)
    return PDEntry(composition, phase.formation_energy * composition.num_atoms, name=phase.id)
