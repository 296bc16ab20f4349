"""Trials of the retrieval experiment, kept in a folder: each is made once, whatever interrupts.

A trial without relaxation draws crystals and compares them with the targets as drawn. A trial with
relaxation is a campaign in a folder of its own, so that it is screened, relaxed, stored and resumed
as every campaign is; crystals that equal a known phase are relaxed too, since a search that looks
for known phases may not be told which they are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec, CampaignState, SpecError
from explorer.candidate import Candidate, State
from explorer.evaluate.experiment import Trial
from explorer.evaluate.pool import spread
from explorer.evaluate.retrieval import Target, find_targets
from explorer.generators import Source
from explorer.headless import DATABASE, run_in_folder
from explorer.outputs import write_json
from explorer.store import Store

SPENT = {State.RELAXED, State.FAILED}


class TrialsInterrupted(KeyboardInterrupt):
    """The experiment was stopped; what is done is kept."""


class TrialFolder:
    """The trials that are done, one JSON file each.

    Parameters
    ----------
    folder
        Of the experiment.
    asked
        What every trial has in common. A folder holds trials of one question only.

    Raises
    ------
    SpecError
        When the folder holds another experiment.
    """

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        self.folder = folder
        note, asked = folder / "asked.json", json.loads(json.dumps(asked))
        before = json.loads(note.read_text(encoding="utf-8")) if note.exists() else asked
        for name in before.keys() | asked.keys():
            if before.get(name) != asked.get(name):
                raise SpecError(
                    f"the experiment in {folder} was made with {name} = {before.get(name)!r}, got "
                    f"{asked.get(name)!r}: ask the same, or choose another folder"
                )
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        write_json(note, asked)

    def once(self, method: str, seed: int, make: Callable[[], Trial]) -> Trial:
        """Return the trial of that name, made now if it is not there yet."""
        path = self.folder / "trials" / f"{method}-{seed}.json"
        if path.exists():
            return Trial.from_dict(json.loads(path.read_text(encoding="utf-8")))
        trial = make()
        write_json(path, trial.to_dict())
        return trial


def drawn_trial(
    spec: CampaignSpec, source: Source, targets: Sequence[Target], workers: int | None
) -> Trial:
    """Draw the crystals of a campaign and compare them, as drawn, with the targets."""
    began = time.monotonic()
    formulas = {target.formula for target in targets}
    worth: list[Drawn] = []
    seconds: list[float] = []
    for one in source.generate(spec.constraints(), n=spec.n, seed=spec.seed):
        seconds.append(time.monotonic() - began)
        if one.formula in formulas:
            worth.append(one)
    first = _first(spec.chemical_system, targets, worth, len(seconds), workers)
    return Trial(
        spec.generator,
        spec.seed,
        len(seconds),
        first,
        seconds={name: round(seconds[number - 1], 3) for name, number in first.items()},
        seconds_total=round(time.monotonic() - began, 3),
        generator=source.identity,
    )


def _first(
    system: str,
    targets: Sequence[Target],
    worth: Sequence[Drawn],
    drawn: int,
    workers: int | None,
) -> dict[str, int]:
    """Number of the crystal that found each target; targets of one formula go to one process."""
    share = {
        formula: k % (workers or os.cpu_count() or 1)
        for k, formula in enumerate(sorted({target.formula for target in targets}))
    }
    tasks = []
    for part in sorted(set(share.values())):
        mine = [target for target in targets if share[target.formula] == part]
        crystals = [one for one in worth if share[one.formula] == part]
        tasks.append((system, mine, crystals, drawn))
    return {
        name: number
        for found in spread(find_targets, tasks, workers)
        for name, number in found.first.items()
    }


def relaxed_trial(
    spec: CampaignSpec,
    folder: Path,
    *,
    device: str,
    workers: int | None,
    report: Callable[[Sequence[Candidate]], None],
) -> Trial:
    """Run, or go on with, a campaign in a folder and read from it what was found when.

    Raises
    ------
    TrialsInterrupted
        When it was stopped before its end.
    """
    campaign = run_in_folder(
        spec, folder, device=device, workers=workers, resume=True, report=report
    )
    if campaign.state != CampaignState.FINISHED:
        raise TrialsInterrupted
    store = Store(folder / DATABASE)
    candidates, _ = store.candidates(campaign.id, structures=False)
    store.close()
    crystals, relaxations, relaxed = first_found(candidates)
    return Trial(
        spec.generator,
        spec.seed,
        len(candidates),
        crystals,
        relaxations,
        relaxed,
        seconds_total=round(campaign.seconds_sampling + campaign.seconds_relaxing, 3),
        generator=campaign.provenance["checkpoint"],
    )


def first_found(candidates: Iterable[Candidate]) -> tuple[dict[str, int], dict[str, int], int]:
    """Read from candidates, in the order of their verdicts, when each target was found.

    Returns
    -------
    dict, dict, int
        Number of the crystal, from 1, and number of relaxations that had ended when each target was
        first equalled; relaxations in all.
    """
    crystals: dict[str, int] = {}
    relaxations: dict[str, int] = {}
    relaxed = 0
    for candidate in candidates:
        relaxed += candidate.state in SPENT
        for name in candidate.targets:
            number = candidate.index + 1
            crystals[name] = min(crystals.get(name, number), number)
            if candidate.state in SPENT:
                relaxations.setdefault(name, relaxed)
    return crystals, relaxations, relaxed
