"""What the commands do that repeat published results: temperatures, embeddings, filtering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from explorer.baseline_transformer import transformer
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, SpecError
from explorer.commands import Progress, Ticker
from explorer.evaluate.embeddings import evaluate_embeddings
from explorer.evaluate.energies import evaluate_energies
from explorer.evaluate.filtering import evaluate_filtering
from explorer.evaluate.sun import Outcome, outcomes
from explorer.evaluate.temperatures import evaluate_temperatures
from explorer.export_campaign import open_campaign
from explorer.generators import METHODS, generator
from explorer.laboratory import Library, check_references, choose_device
from explorer.potentials import potential
from explorer.relax import Relaxer
from model.checkpoint import load_network
from model.constraints import Constraints

DRAWN_FROM_SCRATCH = tuple(name for name in METHODS if name not in {"transformer", "file"})
"""Generators that energies can be compared with."""


def temperatures(
    spec: CampaignSpec,
    values: Sequence[float],
    *,
    relax: int,
    beside: Sequence[str],
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Count what is right with n crystals drawn at each temperature, the rest being equal.

    With ``relax`` the first so many of each temperature, and as many of each generator in
    ``beside``, are relaxed and placed on their hulls. Where no elements are asked for, each crystal
    of those generators has the elements of one that was drawn at the temperature nearest to 1.
    """
    _refuse_generators(beside if relax else ())
    device = choose_device(device)
    loaded = load_network(spec.checkpoint, device)
    spec.refuse_unknown(loaded.known_elements, "the model")
    constraints = spec.constraints()
    to_relax: dict[str, list[Drawn]] = {}

    def draw(temperature: float) -> list[Drawn]:
        options = spec.drawing() | {"temperature": temperature}
        drawn = list(transformer(loaded, constraints, n=spec.n, seed=spec.seed, **options))
        to_relax[_named(temperature)] = drawn[:relax]
        return drawn

    told = evaluate_temperatures(
        draw, values, elements=constraints.elements, workers=workers, progress=progress
    )
    asked = {name: value for name, value in spec.drawing().items() if name != "temperature"}
    asked |= {"seed": spec.seed, "constraints": constraints.to_dict()}
    told |= {"generator": loaded.checkpoint_id}
    if relax:
        usual = to_relax[_named(min(values, key=lambda value: abs(value - 1)))]
        for method in beside:
            progress(method)
            to_relax[method] = _drawn_beside(method, constraints, usual, spec.seed)
        told |= _energies(spec, to_relax, device, workers, progress)
        asked |= {"relax": relax, "beside": list(beside)}
        asked |= {"fmax": spec.fmax, "max_steps": spec.max_steps}
    return told | {"asked": asked}


def _named(temperature: float) -> str:
    return f"temperature {temperature:g}"


def _drawn_beside(
    method: str, constraints: Constraints, usual: Sequence[Drawn], seed: int
) -> list[Drawn]:
    """Draw as many crystals as there are usual ones, of their elements if none are asked for."""
    generate = generator(method)
    if constraints.elements:
        return list(generate(constraints, n=len(usual), seed=seed))
    drawn: list[Drawn] = []
    for index, one in enumerate(usual):
        if one.symbols:
            same = Constraints.parse("-".join(sorted(one.symbols)))
            drawn += generate(same, n=index + 1, seed=seed, start=index)
    return drawn


def _refuse_generators(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in DRAWN_FROM_SCRATCH]
    if unknown:
        raise SpecError(
            f"expected --beside with {', '.join(DRAWN_FROM_SCRATCH)} or nothing, got {unknown[0]!r}"
        )


def _energies(
    spec: CampaignSpec,
    drawn: dict[str, list[Drawn]],
    device: str,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    chosen = potential(spec.potential, device)
    library = Library(spec.potential, spec.references, "", spec.hull)
    check_references(library, chosen)
    told: dict[str, list[Outcome]] = {}
    with Relaxer(chosen, fmax=spec.fmax, max_steps=spec.max_steps, workers=workers) as relaxer:
        for name, some in drawn.items():
            progress(name)
            told[name] = outcomes(some, relaxer, library.hull, Ticker(progress).tick)
    return {
        "energies": evaluate_energies(told),
        "potential": str(chosen.level),
        "hull": library.competing("").name,
    }


def embeddings(spec: CampaignSpec, device: str) -> dict[str, Any]:
    """Map what the network has learned of elements and space groups."""
    return evaluate_embeddings(load_network(spec.checkpoint, choose_device(device)), seed=spec.seed)


def filtering(name: str, url: str | None) -> dict[str, Any]:
    """Tell what is left of a campaign's crystals after each filter."""
    store, campaign = open_campaign(name, url)
    candidates, _ = store.candidates(campaign.id)
    store.close()
    if not candidates:
        raise SpecError(f"the campaign {campaign.id} has no crystals yet: let it draw some first")
    candidates.sort(key=lambda candidate: candidate.index)
    told = evaluate_filtering(
        candidates,
        seconds_sampling=campaign.seconds_sampling,
        seconds_relaxing=campaign.seconds_relaxing,
    )
    return told | {"campaign": campaign.id, "state": str(campaign.state), "asked": campaign.origin}
