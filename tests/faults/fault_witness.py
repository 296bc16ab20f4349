"""Whoever watches a campaign while everything around it breaks, and compares what came out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from sqlalchemy import select

from explorer.campaign import Campaign, CampaignState
from explorer.candidate import Candidate, State
from explorer.rows import verdict
from explorer.schema import campaigns
from explorer.store import Store

PARTS = ("rejected", "duplicate", "known", "waiting", "relaxed", "failed")
LOOK_SECONDS = 0.05
TOLERANCE = 1e-3
"""eV/atom by which an energy may differ: crystals that share a batch are summed in its order."""
STEADY_STEPS = 20
"""Of 59 relaxations with one worker and with two, those of up to 18 steps agreed within 5e-5
eV/atom; the three of 27 and more differed by up to 0.05."""


class WaitedInVainError(RuntimeError):
    """What a round needs to go on did not happen in time."""


class Witness:
    """Follows a campaign by its sequence numbers, as a page does.

    Attributes
    ----------
    broken : list of str
        What must never be seen, in words: a candidate that vanished, one that was settled twice,
        counts that do not add up.
    takeovers : list of float
        Seconds from each end or freeze of a runner until another had the campaign.
    stopped : float or None
        When the last of them began, by `time.monotonic`; None when work went on since.
    """

    def __init__(self, store: Store, campaign_id: str) -> None:
        self.store, self.campaign_id = store, campaign_id
        self.broken: list[str] = []
        self.takeovers: list[float] = []
        self.stopped: float | None = None
        self._seen = 0
        self._last: dict[int, tuple[str, str]] = {}

    def look(self) -> Campaign:
        """Read what is new, and compare it with what was there before."""
        campaign = self.store.campaign(self.campaign_id)
        changed, self._seen = self.store.candidates(
            self.campaign_id, since=self._seen, structures=False
        )
        for candidate in changed:
            self._follow(candidate)
        counts = campaign.counts
        if sum(counts[part] for part in PARTS) != counts["drawn"]:
            self.broken.append(f"the counts do not add up: {counts}")
        if counts["drawn"] > len(self._last):
            self.broken.append(f"drawn {counts['drawn']}, but {len(self._last)} were seen")
        return campaign

    def _follow(self, candidate: Candidate) -> None:
        state = str(candidate.state)
        name, before = self._last.get(candidate.index, (candidate.id, State.WAITING))
        if before != State.WAITING:
            self.broken.append(f"{name} was settled twice: {before}, then {state}")
        if name != candidate.id:
            self.broken.append(f"crystal {candidate.index} was {name}, then {candidate.id}")
        self._last[candidate.index] = (candidate.id, state)

    def fence(self) -> int:
        """Return how often the campaign has been taken by a runner."""
        query = select(campaigns.c.fence).where(campaigns.c.id == self.campaign_id)
        with self.store.engine.begin() as connection:
            return connection.scalar(query)

    def taken_over(self, since: float) -> None:
        """Note that the campaign, left alone since then (`time.monotonic`), has a runner again."""
        self.takeovers.append(time.monotonic() - since)
        self.stopped = since

    def until(
        self,
        condition: Callable[[Campaign], bool],
        seconds: float,
        what: str,
        *,
        over: bool = False,
    ) -> Campaign:
        """Look on until something holds of the campaign, or (`over`) it is finished.

        Raises
        ------
        WaitedInVainError
            When it does not within so many seconds, or when the campaign fails as a whole.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            campaign = self.look()
            if condition(campaign) or (over and campaign.state == CampaignState.FINISHED):
                return campaign
            if campaign.state == CampaignState.FAILED:
                raise WaitedInVainError(f"the campaign failed: {campaign.message}")
            time.sleep(LOOK_SECONDS)
        raise WaitedInVainError(f"{what} did not come within {seconds:g} s")

    def watch(self, seconds: float) -> None:
        """Look on for some time, or until the campaign is over."""
        end = time.monotonic() + seconds
        while self.look().active and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)


def outcome(store: Store, campaign_id: str) -> dict[int, Candidate]:
    """Return the candidates of a campaign by their draw index."""
    return {item.index: item for item in store.candidates(campaign_id)[0]}


def differences(found: dict[int, Candidate], expected: dict[int, Candidate]) -> list[str]:
    """Say how a campaign ended otherwise than one of the same seed that nothing disturbed.

    Of what is `sensitive` only the draw is compared.
    """
    lost = [f"crystal {index} is lost" for index in expected.keys() - found.keys()]
    extra = [f"crystal {index} was never asked for" for index in found.keys() - expected.keys()]
    both = sorted(found.keys() & expected.keys())
    changed = [_difference(found[index], expected[index]) for index in both]
    return lost + extra + [text for text in changed if text]


def sensitive(candidate: Candidate) -> bool:
    """Whether a relaxation was so long that its end hangs on the crystals that shared its batches.

    Their company decides the last digits of energies in single precision, and in a relaxation that
    begins far from any minimum these grow.
    """
    return (candidate.steps or 0) > STEADY_STEPS


def _difference(found: Candidate, expected: Candidate) -> str:
    drawn = _drawn_otherwise(found, expected)
    return drawn or ("" if sensitive(expected) else _ended_otherwise(found, expected))


def _drawn_otherwise(found: Candidate, expected: Candidate) -> str:
    return _unequal(found, expected, ("id", "crystal", "formula"))


def _unequal(found: Candidate, expected: Candidate, names: Collection[str]) -> str:
    for name in names:
        here, there = getattr(found, name), getattr(expected, name)
        if here != there:
            return f"{found.id}: {name} is {here}, expected {there} ({found.reason})"
    return ""


def _ended_otherwise(found: Candidate, expected: Candidate) -> str:
    unequal = _unequal(found, expected, ("state", "matched", "novel", "targets"))
    if unequal:
        return unequal
    if verdict(found.reason) != verdict(expected.reason):
        return f"{found.id}: {found.reason!r}, expected {expected.reason!r}"
    for name in ("energy_per_atom", "energy_above_hull"):
        here, there = getattr(found, name), getattr(expected, name)
        if (here is None) != (there is None) or (here and abs(here - there) > TOLERANCE):
            return f"{found.id}: {name} is {here}, expected {there}"
    return ""
