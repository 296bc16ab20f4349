"""What `hullscape evaluate experiment` does: targets, trials of every generator, tables, figure."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from explorer import isolation
from explorer.baselines import structure_formula
from explorer.campaign import TRANSFORMER, CampaignSpec, SpecError
from explorer.candidate import Candidate
from explorer.commands import Progress, Ticker
from explorer.crystals import write_structures
from explorer.evaluate.experiment import Trial, curve_rows, found_rows, report
from explorer.evaluate.matching import MATCHING
from explorer.evaluate.retrieval import Target
from explorer.evaluate.trials import TrialFolder, drawn_trial, relaxed_trial
from explorer.figures.experiment import experiment_page
from explorer.generators import Source, open_source
from explorer.laboratory import choose_device
from explorer.outputs import refuse_unwritable, replacing
from explorer.references import ReferencePhases
from explorer.structure_files import NamedStructure, StructureFileError
from explorer.targets import (
    TargetList,
    default_targets,
    shipped_targets,
    with_hull_energy,
    within_reach,
)
from explorer.wbm import wbm_phases
from model.checkpoint import load_network

READ_SECONDS = 3600.0
READ_GB = 8.0
"""WBM's structures take minutes to read, and some memory."""


def experiment(
    spec: CampaignSpec,
    folder: Path,
    *,
    methods: Sequence[str],
    seeds: int,
    structures: Path | None,
    max_e_above_hull: float,
    relax: bool,
    device: str,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """Let every generator look for the same phases, and write who found what.

    Parameters
    ----------
    spec : CampaignSpec
        What each trial has in common; its seed is the first.
    folder : Path
        Gets targets.parquet, found.csv, curves.csv, experiment.html and the trials; one that was
        begun is gone on with.
    structures : Path or None
        Of WBM, when `spec.targets` is its summary.

    Raises
    ------
    SpecError
        For what cannot be asked; a folder of another experiment.
    """
    _refuse_bad_question(spec, methods, seeds)
    refuse_unwritable(folder / "asked.json")
    sought = find_targets_of(spec, structures, max_e_above_hull)
    held = _keep_targets(folder, sought)
    spec = spec.model_copy(update={"targets": str(held.resolve())})
    device = choose_device(device)
    network = load_network(spec.checkpoint, device) if TRANSFORMER in methods else None
    sources = {name: open_source(_of(spec, name, 0), network) for name in methods}
    asked = _asked(spec, sought, relax)
    done = TrialFolder(folder, asked)
    ticker, trials = Ticker(progress), []
    for method in methods:
        for seed in range(spec.seed, spec.seed + seeds):
            one = _of(spec, method, seed)
            progress(f"{method}, seed {seed}")
            if relax:
                home = folder / "campaigns" / f"{method}-{seed}"
                told = partial(tell_relaxed, ticker, f"{method}, seed {seed}", [0])
                make = partial(
                    relaxed_trial, one, home, device=device, workers=workers, report=told
                )
            else:
                make = partial(drawn_trial, one, sources[method], _targets(sought), workers)
            trials.append(done.once(method, seed, make))
            _refuse_other_source(trials[-1], sources[method], folder)
    told = _report(spec, sought, trials, asked)
    _write(folder, trials, sought, told)
    return told


def find_targets_of(
    spec: CampaignSpec, structures: Path | None, max_e_above_hull: float
) -> TargetList:
    """Read what is looked for: WBM's phases, those of a file, those shipped, or known ones.

    Raises
    ------
    SpecError
        When there is nothing to look for.
    """
    file = Path(spec.targets) if spec.targets else None
    if file is None:
        found = shipped_targets(spec.chemical_system)
        found = found if found.structures else default_targets(_references(spec))
        if not found.structures:
            raise SpecError(
                f"targets: no known phase of {spec.chemical_system} lies near the hull: give some "
                "with --targets",
                "targets",
            )
        return found
    if structures is not None:
        asked = (wbm_phases, file, structures, spec.chemical_system, max_e_above_hull)
    else:
        asked = (_near_hull, file, max_e_above_hull)
    try:
        named = isolation.run(*asked, seconds=READ_SECONDS, memory_gb=READ_GB)
    except isolation.IsolationError as error:
        raise SpecError(f"targets: cannot read {file}: reading it {error}", "targets") from error
    except StructureFileError as error:
        raise SpecError(f"targets: {error}", "targets") from error
    words = f"phases of {file.name} up to {max_e_above_hull:g} eV/atom above the hull"
    return TargetList(tuple(within_reach(spec, named)), words)


def _near_hull(path: Path, max_e_above_hull: float) -> list[NamedStructure]:
    return [
        NamedStructure(name, structure)
        for name, structure, energy in with_hull_energy(path)
        if not np.isfinite(energy) or energy <= max_e_above_hull
    ]


def _references(spec: CampaignSpec) -> ReferencePhases:
    """Return known phases for their structures, whichever potential places crystals later."""
    if spec.references:
        return ReferencePhases.from_file(Path(spec.references), spec.chemical_system)
    return ReferencePhases.shipped(spec.chemical_system)


def _refuse_bad_question(spec: CampaignSpec, methods: Sequence[str], seeds: int) -> None:
    if not spec.elements:
        raise SpecError("elements: expected a chemical system such as Al-Ca-Cu, got none")
    if seeds < 1 or not methods:
        raise SpecError(f"expected at least one seed and one method, got {seeds} and {methods}")
    for method in methods:
        _parsed(spec, method)


def _parsed(spec: CampaignSpec, method: str) -> CampaignSpec:
    fields = spec.model_dump(exclude={"generator", "samples", "samples_of"})
    samples = {"samples": spec.samples, "samples_of": spec.samples_of} if method == "file" else {}
    return CampaignSpec.parse(**fields, generator=method, **samples)


def _of(spec: CampaignSpec, method: str, seed: int) -> CampaignSpec:
    return _parsed(spec, method).model_copy(update={"seed": seed})


def _keep_targets(folder: Path, sought: TargetList) -> Path:
    """Write the targets down, so that an interrupted experiment and any campaign can read them."""
    path = folder / "targets.parquet"
    if not path.exists():
        with replacing(path) as part:
            write_structures(part, sought.structures)
    return path


def _targets(sought: TargetList) -> list[Target]:
    return [Target(name, structure_formula(s), s) for name, s in sought.structures]


def _asked(spec: CampaignSpec, sought: TargetList, relax: bool) -> dict[str, Any]:
    """What all trials have in common."""
    left_out = {"seed", "name", "targets", "generator", "samples", "samples_of"}
    asked = spec.model_dump(mode="json", exclude=left_out)
    return asked | {"relax": relax, "targets": list(sought.names), "what": sought.words}


def _refuse_other_source(trial: Trial, source: Source, folder: Path) -> None:
    if trial.generator != source.identity:
        raise SpecError(
            f"the trials of {trial.method} in {folder} were made with {trial.generator}, here is "
            f"{source.identity}: choose another folder"
        )


def tell_relaxed(ticker: Ticker, what: str, done: list[int], changed: Sequence[Candidate]) -> None:
    """Show how many relaxations have ended."""
    done[0] += sum(candidate.steps is not None for candidate in changed)
    ticker.tick(f"{what}: {done[0]} relaxations")


def _report(
    spec: CampaignSpec, sought: TargetList, trials: Sequence[Trial], asked: Mapping[str, Any]
) -> dict[str, Any]:
    told: dict[str, Any] = {"system": spec.chemical_system, "targets": sought.words}
    told |= report(trials, _formulas(sought)) | {"n": spec.n, "matching": MATCHING}
    return told | {"asked": {k: v for k, v in asked.items() if k not in {"targets", "what"}}}


def _formulas(sought: TargetList) -> dict[str, str]:
    return {name: s.composition.reduced_formula for name, s in sought.structures}


def _write(
    folder: Path, trials: Sequence[Trial], sought: TargetList, told: Mapping[str, Any]
) -> None:
    for name, rows in (
        ("found.csv", found_rows(trials, _formulas(sought))),
        ("curves.csv", curve_rows(trials)),
    ):
        with replacing(folder / name) as part, part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    with replacing(folder / "experiment.html") as part:
        part.write_text(experiment_page(trials, sought, told), encoding="utf-8")
