"""What `hullscape evaluate targets` does: phases to look for, where no list of them exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from explorer.baseline_substitution import substitution
from explorer.campaign import CampaignSpec, SpecError
from explorer.candidate import Candidate, State
from explorer.commands import Progress, Ticker
from explorer.crystals import NamedStructure, spacegroup_of, write_structures
from explorer.hull import Hull
from explorer.laboratory import Library, check_references, choose_device
from explorer.novelty import Matcher, MatchError, Pool
from explorer.outputs import refuse_unwritable, replacing
from explorer.potentials import potential
from explorer.references import ReferencePhases
from explorer.relax import Relaxer
from explorer.screen import Screen
from explorer.structure_files import safe_name


def make_targets(
    spec: CampaignSpec,
    output: Path,
    *,
    relaxations: int,
    max_e_above_hull: float,
    device: str,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Fill prototypes, relax the lowest, and write those near the hull that they span together.

    Parameters
    ----------
    spec : CampaignSpec
        The system, how many prototypes to fill, and the potential.
    output : Path
        Parquet file of the distinct phases found, with ``e_above_hull`` in eV/atom.
    relaxations : int
        How many are relaxed: those whose unrelaxed energy lies lowest above the hull.
    max_e_above_hull : float
        Largest distance, eV/atom, from the hull of the reference phases and everything relaxed.

    Raises
    ------
    SpecError
        When nothing can be relaxed, or nothing lies near the hull.
    """
    if not spec.elements or output.suffix != ".parquet":
        raise SpecError(f"expected a chemical system and a .parquet file, got {output.name}")
    refuse_unwritable(output)
    chosen = potential(spec.potential, choose_device(device))
    library = Library(spec.potential, spec.references, spec.chemical_system, spec.hull)
    check_references(library, chosen)
    screen = Screen(library.references, relax_known=True)
    filled = substitution(spec.constraints(), n=spec.n, seed=spec.seed)
    drawn = [screen.judge(one) for one in filled]
    waiting = [candidate for candidate in drawn if candidate.state == State.WAITING]
    progress(f"{len(waiting)} distinct prototypes of {len(drawn)}")
    energies = list(chosen.static_energies([candidate.initial for candidate in waiting]))
    hull = library.hull(spec.chemical_system)
    above = hull.energies_above([candidate.formula for candidate in waiting], energies)
    lowest = [waiting[k] for k in np.argsort(above)[:relaxations] if np.isfinite(above[k])]
    if not lowest:
        raise SpecError(f"no prototype of {spec.chemical_system} can be relaxed: raise -n")
    with Relaxer(chosen, fmax=spec.fmax, max_steps=spec.max_steps, workers=workers) as relaxer:
        relaxed = _relaxed(relaxer, lowest, Ticker(progress))
    near = near_their_hull(relaxed, library.competing(spec.chemical_system), max_e_above_hull)
    if not near:
        raise SpecError(
            f"no phase of {spec.chemical_system} within {max_e_above_hull:g} eV/atom of the hull"
        )
    named = [(_name(one), one, energy) for one, energy in near]
    with replacing(output) as part:
        write_structures(part, [NamedStructure(name, one.relaxed) for name, one, _ in named])
        table = pq.read_table(part)
        table = table.append_column("e_above_hull", pa.array([energy for *_, energy in named]))
        pq.write_table(table, part, compression="zstd")
    return {
        "system": spec.chemical_system,
        "prototypes": len(drawn),
        "distinct": len(waiting),
        "relaxed": sum(one.state == State.RELAXED for one in relaxed),
        "failed": sum(one.state == State.FAILED for one in relaxed),
        "phases": {name: round(energy, 4) for name, _, energy in named},
        "max_e_above_hull": max_e_above_hull,
        "potential": str(chosen.level),
        "references": library.competing(spec.chemical_system).name,
        "output": str(output),
    }


def _relaxed(relaxer: Relaxer, waiting: Sequence[Candidate], ticker: Ticker) -> list[Candidate]:
    by_id = {candidate.id: candidate for candidate in waiting}
    told = []
    for name, relaxation in relaxer.relax((one.id, one.initial) for one in waiting):
        told.append(by_id[name].with_relaxation(relaxation))
        ticker.tick(f"relaxed {len(told)}/{len(waiting)}")
    return sorted(told, key=lambda candidate: candidate.index)


def near_their_hull(
    relaxed: Sequence[Candidate], references: ReferencePhases, limit: float
) -> list[tuple[Candidate, float]]:
    """Distinct candidates of all the elements near the hull that they and the references span.

    Returns
    -------
    list of (Candidate, float)
        With the energy above that hull, eV/atom, the lowest first.
    """
    hull = Hull(references).lowered_by(relaxed)
    good = [one for one in relaxed if one.state == State.RELAXED]
    above = hull.energies_above(
        [one.formula for one in good], [one.energy_per_atom for one in good]
    )
    pool, near = Pool(Matcher()), []
    for k in np.argsort(above):
        one, energy = good[k], float(above[k])
        if not energy <= limit or len(one.relaxed.symbol_set) < len(references.elements):
            continue
        try:
            if pool.match(one.relaxed) is not None:
                continue
        except MatchError:
            continue  # nothing could ever be said to equal it
        pool.add(one.id, one.relaxed)
        near.append((replace(one, spacegroup_relaxed=spacegroup_of(one.relaxed)), energy))
    return near


def _name(candidate: Candidate) -> str:
    return safe_name(f"{candidate.formula}-{candidate.spacegroup_relaxed}-{candidate.id}")
