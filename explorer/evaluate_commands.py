"""What `hullscape evaluate` does: checks what was asked, opens the network, judges."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from explorer import isolation
from explorer.baseline_imported import read_samples
from explorer.baseline_matra import open_network
from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, SpecError
from explorer.commands import Progress, Ticker, read_foreign
from explorer.dft_hull import FILLED
from explorer.evaluate.experience import by_experience
from explorer.evaluate.generation import evaluate_generation
from explorer.evaluate.hull import Labelled, evaluate_hull, read_labels, table_of
from explorer.evaluate.retrieval import DrawSystem, evaluate_retrieval
from explorer.evaluate.roundtrip import evaluate_roundtrip
from explorer.evaluate.score import COLUMNS, evaluate_score, labelled_structures
from explorer.evaluate.sun import evaluate_sun, outcomes, refuse_definition
from explorer.generators import Generate, generator
from explorer.laboratory import Library, check_references, choose_device
from explorer.outputs import replacing
from explorer.potentials import potential
from explorer.relax import Relaxer
from explorer.strangers import reading_seconds
from explorer.structure_files import NamedStructure
from explorer.track_record import experiences
from model.checkpoint import LoadedNetwork, load_network
from model.constraints import Constraints
from model.matra import KIND as MATRA


def retrieval(
    spec: CampaignSpec,
    *,
    method: str,
    systems: Path | None,
    candidates: Path | None,
    origin: str | None,
    max_e_above_hull: float,
    skeletons: bool,
    relax: bool,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Count the targets that are found again within n crystals for each system."""
    targets = Path(spec.targets or "")
    _refuse_missing(targets, systems, candidates)
    loaded, drawn = None, []
    if candidates is not None:
        drawn = read_samples(candidates, origin)
        draw = _system_of(drawn)
    else:
        if method == "transformer":
            loaded = open_network(spec.checkpoint, choose_device(device))
        draw = _drawing(generator(method, loaded, spec.drawing()), spec)
    with ExitStack() as stack:
        relaxer = None
        if relax:
            chosen = potential(spec.potential, choose_device(device))
            limits = {"fmax": spec.fmax, "max_steps": spec.max_steps}
            relaxer = stack.enter_context(Relaxer(chosen, **limits, workers=workers))
        told = evaluate_retrieval(
            targets,
            draw,
            systems=systems,
            n=spec.n,
            max_e_above_hull=max_e_above_hull,
            skeletons=skeletons,
            relaxer=relaxer,
            workers=workers,
            progress=progress,
        )
    asked = {
        "generator": loaded.checkpoint_id if loaded else _origin(candidates, origin) or method,
        "n": spec.n,
        "max_e_above_hull": max_e_above_hull,
        "seed": spec.seed,
    }
    if loaded:
        asked |= {"stability": spec.stability, **_how(loaded, spec)}
    if candidates is not None:
        told["candidates"] = _accounted(drawn, told["systems"])
    return told | {"method": "file" if candidates else method, "asked": asked}


def _drawing(generate: Generate, spec: CampaignSpec) -> DrawSystem:
    """Draw with nothing but the elements of a system given."""

    def draw(system: str) -> Iterator[Drawn]:
        constraints = Constraints.parse(system, stability=spec.stability)
        return generate(constraints, n=spec.n, seed=spec.seed)

    return draw


def _how(loaded: LoadedNetwork, spec: CampaignSpec) -> dict[str, Any]:
    """Return how crystals were drawn, for the record: the baseline knows a temperature alone."""
    return {"temperature": spec.temperature} if loaded.kind == MATRA else spec.drawing()


def _system_of(drawn: Sequence[Drawn]) -> DrawSystem:
    """Crystals of a file by system, numbered anew within each, in the file's order."""
    by_system: dict[str, list[Drawn]] = {}
    for one in drawn:
        if one.formula is not None:
            some = by_system.setdefault("-".join(symbol for symbol, _ in one.formula), [])
            some.append(replace(one, index=len(some)))
    return lambda system: by_system.get(system, [])


def _accounted(drawn: Sequence[Drawn], systems: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what became of the crystals of a file: those of no system with targets count nothing."""
    reasons = Counter(one.reason for one in drawn if one.reason)
    disordered = sum(one.formula is None for one in drawn) - reasons.total()
    looked_at = sum(found["drawn"] for found in systems.values())
    left = len(drawn) - looked_at - disordered - reasons.total()
    told = {"read": len(drawn), "looked_at": looked_at, "of_other_systems_or_beyond_n": left}
    return told | {"disordered": disordered, "unreadable": dict(reasons.most_common(20))}


def generation(
    spec: CampaignSpec,
    *,
    candidates: Path | None,
    origin: str | None,
    first: int | None,
    reference: Path | None,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Count what is right with n crystals that are drawn, or with the first or all of a file."""
    _refuse_missing(reference, candidates)
    began = time.monotonic()
    if candidates is not None:
        drawn, seconds = read_samples(candidates, origin)[:first], None
    else:
        loaded = open_network(spec.checkpoint, choose_device(device))
        spec.refuse_unknown(loaded.known_elements, "the model")
        generate = generator("transformer", loaded, spec.drawing())
        ticker, drawn = Ticker(progress), []
        for one in generate(spec.constraints(), n=spec.n, seed=spec.seed):
            drawn.append(one)
            ticker.tick(f"drawn {len(drawn)}/{spec.n}")
        seconds = time.monotonic() - began
    progress(f"judging {len(drawn)} crystals")
    asked = {
        "generator": _origin(candidates, origin) if candidates else loaded.checkpoint_id,
        "reference": str(reference) if reference else None,
        "seed": spec.seed,
    }
    if candidates is None:
        asked |= _how(loaded, spec) | {"constraints": spec.constraints().to_dict()}
    told = evaluate_generation(
        drawn,
        elements=spec.constraints().elements,
        reference=reference,
        seconds_sampling=seconds,
        seed=spec.seed,
        workers=workers,
    )
    return told | {"asked": asked}


def sun(
    spec: CampaignSpec,
    *,
    definition: str,
    method: str,
    candidates: Path | None,
    origin: str | None,
    reference: Path | None,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Relax n crystals, place them on their hulls, and count the stable, unique and novel."""
    _refuse_missing(candidates, reference)
    refuse_definition(definition)
    chosen = potential(spec.potential, choose_device(device))
    library = Library(spec.potential, spec.references, "", spec.hull)
    check_references(library, chosen)
    if candidates is not None:
        given = read_samples(candidates, origin)
        drawn = given[: spec.n]
    else:
        transforms = method == "transformer"
        loaded = open_network(spec.checkpoint, choose_device(device)) if transforms else None
        generate = generator(method, loaded, spec.drawing())
        drawn = list(generate(spec.constraints(), n=spec.n, seed=spec.seed))
    with Relaxer(chosen, fmax=spec.fmax, max_steps=spec.max_steps, workers=workers) as relaxer:
        told = outcomes(drawn, relaxer, library.hull, Ticker(progress).tick)
    if reference is not None:
        known, named = read_foreign(reference), str(reference)
    else:
        systems = {one.relaxed.chemical_system for one in told if one.relaxed is not None}
        phases = {p.id: p for system in systems for p in library.references(system).phases}
        known = [NamedStructure(p.id, p.structure) for p in phases.values()]
        named = library.references("").name
    report = evaluate_sun(told, known, definition=definition, workers=workers)
    report |= {"potential": str(chosen.level), "hull": library.competing("").name}
    asked = {"generator": _origin(candidates, origin) or method, "n": spec.n, "seed": spec.seed}
    asked["hull"] = spec.hull
    if candidates is not None:
        asked["in_file"] = len(given)
    if candidates is None and method == "transformer":
        asked |= {"checkpoint": loaded.checkpoint_id, **_how(loaded, spec)}
    return report | {"reference": named, "asked": asked}


def _origin(candidates: Path | None, origin: str | None) -> str:
    return " ".join(str(part) for part in (candidates, origin) if part)


def hull(
    spec: CampaignSpec,
    file: Path,
    *,
    n: int | None,
    relax: bool,
    crystals: Path | None = None,
    workers: int | None,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Compare the distances from the hull of a potential with those in a file.

    Relaxed and on the filled hull, what the track record expects is compared, too. `crystals` is a
    Parquet file that gets a row for each structure.
    """
    _refuse_missing(file)
    column, distances = read_labels(file)
    chosen = potential(spec.potential, choose_device(device))
    library = Library(spec.potential, spec.references, "", spec.hull)
    labelled = np.flatnonzero(np.isfinite(distances))
    if n is not None and n < len(labelled):
        labelled = np.sort(np.random.default_rng(spec.seed).choice(labelled, n, replace=False))
    if not len(labelled):
        raise SpecError(f"{file} has no number in its column {column}: nothing to compare with")
    named = read_foreign(file)
    structures = [named[k].structure for k in labelled]
    systems = {s.chemical_system for s in structures if not chosen.unknown_elements(s)}
    check_references(library, chosen, systems=systems, workers=workers, say=progress)
    placed: list[Labelled] = []
    with ExitStack() as stack:
        relaxer = Relaxer(chosen, fmax=spec.fmax, max_steps=spec.max_steps, workers=workers)
        told = evaluate_hull(
            [named[k] for k in labelled],
            distances[labelled],
            chosen,
            library.references,
            competing=library.competing,
            signed=column == "decomposition_energy",
            relaxer=stack.enter_context(relaxer) if relax else None,
            each=placed.append,
            progress=Ticker(progress).tick,
        )
    learned = [one for one in experiences().values() if one.level == str(chosen.level)]
    if relax and learned and spec.hull == FILLED and column == "decomposition_energy":
        told["by_experience"] = {one.kind: by_experience(placed, one) for one in learned}
    if crystals is not None:
        with replacing(crystals) as part:
            table_of(placed, told).to_parquet(part)
    asked = {"file": str(file), "label": column, "labelled": int(np.isfinite(distances).sum())}
    asked |= {"n": n, "seed": spec.seed, "relax": relax, "hull": spec.hull}
    return told | {"asked": asked}


def roundtrip(
    file: Path, *, n: int | None, seed: int, workers: int | None, progress: Progress
) -> dict[str, Any]:
    """Count the structures of a file that survive encoding."""
    _refuse_missing(file)
    ticker = Ticker(progress)
    told = evaluate_roundtrip(file, n=n, seed=seed, workers=workers, progress=ticker.tick)
    return told | {"asked": {"file": str(file), "n": n, "seed": seed}}


def score(
    file: Path, checkpoint: Path | None, *, limit: float, workers: int | None, device: str
) -> dict[str, Any]:
    """Compare the stability score of a file's crystals with their published hull distance."""
    _refuse_missing(file)
    try:
        labelled = isolation.run(labelled_structures, file, seconds=reading_seconds(file))
    except isolation.IsolationError as error:
        raise SpecError(f"cannot read {file}: reading it {error}") from error
    if not labelled:
        raise SpecError(
            f"{file} has no number in a column {' or '.join(COLUMNS)}: nothing to compare with"
        )
    loaded = load_network(checkpoint, choose_device(device))
    told = evaluate_score(loaded, labelled, limit=limit, workers=workers)
    return told | {"asked": {"file": str(file), "generator": loaded.checkpoint_id}}


def _refuse_missing(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.exists():
            raise SpecError(f"no such file: {file}")
