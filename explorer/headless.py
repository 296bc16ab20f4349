"""A campaign in a folder, without a page: what `hullscape run` does and writes.

The folder's own store is the truth while the campaign runs; the files for people are written from
it at the end, whole or not at all.
"""

from __future__ import annotations

import csv
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sqlalchemy.exc import OperationalError

from explorer.audit import audit
from explorer.campaign import Campaign, CampaignSpec, CampaignState, SpecError
from explorer.candidate import Candidate, State
from explorer.complaints import one_line
from explorer.lease import Lease, Leases, new_owner
from explorer.logs import say
from explorer.outputs import as_json, refuse_unwritable, replacing
from explorer.references import HULL_WORDS, POTENTIAL
from explorer.relaxed import EMAX, SMAX
from explorer.runner import Pulse, run_campaign
from explorer.spreadsheet import cell
from explorer.store import Store, StoreError
from explorer.structure_files import NamedStructure
from explorer.targets import TargetList, read_targets, within_reach
from explorer.track_record import DRAWN, EXPECTED, expected_of, prospects
from explorer.twins import SAME, twins

if TYPE_CHECKING:
    from explorer.laboratory import Laboratory

DATABASE = "campaign.db"
TABLE, SUMMARY, CIFS = "candidates.csv", "summary.json", "cifs"
"""What a run leaves in its folder."""
WHOLE = ("spacegroup_asked", "spacegroup_generated", "spacegroup_relaxed", "steps")
"""Columns of whole numbers; where there is none the cell is empty."""
COLUMNS = (
    "id",
    "formula",
    "spacegroup_asked",
    "spacegroup_generated",
    "spacegroup_relaxed",
    "log_likelihood",
    "template",
    "sample",
    "stability",
    "state",
    "reason",
    "energy_per_atom",
    "energy_above_hull",
    *EXPECTED,
    "formation_energy",
    "decomposition",
    "reaction",
    "destabilises",
    "hull",
    "level",
    "novel",
    "composition_known",
    "matched",
    SAME,
    "targets",
    "steps",
    "converged",
    "lowered_by_rattling",
)


def run_in_folder(
    spec: CampaignSpec,
    folder: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    resume: bool = False,
    report: Callable[[Sequence[Candidate]], None] = lambda _: None,
    say: Callable[[str], None] = say,
) -> Campaign:
    """Run a campaign in a folder to its end, or until interrupted, and write its files.

    Parameters
    ----------
    spec : CampaignSpec
        What to do. When resuming, `CampaignSpec.parse()` takes what the folder was made with.
    folder : Path
        Gets campaign.db, candidates.csv, summary.json and cifs/.
    device, workers : str, int or None
        As in `explorer.laboratory.open_laboratory`.
    resume : bool
        Go on with the run that the folder holds, if any.
    report : callable
        Hears of candidates as they are committed.
    say : callable
        Hears how far known phases are, where the potential brings none and they are relaxed first.

    Raises
    ------
    SpecError
        When the folder holds a run and `resume` is False, or another run than `spec`, or one that
        another process is working on; when the campaign failed as a whole.
    """
    from explorer.laboratory import open_laboratory  # noqa: PLC0415 - imports torch

    begins = not (folder / DATABASE).exists()
    spec = spec_to_run(spec, folder, resume)
    targets = _targets_to_find(spec, folder)
    laboratory = open_laboratory(spec, device, workers, targets, say=partial(_say_some, say))
    refuse_unwritable(folder / DATABASE)
    if begins:
        claim(folder)
    store = Store(folder / DATABASE)
    campaign_id = _campaign_to_run(store, spec, targets)
    leases = Leases(store.engine, new_owner())
    lease = leases.take(campaign_id)
    try:
        told = _run(store, leases, lease, laboratory, report) if lease else []
    except OperationalError as error:
        raise StoreError(
            f"stopped before the end, {one_line(error.orig)}: what is done is in "
            f"{folder / DATABASE}; make room there, then go on with --resume"
        ) from error
    campaign = store.campaign(campaign_id)
    if campaign.state == CampaignState.RUNNING:
        raise SpecError(f"another process is working on the run in {folder}: wait for it")
    if campaign.state == CampaignState.FAILED:
        raise SpecError(f"the campaign failed: {campaign.message}")
    candidates, _ = store.candidates(campaign_id)
    candidates.sort(key=lambda candidate: candidate.index)
    write_results(folder, campaign, candidates, laboratory.targets)
    store.close()
    if signal.SIGTERM in told and campaign.state != CampaignState.FINISHED:
        say("stopped before the end: --resume goes on")
        # Now that all is written, to whoever else has to hear of it.
        signal.raise_signal(signal.SIGTERM)
    return campaign


def _say_some(say: Callable[[str], None], line: str) -> None:
    if line:  # "" takes words off a page
        say(line)


def _run(
    store: Store,
    leases: Leases,
    lease: Lease,
    laboratory: Laboratory,
    report: Callable[[Sequence[Candidate]], None],
) -> list[int]:
    """Run the campaign of a lease until it ends, is told to stop, or a signal comes: which one."""
    with Pulse(leases, lease, None) as pulse, _stop_signals() as told:
        run_campaign(
            store,
            leases,
            lease,
            laboratory=lambda *_, **__: laboratory,
            should_stop=lambda: pulse.wanted != "run" or bool(told),
            report=report,
        )
    return told


def spec_to_run(spec: CampaignSpec, folder: Path, resume: bool) -> CampaignSpec:
    """Return the spec of the run that the folder holds, else the one that is asked for."""
    if not (folder / DATABASE).exists():
        _refuse_strange_results(folder)
        return spec
    if not resume:
        raise SpecError(
            f"{folder} holds a run already: go on with it by --resume, or choose another folder"
        )
    store = Store(folder / DATABASE)
    earlier = [campaign.spec for campaign in store.campaigns()]
    store.close()
    spec = spec.model_copy(update={"name": earlier[0].name}) if earlier else spec  # a label only
    if not earlier or spec == earlier[0]:
        return spec
    if spec == CampaignSpec.parse(name=spec.name):
        return earlier[0]
    name, was, now = next(
        (name, old, getattr(spec, name)) for name, old in earlier[0] if old != getattr(spec, name)
    )
    raise SpecError(
        f"the run in {folder} was made with {name} = {was!r}, got {now!r}: resume it with the same "
        "options or with none, or choose another folder",
        name,
    )


def _refuse_strange_results(folder: Path) -> None:
    """Raise `SpecError` where the files of a run would be written over somebody's."""
    strange = [name for name in (TABLE, SUMMARY, CIFS) if (folder / name).exists()]
    if strange:
        raise SpecError(
            f"{folder} holds {strange[0]} but no run: it would be written over; choose another "
            "folder"
        )


def _targets_to_find(spec: CampaignSpec, folder: Path) -> list[NamedStructure]:
    """Return the targets of the run that the folder holds, else those of the file that is named."""
    if not spec.targets:
        return []
    if not (folder / DATABASE).exists():
        return within_reach(spec, read_targets(spec.targets))
    store = Store(folder / DATABASE)
    known = store.campaigns()
    kept = store.targets(known[0].id) if known else []
    store.close()
    return kept or within_reach(spec, read_targets(spec.targets))


def claim(folder: Path) -> None:
    """Make the database's file, or raise `SpecError` where another process did since we looked.

    Both would go on with a run of their own in it, and the later one write over the results.
    """
    try:
        (folder / DATABASE).touch(exist_ok=False)
    except FileExistsError:
        raise SpecError(
            f"another process began a run in {folder} at the same time: wait for it, or choose "
            "another folder"
        ) from None


def _campaign_to_run(store: Store, spec: CampaignSpec, targets: Sequence[NamedStructure]) -> str:
    known = store.campaigns()
    if not known:
        return store.create(spec, targets)
    store.command(known[0].id, "resume")
    return known[0].id


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Keep the first Ctrl-C or SIGTERM in a list, so that what is done gets written.

    Only the main thread may: to a search in another one signals mean what they did.
    """
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, _frame: object) -> None:
        told.append(number)
        signal.signal(number, before[number])

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_results(
    folder: Path, campaign: Campaign, candidates: Sequence[Candidate], targets: TargetList
) -> None:
    """Write candidates.csv, summary.json and cifs/ from what the store holds."""
    same = twins(candidates)
    with replacing(folder / TABLE) as part, part.open("w", newline="", encoding="utf-8") as file:
        write_table(file, campaign, candidates, same)
    with replacing(folder / SUMMARY) as part:
        told = as_json(summary(campaign, candidates, targets, same))
        part.write_text(told + "\n", encoding="utf-8")
    _write_cifs(folder / CIFS, candidates)


def write_table(
    file: TextIO, campaign: Campaign, candidates: Iterable[Candidate], same: Mapping[str, str]
) -> None:
    """Write candidates.csv into a file that leaves line ends alone: one row for each crystal.

    ``same`` is what `explorer.twins.twins` says of the candidates.
    """
    table = csv.writer(file)
    table.writerow(COLUMNS)
    hull = campaign.provenance.get("hull", HULL_WORDS[POTENTIAL])
    for one in candidates:
        told = {"hull": hull, SAME: same.get(one.id, "")}
        table.writerow(csv_row(one, told | expected_of(one, campaign.spec.hull)))


def csv_row(candidate: Candidate, told: Mapping[str, Any]) -> list[str]:
    """Return a candidate as the cells of `COLUMNS`; what is not known is empty.

    ``told`` are the columns that the candidate alone does not know.
    """
    values = {name: getattr(candidate, name, None) for name in COLUMNS} | told
    values["targets"] = " ".join(candidate.targets)
    return [cell(value) for value in values.values()]


def summary(
    campaign: Campaign,
    candidates: Iterable[Candidate],
    targets: TargetList,
    same: Mapping[str, str],
) -> dict[str, Any]:
    """Return what came out of a campaign and what it was made with, ready for JSON.

    ``same`` names the earlier candidate that one equals once relaxed, see `explorer.twins.twins`.
    """
    candidates = list(candidates)
    placed = [item for item in candidates if item.energy_above_hull is not None]
    lowest = min(placed, key=lambda item: item.energy_above_hull, default=None)
    spec = campaign.spec
    on_hull, stable = prospects(candidates, spec.hull)
    _, drawn = prospects(candidates, spec.hull, DRAWN)
    distinct, _ = prospects([item for item in candidates if item.id not in same], spec.hull)
    held = audit(candidates, spec.asked())
    return {
        "campaign": campaign.id,
        "state": str(campaign.state),
        **campaign.counts,
        "seconds_sampling": round(campaign.seconds_sampling, 3),
        "seconds_relaxing": round(campaign.seconds_relaxing, 3),
        "seconds_total": round(campaign.updated - campaign.started, 3),
        "potential": campaign.provenance.get("potential", spec.potential),
        "generator": campaign.provenance.get("generator", spec.generator),
        "checkpoint": campaign.provenance.get("checkpoint", ""),
        "hull": campaign.provenance.get("hull", HULL_WORDS[POTENTIAL]),
        "reference_set": campaign.provenance.get("references", ""),
        "coverage": campaign.provenance.get("coverage", ""),
        "lowest_energy_above_hull": lowest.energy_above_hull if lowest else None,
        "lowest_candidate": lowest.id if lowest else None,
        "lowered_by_rattling": sum(bool(item.lowered_by_rattling) for item in candidates),
        "novel_on_hull": on_hull,
        "novel_on_hull_distinct": distinct,
        "novel_on_hull_expected_by_dft": None if stable is None else round(stable, 2),
        "novel_on_hull_expected_if_drawn": None if drawn is None else round(drawn, 2),
        **retrieval(candidates, targets),
        "seed": spec.seed,
        "constraints": spec.constraints().to_dict(),
        **({"asked_and_held": held.to_list()} if held else {}),
        "sampling": {"n": spec.n, **spec.drawing()},
        "relaxation": {
            "fmax": spec.fmax,
            "smax": SMAX,
            "emax": EMAX,
            "max_steps": spec.max_steps,
            "rattle": spec.rattle,
            "keep_symmetry": spec.keep_symmetry,
        },
    }


def retrieval(candidates: Iterable[Candidate], targets: TargetList) -> dict[str, Any]:
    """Return how many targets were found, and which, ready for JSON."""
    equalled = {name for candidate in candidates for name in candidate.targets}
    return {
        "targets": targets.words,
        "n_targets": len(targets.names),
        "found": sum(name in equalled for name in targets.names),
        "targets_found": [name for name in targets.names if name in equalled],
        "targets_missed": [name for name in targets.names if name not in equalled],
    }


def _write_cifs(folder: Path, candidates: Iterable[Candidate]) -> None:
    from explorer.crystals import NamedStructure, write_structures  # noqa: PLC0415

    relaxed = [
        NamedStructure(f"{item.id}-{item.formula}", item.relaxed)
        for item in candidates
        if item.state == State.RELAXED
    ]
    with replacing(folder, own=True) as part:
        part.mkdir()
        write_structures(part, relaxed)
