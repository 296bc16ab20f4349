"""What the page looks at: one campaign, its candidates so far, and the selected point."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import param

from explorer.campaign import Campaign, CampaignState
from explorer.candidate import Candidate, State
from explorer.marks import Mark
from explorer.store import Store, StoreError
from explorer.structure_files import NamedStructure
from explorer.ui.watched import Gathered, Snapshot, Watched, watch
from explorer.users import may_change


@dataclass(frozen=True)
class News:
    """What one look into the store brought.

    Attributes
    ----------
    campaign_id
        The campaign that was asked for.
    snapshot
        None when no campaign was asked for, or it could not be read.
    writes
        How many marks this page had written when the look began.
    error
        Why the store could not be read; "" when it could.
    """

    campaign_id: str
    snapshot: Snapshot | None = None
    writes: int = 0
    error: str = ""

    @property
    def campaign(self) -> Campaign | None:
        """The campaign, when it could be read."""
        return self.snapshot and self.snapshot.campaign

    @property
    def runner_alive(self) -> bool:
        """Whether anybody works, or nobody has to."""
        return self.snapshot is None or self.snapshot.runner_alive


class Workbench(param.Parameterized):
    """The state of one browser tab; views watch it and never each other."""

    campaign_id = param.String(default="", doc="in the page's address")
    versus = param.String(default="", doc="campaigns to compare, ids with commas; in the address")
    campaign = param.ClassSelector(class_=Campaign, allow_None=True)
    revision = param.Integer(default=0, doc="grows when candidates changed")
    summary = param.Integer(default=0, doc="grows when what plots of everything show changed")
    selected = param.String(default="", doc='"candidate:ID", "phase:ID" or empty')
    chosen = param.List(default=[], item_type=str, doc="ids of the candidates in the basket")
    compared = param.List(default=[], item_type=str, doc="keys of what stands side by side")
    marks = param.Dict(default={}, doc="stars, tags and notes by candidate id")
    starred_only = param.Boolean(default=False, doc="the table leaves out what has no star")
    threshold = param.Number(default=0.5, bounds=(0.0, None), doc="eV/atom; hides what is above")
    stage = param.Selector(default="relaxed", objects=["relaxed", "initial"])
    dark = param.Boolean(default=False)
    runner_alive = param.Boolean(default=True)
    error = param.String(default="", doc="why the store or the campaign cannot be read")

    def __init__(self, store: Store, **params: Any) -> None:
        self.store = store
        self.targets: tuple[NamedStructure, ...] = ()
        self._writes = 0
        self._wrote = -math.inf  # when this page changed the store last
        super().__init__(**params)
        self._turn_to(self.campaign_id)

    def _turn_to(self, campaign_id: str) -> None:
        self._watched: Watched | None = watch(self.store, campaign_id) if campaign_id else None
        self.gathered = self.summed_up = Gathered()
        self.targets = ()
        self._read = -math.inf  # when the reading that is shown began

    @property
    def candidates(self) -> Mapping[str, Candidate]:
        """The campaign's candidates so far, by id, without structures."""
        return self.gathered.by_id

    @param.depends("campaign_id", watch=True)
    def _forget(self) -> None:
        self._turn_to(self.campaign_id)
        self.param.update(
            campaign=None,
            selected="",
            chosen=[],
            compared=[],
            marks={},
            error="",
            revision=self.revision + 1,
            summary=self.summary + 1,
        )

    @param.depends("campaign_id", watch=True)
    def _stop_comparing(self) -> None:
        if self.campaign_id:
            self.versus = ""

    @param.depends("versus", watch=True)
    def _leave_campaign(self) -> None:
        if self.versus:
            self.campaign_id = ""

    def look(self, age: float = 0.0) -> News:
        """Read what is new; safe in a thread because it changes nothing.

        Parameters
        ----------
        age
            A reading that another page began so many seconds ago is good enough; one that this page
            has overtaken by a change of its own never is.
        """
        watched, writes = self._watched, self._writes
        if watched is None:
            return News("")
        try:
            snapshot = watched.look(self.store, max(time.monotonic() - age, self._wrote))
        except StoreError as error:
            return News(watched.id, error=str(error))
        return News(watched.id, snapshot, writes)

    def take(self, news: News) -> None:
        """Take over a look; one that belongs to another campaign is dropped."""
        if news.campaign_id != self.campaign_id:
            return
        if news.snapshot is None:
            self.error = news.error
            return
        snapshot = news.snapshot
        if snapshot.began < self._read:  # looks overtake one another
            return
        self._read = snapshot.began
        changed = snapshot.gathered is not self.gathered and snapshot.gathered.by_id
        summed_up = snapshot.summary is not self.summed_up and snapshot.summary.by_id
        self.gathered, self.summed_up = snapshot.gathered, snapshot.summary
        self.targets = snapshot.targets
        if news.writes == self._writes:  # else it was read before the last star was set
            self.marks = dict(snapshot.marks)
        self.param.update(
            campaign=snapshot.campaign,
            runner_alive=snapshot.runner_alive,
            error="",
            revision=self.revision + bool(changed),
            summary=self.summary + bool(summed_up),
        )

    def in_order(self) -> tuple[Candidate, ...]:
        """Return the candidates as they were drawn."""
        return self.gathered.in_order

    def placed(self) -> list[Candidate]:
        """Return the candidates with a distance from the hull."""
        return [c for c in self.in_order() if is_placed(c)]

    @property
    def selected_candidate(self) -> Candidate | None:
        """The selected candidate, without its structures."""
        kind, _, name = self.selected.partition(":")
        return self.candidates.get(name) if kind == "candidate" else None

    def select_candidate(self, candidate_id: str) -> None:
        """Select everywhere."""
        self.selected = f"candidate:{candidate_id}"

    @property
    def is_mine(self) -> bool:
        """Whether the page's user may command the campaign, and mark its candidates."""
        campaign = self.campaign
        return campaign is not None and may_change(self.store.user, campaign.person)

    def mark(self, candidate_id: str, **change: Any) -> str:
        """Star, tag or annotate a candidate; returns why that was refused, "" when it was not."""
        try:
            mark = self.store.mark(self.campaign_id, candidate_id, **change)
        except StoreError as error:
            return str(error)
        self._writes += 1
        self._wrote = time.monotonic()
        others = {name: kept for name, kept in self.marks.items() if name != candidate_id}
        self.marks = others | ({candidate_id: mark} if mark else {})
        return ""

    def is_starred(self, candidate_id: str) -> bool:
        """Whether somebody starred this candidate."""
        return self.marks.get(candidate_id, Mark()).starred

    def to_export(self) -> list[str]:
        """Return the ids of the chosen candidates that have a structure, else the selected one."""
        names = self.chosen or [self.selected.partition(":")[2]]
        known = [self.candidates[name] for name in names if name in self.candidates]
        return [candidate.id for candidate in known if candidate.formula]


def is_placed(candidate: Candidate) -> bool:
    """Whether a relaxed candidate has a finite distance from the hull."""
    energy = candidate.energy_above_hull
    return candidate.state == State.RELAXED and energy is not None and math.isfinite(energy)


def lowest(candidates: Iterable[Candidate], most: int) -> list[Candidate]:
    """Return the candidates nearest to the hull or furthest below it, the lowest first."""
    placed = [candidate for candidate in candidates if is_placed(candidate)]
    return sorted(placed, key=lambda candidate: candidate.energy_above_hull)[:most]


def may(campaign: Campaign | None) -> dict[str, bool]:
    """Return which of pause, resume and stop make sense now."""
    if campaign is None or campaign.deleted:
        return {"pause": False, "resume": False, "stop": False}
    open_ = campaign.state not in {CampaignState.FINISHED, CampaignState.FAILED}
    wanted = campaign.wanted
    return {
        "pause": campaign.active and wanted == "run",
        "resume": not (campaign.active and wanted == "run")
        and campaign.state != CampaignState.FINISHED,
        "stop": open_ and campaign.state != CampaignState.STOPPED and wanted != "stop",
    }


def with_structures(store: Store, campaign_id: str, ids: Iterable[str]) -> list[Candidate]:
    """Read candidates again, now with their structures."""
    return [store.candidate(campaign_id, name) for name in ids]
