"""Candidates of a stored campaign on their way out: for the page and for the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from explorer.audit import audit
from explorer.campaign import Campaign, SpecError
from explorer.candidate import Candidate
from explorer.database import refuse_missing
from explorer.export import FORMATS, REPORT, chosen_formats, export_candidates
from explorer.headless import DATABASE
from explorer.store import Store, StoreError
from explorer.targets import given_targets
from explorer.twins import twins

AT_ONCE = 500
"""Candidates that are read with their structures at a time."""


def export_campaign(
    name: str,
    output: Path,
    url: str | None,
    chosen: Sequence[str] = (),
    max_above_hull: float | None = None,
    formats: Sequence[str] = (),
    starred: bool = False,
) -> dict[str, Any]:
    """Write candidates of a campaign; all, or those named, starred or near the hull.

    Parameters
    ----------
    name
        Folder of a run, or id of a campaign in the database.
    url
        Of that database; None for the usual one.
    formats
        As `explorer.export.chosen_formats` reads them.

    Raises
    ------
    SpecError, StoreError
        For an unknown campaign, candidate or format.
    """
    try:
        wanted = chosen_formats(formats)
    except ValueError as error:
        raise SpecError(str(error), "format") from error
    store, campaign = open_campaign(name, url)
    kept = _kept(store, campaign, chosen, max_above_hull, starred)
    written = export_chosen(store, campaign, kept, output, wanted)
    return {
        "campaign": campaign.id,
        "exported": len(kept),
        "formats": list(wanted),
        "output": str(written),
    }


def open_campaign(name: str, url: str | None) -> tuple[Store, Campaign]:
    """Open a campaign by the folder of its run, or by its id in a database.

    Raises
    ------
    StoreError
        When there is no such campaign.
    """
    folder = Path(name)
    if (folder / DATABASE).is_file():
        store = Store(folder / DATABASE)
        return store, _only_one(store, folder)
    refuse_missing(url)
    store = Store(url)
    try:
        return store, store.campaign(name)
    except StoreError as error:
        if not folder.exists():
            raise
        raise StoreError(
            f"{name} holds no run, and there is no campaign of that id: expected a folder of "
            "'hullscape run', or an id that 'hullscape list' tells"
        ) from error


def _only_one(store: Store, folder: Path) -> Campaign:
    """Return the campaign of a run; one that was killed as it began has left none."""
    known = store.campaigns()
    if not known:
        raise StoreError(f"the run in {folder} was stopped before it began: go on with --resume")
    return known[0]


def _kept(
    store: Store,
    campaign: Campaign,
    chosen: Sequence[str],
    max_above_hull: float | None,
    starred: bool,
) -> list[Candidate]:
    candidates, _ = store.candidates(campaign.id)
    unknown = sorted(set(chosen) - {item.id for item in candidates})
    if unknown:
        raise SpecError(f"campaign {campaign.id} has no candidate {unknown[0]}")
    kept = [item for item in candidates if not chosen or item.id in chosen]
    if max_above_hull is not None:
        kept = [item for item in kept if _within(item, max_above_hull)]
    if starred:
        marks = store.marks(campaign.id)
        kept = [item for item in kept if item.id in marks and marks[item.id].starred]
    return sorted(kept, key=lambda item: item.index)


def _within(candidate: Candidate, limit: float) -> bool:
    above = candidate.energy_above_hull
    return above is not None and above <= limit


def export_chosen(
    store: Store,
    campaign: Campaign,
    candidates: Iterable[Candidate],
    destination: Path,
    formats: Sequence[str],
) -> Path:
    """Write these candidates, with what people said of them; raises `ExportError`."""
    more = {"report.html": report_of(store, campaign)} if REPORT in formats else {}
    return export_candidates(
        candidates,
        campaign.origin,
        destination,
        formats=[name for name in formats if name in FORMATS],
        marks=store.marks(campaign.id),
        more=more,
        asked=campaign.spec.asked(),
        hull=campaign.spec.hull,
    )


def report_of(store: Store, campaign: Campaign) -> str:
    """Return the HTML report of a whole campaign."""
    from explorer.figures.known import known_of  # noqa: PLC0415 - plotly takes its time
    from explorer.figures.report import Contents, campaign_report  # noqa: PLC0415

    spec = campaign.spec
    known = known_of(spec)
    candidates, _ = store.candidates(campaign.id, structures=False)
    candidates.sort(key=lambda item: item.index)
    targets = given_targets(spec, store.targets(campaign.id)) if spec.targets else known.targets
    marks = store.marks(campaign.id)
    held = audit(every_structure(store, campaign.id), spec.asked())
    same = twins(every_structure(store, campaign.id))
    told = Contents(campaign, candidates, known, targets.names, marks, held, same)
    return campaign_report(told)


def every_structure(store: Store, campaign_id: str) -> Iterator[Candidate]:
    """Yield all candidates with their structures, a few hundred of them in memory at once."""
    since = 0
    while True:
        some, since = store.candidates(campaign_id, since, limit=AT_ONCE)
        yield from some
        if len(some) < AT_ONCE:
            return
