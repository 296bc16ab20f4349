"""What `hullscape evaluate strategies` does: campaigns of some systems, then every order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from explorer.campaign import CampaignSpec, CampaignState, SpecError
from explorer.candidate import Candidate
from explorer.commands import Progress, Ticker
from explorer.evaluate.filtering import distinct_near_hull
from explorer.evaluate.pool import spread
from explorer.evaluate.retrieval import read_systems
from explorer.evaluate.score import describe
from explorer.evaluate.strategies import Tried, evaluate_strategies
from explorer.evaluate.trials import SPENT, TrialFolder, TrialsInterrupted
from explorer.experiment_commands import tell_relaxed
from explorer.headless import DATABASE, run_in_folder
from explorer.laboratory import Library, choose_device
from explorer.outputs import refuse_unwritable, write_json
from explorer.potentials import potential
from explorer.store import Store
from explorer.targets import read_targets
from model.checkpoint import LoadedNetwork, load_network
from model.sample import stability_score


def strategies(
    spec: CampaignSpec,
    folder: Path,
    *,
    systems: Sequence[str],
    budgets: Sequence[int],
    near_hull: float,
    device: str,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Relax the crystals of some systems, and tell what each order of them would have found.

    Parameters
    ----------
    spec : CampaignSpec
        What the campaigns of all systems have in common; `spec.n` crystals for each.
    folder : Path
        Keeps the campaigns, so that an interrupted comparison goes on.
    systems : sequence of str
        Chemical systems.
    budgets : sequence of int
        Relaxations for each system.
    near_hull : float
        Energy above the hull up to which a relaxed crystal counts, eV/atom.

    Raises
    ------
    SpecError
        For what cannot be asked, or a folder of another comparison.
    """
    if not systems or not budgets or min(budgets) < 1:
        raise SpecError(f"expected systems and budgets of 1 or more, got {systems} and {budgets}")
    refuse_unwritable(folder / "asked.json")
    systems, left_out = with_targets(spec, systems)
    asked = spec.model_dump(mode="json", exclude={"elements", "name"}) | {"near_hull": near_hull}
    TrialFolder(folder, asked)
    device = choose_device(device)
    network = load_network(spec.checkpoint, device)
    ticker, tried = Ticker(progress), {}
    for place, system in enumerate(systems, start=1):
        progress(f"{system} ({place}/{len(systems)})")
        one = CampaignSpec.parse(**spec.model_dump() | {"elements": system})
        kept = folder / f"{one.chemical_system}.json"
        if not kept.exists():
            report = partial(tell_relaxed, ticker, system, [0])
            candidates = _campaign(one, folder / one.chemical_system, device, workers, report)
            scored = score_candidates(one, candidates, network, near_hull, device, workers)
            write_json(kept, [item.to_dict() for item in scored])
        read = json.loads(kept.read_text(encoding="utf-8"))
        tried[one.chemical_system] = [Tried.from_dict(values) for values in read]
    told = evaluate_strategies(tried, budgets)
    told |= {"near_hull": near_hull, "checkpoint": network.checkpoint_id}
    return told | {"without_targets": left_out, "asked": asked | {"systems": list(tried)}}


def with_targets(spec: CampaignSpec, systems: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the systems that the file of targets holds phases of, and the others.

    Raises
    ------
    SpecError
        When the file cannot be read, or holds none of any.
    """
    if not spec.targets:
        return list(systems), []
    held = {target.structure.chemical_system for target in read_targets(spec.targets)}
    parted = {system: "-".join(sorted(system.split("-"))) in held for system in systems}
    kept = [system for system, has in parted.items() if has]
    if not kept:
        raise SpecError(f"targets: no near-hull phase of {', '.join(systems)}", "targets")
    return kept, [system for system, has in parted.items() if not has]


def _campaign(
    spec: CampaignSpec, folder: Path, device: str, workers: int | None, report: Any
) -> list[Candidate]:
    campaign = run_in_folder(
        spec, folder, device=device, workers=workers, resume=True, report=report
    )
    if campaign.state != CampaignState.FINISHED:
        raise TrialsInterrupted
    store = Store(folder / DATABASE)
    candidates, _ = store.candidates(campaign.id)
    store.close()
    spent = [candidate for candidate in candidates if candidate.state in SPENT]
    return sorted(spent, key=lambda candidate: candidate.index)


def score_candidates(
    spec: CampaignSpec,
    candidates: Sequence[Candidate],
    network: LoadedNetwork,
    near_hull: float,
    device: str,
    workers: int | None,
) -> list[Tried]:
    """Compute, for crystals that were relaxed, what could have been known before."""
    energies = _unrelaxed_energies(spec, candidates, device)
    stability = stability_scores(network, candidates, workers)
    groups = distinct_near_hull(candidates, near_hull)
    return [
        Tried(
            candidate.index,
            {
                "likelihood": _finite(candidate.log_likelihood),
                "likelihood_per_atom": _finite(candidate.log_likelihood / len(candidate.initial)),
                "stability": _finite(stable),
                "energy": _finite(-energy),
            },
            candidate.targets,
            groups.get(candidate.id, ""),
        )
        for candidate, energy, stable in zip(candidates, energies, stability, strict=True)
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _unrelaxed_energies(
    spec: CampaignSpec, candidates: Sequence[Candidate], device: str
) -> np.ndarray:
    """Energy above the hull of the crystals as drawn, eV/atom; NaN where there is none."""
    chosen = potential(spec.potential, device)
    library = Library(spec.potential, spec.references, spec.chemical_system, spec.hull)
    energies = list(chosen.static_energies([candidate.initial for candidate in candidates]))
    hull = library.hull(spec.chemical_system)
    return hull.energies_above([candidate.formula for candidate in candidates], energies)


def stability_scores(
    network: LoadedNetwork, candidates: Sequence[Candidate], workers: int | None
) -> np.ndarray:
    """Return `model.sample.stability_score`; NaN for what the model cannot read."""
    structures = [candidate.initial for candidate in candidates]
    tasks = [(structures[k : k + 32],) for k in range(0, len(structures), 32)]
    described = [one for some in spread(describe, tasks, workers, ordered=True) for one in some]
    readable = [k for k, crystal in enumerate(described) if crystal is not None]
    scores = np.full(len(structures), np.nan)
    if readable:
        crystals = [described[k] for k in readable]
        scores[readable] = stability_score(network, crystals)
    return scores


def systems_of(elements: str, file: Path | None, count: int | None, seed: int) -> list[str]:
    """Return the systems asked for: one, or a random choice among those of a file.

    Raises
    ------
    SpecError
        Unless exactly one of the two is given.
    """
    if bool(elements) == (file is not None):
        raise SpecError("expected --elements or --systems, one of the two")
    if file is None:
        return [text for text in elements.split(",") if text]
    known = sorted(read_systems(file))
    if count is None or count >= len(known):
        return known
    chosen = np.random.default_rng(seed).choice(len(known), count, replace=False)
    return [known[k] for k in sorted(chosen)]
