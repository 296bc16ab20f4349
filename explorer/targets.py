"""Target structures: what a campaign is hoped to find, given in a file or taken from what is known.

A target counts as found when a crystal of the campaign, as drawn or after relaxation, equals it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymatgen.core import Structure

from explorer import isolation
from explorer.campaign import CampaignSpec, SpecError
from explorer.crystals import gate
from explorer.references import DATA, ReferencePhases
from explorer.strangers import reading_seconds
from explorer.structure_files import NamedStructure, StructureFileError, read_structures

NEAR_HULL = 0.02
"""Largest published energy above the hull of a target, eV/atom."""
WIDER = 0.1
"""The same where nothing lies nearer, eV/atom."""
MAX_TARGETS = 2000


@dataclass(frozen=True)
class TargetList:
    """The structures that a campaign looks for.

    Attributes
    ----------
    structures
        Each with its unique name.
    words
        What they are, for people.
    remark
        What is known besides and cannot be looked for, in a sentence; "" for nothing.
    """

    structures: tuple[NamedStructure, ...] = ()
    words: str = ""
    remark: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the structures."""
        return tuple(target.name for target in self.structures)


NO_TARGETS = TargetList()


def default_targets(references: ReferencePhases) -> TargetList:
    """Return the known phases of the full system near the published hull, else those less near."""
    system = "-".join(references.elements)
    for limit in (NEAR_HULL, WIDER):
        phases = references.targets(max_e_above_hull=limit)
        if phases:
            one = len(phases) == 1
            kept = "whose structure is here" if one else "whose structures are here"
            words = (
                f"known {'phase' if one else 'phases'} of {system} {kept}, within {limit:g} "
                "eV/atom of the published hull"
            )
            structures = tuple(NamedStructure(phase.id, phase.structure) for phase in phases)
            return TargetList(structures, words)
    return NO_TARGETS


def shipped_targets(system: str) -> TargetList:
    """Return the phases to look for that come with the program; none for most systems.

    They were made by ``hullscape evaluate targets``: known prototypes filled, relaxed with CHGNet,
    those within `NEAR_HULL` of the hull that they span together with the reference phases. No
    experiment stands behind them, and substitution finds them by construction.
    """
    path = DATA / f"targets-{system}.parquet"
    if not path.is_file():
        return NO_TARGETS
    words = (
        f"phases of {system} within {NEAR_HULL:g} eV/atom of the hull, made by substitution "
        "and relaxed with CHGNet"
    )
    return TargetList(tuple(near_hull_structures(path)), words)


def given_targets(spec: CampaignSpec, structures: Sequence[NamedStructure]) -> TargetList:
    """Return the targets that a campaign was made with, as the store holds them."""
    noun = "target structure" if len(structures) == 1 else "target structures"
    return TargetList(tuple(structures), f"{noun} of {Path(spec.targets or '').name}")


def read_targets(path: str | Path) -> list[NamedStructure]:
    """Read the targets of a stranger's file in a child process.

    Parameters
    ----------
    path
        Any structure file; of a Parquet file with a column ``e_above_hull`` (eV/atom) only the
        phases up to `NEAR_HULL` count.

    Raises
    ------
    SpecError
        When it cannot be read, or holds no target. The field is "targets".
    """
    try:
        found = isolation.run(near_hull_structures, Path(path), seconds=reading_seconds(path))
    except StructureFileError as error:
        raise SpecError(f"targets: {error}", "targets") from error
    except isolation.IsolationError as error:
        raise SpecError(f"targets: cannot read {path}: reading it {error}", "targets") from error
    if not found:
        raise SpecError(
            f"targets: {Path(path).name} holds no phase with e_above_hull up to "
            f"{NEAR_HULL:g} eV/atom: give a file with stable phases, or one without that column",
            "targets",
        )
    return found


def near_hull_structures(path: Path) -> list[NamedStructure]:
    """Return the structures of a file that may be targets, each with a name of its own."""
    near = [
        NamedStructure(name, structure)
        for name, structure, energy in with_hull_energy(path)
        if not np.isfinite(energy) or energy <= NEAR_HULL
    ]
    return list(own_names(near))


def with_hull_energy(
    path: Path, column: str = "e_above_hull"
) -> Iterator[tuple[str, Structure, float]]:
    """Name, structure and published distance from the hull, NaN where the file gives none."""
    named = read_structures(path)
    energies = _hull_energies(path, column, len(named))
    for (name, structure), energy in zip(named, energies, strict=True):
        yield name, structure, energy


def _hull_energies(path: Path, column: str, count: int) -> np.ndarray:
    missing = np.full(count, np.nan)
    if path.suffix.lower() != ".parquet":
        return missing
    file = pq.ParquetFile(path)
    if column not in file.schema_arrow.names:
        return missing
    kind = file.schema_arrow.field(column).type
    try:
        return file.read(columns=[column])[column].cast(pa.float64()).to_numpy()
    except (OSError, pa.ArrowException) as error:
        raise StructureFileError(
            f"{path} has a column {column} of {kind} that cannot be read: expected numbers in "
            f"eV/atom: {error}"
        ) from error


def own_names(named: Iterable[NamedStructure]) -> Iterator[NamedStructure]:
    """Number the names that occur more than once."""
    seen: Counter[str] = Counter()
    for name, structure in named:
        seen[name] += 1
        yield NamedStructure(f"{name}#{seen[name]}" if seen[name] > 1 else name, structure)


def within_reach(spec: CampaignSpec, targets: Sequence[NamedStructure]) -> list[NamedStructure]:
    """Return the targets that a campaign could draw: those of its chemical system.

    Raises
    ------
    SpecError
        When none is of the system, when there are too many, or when one cannot be compared.
    """
    kept = of_system(spec, targets)
    if not kept:
        raise SpecError(
            f"targets: none of the {len(targets)} structures is of the system "
            f"{spec.chemical_system}: choose the elements of the targets, or other targets",
            "targets",
        )
    if len(kept) > MAX_TARGETS:
        raise SpecError(
            f"targets: expected at most {MAX_TARGETS} structures, got {len(kept)}: split the file",
            "targets",
        )
    for name, structure in kept:
        reason = gate(structure)
        if reason:
            raise SpecError(f"targets: {name} cannot be compared: {reason}; take it out", "targets")
    return kept


def of_system(spec: CampaignSpec, targets: Sequence[NamedStructure]) -> list[NamedStructure]:
    """Return the targets whose elements a campaign draws, unchecked."""
    asked = spec.asked()
    return [t for t in targets if asked.allows_elements(t.structure.symbol_set)]
