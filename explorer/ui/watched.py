"""A campaign that pages watch: read once for all, and drawn once where they show the same."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from sqlalchemy import Engine

from explorer.campaign import Campaign
from explorer.candidate import Candidate
from explorer.marks import Mark
from explorer.store import Store
from explorer.structure_files import NamedStructure
from explorer.users import UnseenError, refuse_strangers

BATCH = 2000  # candidates read at once
READING = 0.5  # seconds after which a look shows what it has of a long campaign, before it reads on
PACE = 2.0  # seconds between two summaries of a campaign that runs: each costs a redrawing
REDRAWING = 4e-4
"""Seconds more for each candidate: a browser takes one second for ten thousand points of a hull."""
FRESH = 0.5
"""Seconds for which a reading of the store is good for the pages that only follow a campaign."""
KEPT = 24
"""Different drawings of the same candidates that are kept: people choose their own settings."""
DRAWERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="drawings")
"""Few, since the threads of a process take turns and the pages wait for theirs."""

Made = TypeVar("Made")


class Gathered:
    """The candidates of a campaign at one moment, which nobody changes, and what is made of them.

    What is made goes when no page shows these candidates any more.

    Attributes
    ----------
    by_id : Mapping[str, Candidate]
        Without structures.
    sequence : int
        The store's number of the last change among them.
    """

    def __init__(self, by_id: Mapping[str, Candidate] | None = None, sequence: int = 0) -> None:
        self.by_id: Mapping[str, Candidate] = by_id or {}
        self.sequence = sequence
        self._lock = threading.Lock()
        self._facts: OrderedDict[Hashable, Any] = OrderedDict()
        self._drawings: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    @cached_property
    def in_order(self) -> tuple[Candidate, ...]:
        """The candidates as they were drawn."""
        return tuple(sorted(self.by_id.values(), key=lambda candidate: candidate.index))

    def once(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` returned the first time that somebody wanted this; safe in a thread.

        Nobody may change it, and `what` has to name all that it depends on but these candidates.
        """
        with self._lock:
            if what in self._facts:
                self._facts.move_to_end(what)
                return self._facts[what]
        made = make()
        with self._lock:
            _keep(self._facts, what, made)
        return made

    async def drawn(self, what: Hashable, draw: Callable[[], Made]) -> Made:
        """Return the same for all pages as `once` does, made beside the event loop."""
        with self._lock:
            drawing = self._drawings.get(what)
            if drawing is None or (drawing.done() and drawing.exception()):
                drawing = DRAWERS.submit(draw)
            _keep(self._drawings, what, drawing)
        # One page that leaves must not take the drawing from the others.
        return await asyncio.shield(asyncio.wrap_future(drawing))


def _keep(made: OrderedDict[Hashable, Any], what: Hashable, value: Any) -> None:
    made[what] = value
    made.move_to_end(what)
    while len(made) > KEPT:
        made.popitem(last=False)


@dataclass(frozen=True)
class Snapshot:
    """What one reading of the store told of a campaign.

    Attributes
    ----------
    began
        When, of `time.monotonic`.
    campaign
        Whoever's it is, see `refuse_strangers`.
    gathered
        The same object as before when no candidate has changed.
    summary
        What plots of everything show: follows `gathered`, at a slower pace while candidates come.
    targets
        What the campaign was given to look for.
    marks
        Stars, tags and notes by candidate id.
    runner_alive
        Whether anybody works.
    """

    began: float
    campaign: Campaign
    gathered: Gathered
    summary: Gathered
    targets: tuple[NamedStructure, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)
    runner_alive: bool = True


class Watched:
    """One campaign for all pages of this process that watch it, see `watch`.

    Parameters
    ----------
    store
        That of no user: who may look is asked at each look.
    """

    def __init__(self, store: Store, campaign_id: str) -> None:
        self.id = campaign_id
        self._store = store
        self._reading = threading.Lock()
        self._summed_up = -math.inf
        self._gathered = self._summary = Gathered()
        self._snapshot: Snapshot | None = None

    def look(self, store: Store, since: float) -> Snapshot:
        """Return a snapshot whose reading began at `since`, of `time.monotonic`, or later.

        Safe in a thread. Pages that ask at the same time share one reading.

        Raises
        ------
        StoreError
            For an unknown campaign, and for one that the user of `store` may not look at.
        """
        with self._reading:
            if self._snapshot is None or self._snapshot.began < since:
                try:
                    self._snapshot = self._read()
                except UnseenError:
                    raise UnseenError(self.id, store.user) from None
            snapshot = self._snapshot
        refuse_strangers(self.id, store.user, snapshot.campaign.person, snapshot.campaign.shared)
        return snapshot

    def _read(self) -> Snapshot:
        store, before, began = self._store, self._gathered, time.monotonic()
        # The candidates first: a campaign read later never shows fewer than its own counts.
        news, sequence = self._news_after(before.sequence, began + READING)
        campaign = store.campaign(self.id)
        if news:
            self._gathered = Gathered({**before.by_id, **news}, sequence)
        if self._is_time(campaign):
            self._summary, self._summed_up = self._gathered, time.monotonic()
        targets = self._snapshot.targets if self._snapshot else ()
        if campaign.spec.targets and not targets:
            targets = tuple(store.targets(self.id))
        marks = store.marks(self.id)
        alive = not campaign.active or store.runner_alive()
        return Snapshot(began, campaign, self._gathered, self._summary, targets, marks, alive)

    def _news_after(self, sequence: int, until: float) -> tuple[dict[str, Candidate], int]:
        """Read what changed after a sequence number, batch by batch, while there is time."""
        news: dict[str, Candidate] = {}
        while True:
            changed, sequence = self._store.candidates(
                self.id, sequence, structures=False, limit=BATCH
            )
            news.update((candidate.id, candidate) for candidate in changed)
            if len(changed) < BATCH or time.monotonic() >= until:
                return news, sequence

    def _is_time(self, campaign: Campaign) -> bool:
        """Whether to sum up now: while candidates keep coming only now and then, else at once."""
        more = campaign.active or self._gathered.sequence < campaign.sequence
        pace = PACE + REDRAWING * len(self._summary.by_id)
        return not more or time.monotonic() - self._summed_up >= pace


_WATCHED: WeakKeyDictionary[Engine, WeakValueDictionary[str, Watched]] = WeakKeyDictionary()


def watch(store: Store, campaign_id: str) -> Watched:
    """Return what all pages that watch a campaign share; it goes with the last of them."""
    here = _WATCHED.setdefault(store.engine, WeakValueDictionary())
    watched = here.get(campaign_id)
    if watched is None:
        watched = here[campaign_id] = Watched(store.of(None), campaign_id)
    return watched
