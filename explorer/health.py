"""What machines ask a server of the page: does it live, can it work, how much is done.

`panel serve app.py --plugins explorer.health` adds `/health`, `/ready` and `/metrics`. They open no
session and run nothing of the page; they tell counts and seconds, no names.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import RequestHandler

from explorer.logs import log_event, log_to_stderr
from explorer.overview import Overview, count_runners, read_overview
from explorer.store import Store, StoreError

PATIENCE_SECONDS = 2.0
"""A store that does not answer within this is away."""
FRESH_SECONDS = {"ready": 1.0, "metrics": 5.0}
"""For how long an answer is good: however many ask, the store is asked no more often."""

Answer = TypeVar("Answer")


class Look(Generic[Answer]):
    """A question to the store, asked once for all who want to know at the same time.

    Parameters
    ----------
    read : callable
        Reads the answer from a database.
    fresh_seconds : float
        For how long an answer is good.
    """

    def __init__(self, read: Callable[[Engine], Answer], fresh_seconds: float) -> None:
        self._read_engine = read
        self._fresh_seconds = fresh_seconds
        self._store: Store | None = None
        self._looking: asyncio.Future[Answer] | None = None
        self._began = float("-inf")

    async def answer(self) -> Answer | None:
        """Return what the store says, None when it does not answer in time or is out of order."""
        stale = time.monotonic() - self._began > self._fresh_seconds
        if self._looking is None or (self._looking.done() and stale):
            self._began = time.monotonic()
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._read))
        try:
            return await asyncio.wait_for(asyncio.shield(self._looking), PATIENCE_SECONDS)
        except (TimeoutError, SQLAlchemyError, StoreError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            log_event("the store is away", logging.WARNING, reason=reason)
            return None

    def _read(self) -> Answer:
        if self._store is None:
            log_to_stderr()
            self._store = Store()
        return self._read_engine(self._store.engine)


def living_runners(engine: Engine) -> int:
    """Return how many runners of a store live."""
    with engine.begin() as connection:
        return count_runners(connection)


class Health(RequestHandler):
    """Says that the server answers; nothing else."""

    def get(self) -> None:
        """Answer."""
        self.write({"alive": True})


class Ready(RequestHandler):
    """Says whether the store answers, and how many runners live: 200, or 503 without a store."""

    def initialize(self, look: Look[int]) -> None:
        """Take the question."""
        self._look = look

    async def get(self) -> None:
        """Answer; a server without a runner is ready, since it starts one when asked to work."""
        living = await self._look.answer()
        if living is None:
            self.set_status(503)
        self.write({"ready": living is not None, "runners": living})


class Metrics(RequestHandler):
    """Tells the numbers of all campaigns in the text format of Prometheus."""

    def initialize(self, look: Look[Overview]) -> None:
        """Take the question."""
        self._look = look

    async def get(self) -> None:
        """Answer; without a store only what is known of the server's process."""
        overview = await self._look.answer()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Numbers(overview))
        self.set_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
        self.write(generate_latest(registry))


class _Numbers(Collector):
    """An overview as Prometheus' metrics."""

    def __init__(self, overview: Overview | None) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        """Yield each of the metrics."""
        yield GaugeMetricFamily(
            "hullscape_store_up", "Whether the store answers.", float(self._overview is not None)
        )
        if self._overview is not None:
            yield from _metrics(self._overview)


def _metrics(overview: Overview) -> Iterator[Metric]:
    yield _by_state("hullscape_campaigns", "Campaigns in each state.", overview.campaigns)
    yield _by_state("hullscape_candidates", "Candidates in each state.", overview.candidates)
    yield GaugeMetricFamily("hullscape_runners", "Runners that live.", overview.runners)
    yield GaugeMetricFamily(
        "hullscape_campaign_waiting_seconds",
        "How long the campaign that waits longest for a runner has waited.",
        overview.seconds_waiting,
    )
    yield CounterMetricFamily(
        "hullscape_sampling_seconds", "Time spent drawing.", overview.seconds_sampling
    )
    yield CounterMetricFamily(
        "hullscape_relaxing_seconds", "Time spent relaxing.", overview.seconds_relaxing
    )


def _by_state(name: str, words: str, counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=["state"])
    for state, count in counts.items():
        family.add_metric([state], count)
    return family


ROUTES = [
    (r"/health", Health, {}),
    (r"/ready", Ready, {"look": Look(living_runners, FRESH_SECONDS["ready"])}),
    (r"/metrics", Metrics, {"look": Look(read_overview, FRESH_SECONDS["metrics"])}),
]
