"""The plot of the whole program: draw, screen, rank, relax, place.

Every step that is done is committed, and what is committed is all there is to know: crystal i
depends on (seed, i) alone, so after a crash drawing goes on from the number of crystals stored,
and those that were waiting go on from where their relaxation was last heard of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging import WARNING
from math import isnan

from pymatgen.core import Structure
from sqlalchemy.exc import OperationalError

from explorer.baselines import Drawn
from explorer.campaign import CampaignSpec
from explorer.candidate import Candidate, Relaxation, State
from explorer.laboratory import BLOCK, Laboratory
from explorer.lease import Lease, LeaseLostError
from explorer.logs import log_event
from explorer.store import Store
from explorer.trace import Trace


def discover(
    store: Store,
    lease: Lease,
    spec: CampaignSpec,
    laboratory: Laboratory,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    report: Callable[[Sequence[Candidate]], None] = lambda _: None,
) -> bool:
    """Work on a campaign until it is done or has to stop.

    Parameters
    ----------
    store, lease : Store, Lease
        Where results go as soon as they exist, and the right to write there.
    spec, laboratory : CampaignSpec, Laboratory
        What to do and with which instruments.
    should_stop : callable
        Asked several times a second, also in the middle of a relaxation.
    report : callable
        Hears of the candidates that were just committed.

    Returns
    -------
    bool
        True when every crystal is drawn and has its verdict, False when it had to stop.

    Raises
    ------
    explorer.lease.LeaseLostError
        When another runner has taken the campaign; what it holds uncommitted is dropped.
    """
    return _Discovery(store, lease, spec, laboratory, should_stop, report).run()


@dataclass
class _Discovery:
    """One run of `discover`: the candidates in flight, and the clock."""

    store: Store
    lease: Lease
    spec: CampaignSpec
    laboratory: Laboratory
    should_stop: Callable[[], bool]
    report: Callable[[Sequence[Candidate]], None]
    stopped: bool = False

    def run(self) -> bool:
        self.in_flight: dict[int, Candidate] = {}
        self.relaxing_since = time.perf_counter()
        relaxer = self.laboratory.relaxer
        self.begun: dict[int, bytes] = {}
        relaxed = relaxer.relax(
            self.queue(), should_stop=self.stopping, begun=self.begun, save=self.save
        )
        for index, relaxation in relaxed:
            self.place(self.in_flight.pop(index), relaxation)
        if self.stopped:
            return False
        if self.in_flight:
            raise RuntimeError(f"{len(self.in_flight)} structures came back without a verdict")
        return True

    def stopping(self) -> bool:
        """Whether to stop; once it was so it stays so, even when a resume follows at once."""
        self.stopped = self.stopped or self.should_stop()
        return self.stopped

    def queue(self) -> Iterator[tuple[int, Structure]]:
        """Yield what waits for relaxation, drawing the next block when nothing does."""
        earlier, _ = self.store.candidates(self.lease.campaign_id)
        earlier.sort(key=lambda candidate: candidate.index)
        self.laboratory.screen.remember(earlier)
        self.begun.update(self.store.underway(self.lease.campaign_id))
        yield from self.hand_over([item for item in earlier if item.state == State.WAITING])
        drawn = len(earlier)
        while drawn < self.spec.n and not self.stopping():
            block = self.draw(drawn)
            if not block:  # it had to stop, or the generator has no more
                return
            drawn += len(block)
            waiting = [item for item in block if item.state == State.WAITING]
            # a search already draws what is likely first
            searched = self.spec.search != "independent"
            yield from self.hand_over(waiting if searched else rank(waiting))

    def hand_over(self, waiting: Sequence[Candidate]) -> Iterator[tuple[int, Structure]]:
        for candidate in waiting:
            self.in_flight[candidate.index] = candidate
            yield candidate.index, candidate.initial

    def draw(self, start: int) -> list[Candidate] | None:
        """Draw, screen and commit the block that holds `start`; None when it had to stop.

        Blocks begin at multiples of their size, so that an interrupted campaign draws in the same
        batches as an undisturbed one.
        """
        began = time.perf_counter()
        stop = min(start - start % BLOCK + BLOCK, self.spec.n)
        draws = self.sampled(start, stop - start)
        if draws is None:
            return None
        block = self.laboratory.appraise([self.laboratory.screen.judge(draw) for draw in draws])
        sampled = time.perf_counter()
        self.commit(block, seconds_sampling=sampled - began)
        self.relaxing_since += time.perf_counter() - began
        return block

    def sampled(self, start: int, count: int) -> list[Drawn] | None:
        draws = []
        for draw in self.laboratory.draws(self.spec, start, count):
            if self.stopping():
                return None
            draws.append(draw)
        return draws

    def place(self, candidate: Candidate, relaxation: Relaxation) -> None:
        """Put a relaxed candidate on the hull and commit it."""
        placed = self.laboratory.place(candidate.with_relaxation(relaxation))
        now = time.perf_counter()
        traces = {placed.id: relaxation.trace} if relaxation.trace else {}
        self.commit([placed], traces, seconds_relaxing=max(now - self.relaxing_since, 0.0))
        self.relaxing_since = now

    def save(self, underway: dict[int, bytes]) -> None:
        """Write down where relaxations are; what cannot be written now would only be redone."""
        try:
            self.store.put_underway(self.lease, underway)
        except (LeaseLostError, OperationalError) as error:
            log_event("not saved", WARNING, campaign=self.lease.campaign_id, reason=error)

    def commit(
        self, changed: list[Candidate], traces: Mapping[str, Trace] | None = None, **seconds: float
    ) -> None:
        self.store.put_candidates(self.lease, changed, traces=traces, **seconds)
        for candidate in changed:
            log_event(
                str(candidate.state),
                campaign=self.lease.campaign_id,
                candidate=candidate.id,
                formula=candidate.formula,
                above_hull=candidate.energy_above_hull,
                reason=candidate.reason,
            )
        self.report(changed)


def rank(waiting: Sequence[Candidate]) -> list[Candidate]:
    """Order a block so that what is likeliest to lie near the hull is relaxed first.

    By the stability score where the model has one, else by the log-likelihood per atom.
    """

    def score(candidate: Candidate) -> float:
        if any(one.stability is None for one in waiting):
            return candidate.log_likelihood / max(len(candidate.initial), 1)
        return candidate.stability

    if any(isnan(score(candidate)) for candidate in waiting):
        return list(waiting)  # without a model the order of drawing is all there is
    return sorted(waiting, key=score, reverse=True)
