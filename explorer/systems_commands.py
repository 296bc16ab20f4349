"""What `hullscape evaluate systems` does: draws, relaxes and judges crystals of many systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from explorer.baseline_matra import open_network
from explorer.campaign import CampaignSpec, SpecError
from explorer.commands import Progress, Ticker
from explorer.crystals import NamedStructure
from explorer.evaluate.sun import evaluate_sun, outcomes
from explorer.evaluate.systems import choose_systems, known_compositions, pooled
from explorer.generators import METHODS, Generate, generator
from explorer.laboratory import Library, check_references, choose_device
from explorer.potentials import Potential, potential
from explorer.references import shipped_file
from explorer.relax import Relaxer
from model.constraints import Constraints

DRAWS_ANYTHING = tuple(name for name in METHODS if name != "file")


def systems(
    spec: CampaignSpec,
    *,
    method: str,
    sizes: Sequence[int],
    choose: int,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Count stable, unique and novel crystals in systems of which much, some or nothing is known.

    Parameters
    ----------
    spec : CampaignSpec
        `spec.n` crystals of each system; `spec.seed` draws the systems and the crystals.
    method : str
        One of `DRAWS_ANYTHING`.
    sizes : sequence of int
        Numbers of elements.
    choose : int
        Systems of each size and class.

    Raises
    ------
    SpecError
        For another method, or sizes of which too few systems are known.
    """
    if method not in DRAWS_ANYTHING:
        raise SpecError(f"expected a method of {', '.join(DRAWS_ANYTHING)}, got {method!r}")
    device = choose_device(device)
    chosen = potential(spec.potential, device)
    loaded = open_network(spec.checkpoint, device) if method == "transformer" else None
    usable = set(chosen.elements) & set(loaded.known_elements if loaded else chosen.elements)
    counts = known_compositions(shipped_file("chgnet"))
    try:
        cells = choose_systems(counts, sizes, choose, spec.seed, usable)
    except ValueError as error:
        raise SpecError(str(error)) from error
    library = Library(spec.potential, spec.references, "", spec.hull)
    named = [system for some in cells.values() for system in some]
    check_references(library, chosen, systems=named, workers=workers, say=progress)
    generate = generator(method, loaded, spec.drawing())
    told: dict[str, Any] = {}
    with Relaxer(chosen, fmax=spec.fmax, max_steps=spec.max_steps, workers=workers) as relaxer:
        for (size, explored), some in cells.items():
            for system in some:
                progress(f"{system} ({len(told) + 1}/{len(named)})")
                report = _judged(spec, system, generate, library, relaxer, workers, progress)
                about = {"elements": size, "explored": explored, "known": counts.get(system, 0)}
                told[system] = about | report
    asked = {"method": method, "n": spec.n, "seed": spec.seed, "sizes": list(sizes)}
    asked |= {"choose": choose, "fmax": spec.fmax, "max_steps": spec.max_steps}
    if loaded:
        asked |= {"checkpoint": loaded.checkpoint_id} | spec.drawing()
    return {"pooled": pooled(told), "systems": told} | _ledger(chosen, library) | {"asked": asked}


def _judged(
    spec: CampaignSpec,
    system: str,
    generate: Generate,
    library: Library,
    relaxer: Relaxer,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Draw n crystals of a system, relax them, and tell what MatterGen's definition counts."""
    constraints = Constraints.parse(system, stability=spec.stability, max_atoms=spec.max_atoms)
    drawn = list(generate(constraints, n=spec.n, seed=spec.seed))
    placed = outcomes(drawn, relaxer, library.hull, Ticker(progress).tick)
    known = [NamedStructure(p.id, p.structure) for p in library.references(system).phases]
    told = evaluate_sun(placed, known, workers=workers)
    kept = ("n", "stable", "unique", "novel", "sun", "counts", "converged", "reasons")
    return {name: told[name] for name in kept}


def _ledger(chosen: Potential, library: Library) -> dict[str, str]:
    """Whose energies, and on what hull."""
    return {"potential": str(chosen.level), "hull": library.competing("").name}
