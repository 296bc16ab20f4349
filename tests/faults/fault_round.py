"""One round: a campaign is run while faults happen, and judged by an undisturbed one."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from fault_kinds import FAULTS, KILLS, PATIENCE
from fault_machine import Machine
from fault_witness import Witness, differences, outcome, sensitive

from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate

SPEC = {
    "elements": "Al-Cu",
    "subset": True,
    "max_atoms": 6,
    "fmax": 0.2,
    "max_steps": 40,
    "relax_known": True,
}
FINISH_SECONDS = 900.0
AT_WORK_SECONDS = 4.0
"""A fault comes up to so long after the campaign was taken; some come before that."""
COLD = 0.2
"""How often a fault does not wait until the runner is at work again."""
AFTER_RESULTS = 0.6
"""How often it waits for new results, so that many faults let a slow machine finish too."""
NEEDS_A_RUNNER = {"kill_runner", "kill_all", "terminate_runner", "start_another_runner"}


@dataclass
class Report:
    """What came out of some rounds.

    Attributes
    ----------
    rounds, crystals : int
        Campaigns run to their end, and crystals drawn in them.
    sensitive : int
        Those of these crystals of which only the draw is compared, see `fault_witness.sensitive`.
    faults : Counter
        How often each kind of fault happened.
    wrong : list of str
        Everything that must never be seen: lost, doubled or changed crystals, settled ones that
        were settled again, sums that do not add up, a damaged database.
    recovery : list of float
        Seconds from each end or freeze of a runner until a runner had the campaign again.
    work : list of float
        Seconds from each of these, unless another fault followed at once, until a runner had loaded
        the model and drew or relaxed again.
    web : list of float
        Seconds from each end of the web server until it was ready again.
    """

    rounds: int = 0
    crystals: int = 0
    sensitive: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    recovery: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    web: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Return what came out as plain numbers and words."""
        return {
            "rounds": self.rounds,
            "crystals": self.crystals,
            "sensitive": self.sensitive,
            "kills": sum(self.faults[kind] for kind in KILLS),
            "faults": dict(self.faults),
            "wrong": self.wrong,
            "recovery_seconds": _quantiles(self.recovery),
            "at_work_seconds": _quantiles(self.work),
            "web_seconds": _quantiles(self.web),
        }


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"n": 0}
    middle, late, last = np.percentile(seconds, (50, 95, 100)).round(2).tolist()
    return {"n": len(seconds), "median": middle, "p95": late, "max": last}


def undisturbed(home: Path, seed: int, crystals: int) -> dict[int, Candidate]:
    """Run a campaign to its end in peace; returns its candidates by draw index."""
    with Machine(home, web=False) as machine:
        campaign_id = machine.store.create(CampaignSpec.parse(**SPEC, n=crystals, seed=seed))
        _finish(Witness(machine.store, campaign_id))
        return outcome(machine.store, campaign_id)


def disturbed(
    machine: Machine,
    random: Random,
    expected: dict[int, Candidate],
    seed: int,
    kinds: Sequence[str],
    report: Report,
    faults: int,
    after_results: float = AFTER_RESULTS,
) -> None:
    """Run a campaign to its end while faults of these kinds happen, at most so many.

    `after_results` is how often a fault waits for new results.
    """
    spec = CampaignSpec.parse(**SPEC, n=len(expected), seed=seed)
    witness = Witness(machine.store, machine.store.create(spec))
    for _ in range(faults):
        _wait_for_a_moment(witness, random, report, after_results)
        if witness.look().state == CampaignState.FINISHED:
            break
        _happen(random.choice(kinds), machine, witness, random, report)
    _finish(witness)
    report.recovery += witness.takeovers
    report.rounds += 1
    report.crystals += len(expected)
    report.sensitive += sum(map(sensitive, expected.values()))
    report.wrong += witness.broken
    report.wrong += differences(outcome(machine.store, witness.campaign_id), expected)
    report.wrong += _damage(machine.home / "campaigns.db")


def _wait_for_a_moment(
    witness: Witness, random: Random, report: Report, after_results: float
) -> None:
    """Wait until a fault may come: at any time, soon after a takeover, or after some results."""
    stopped, witness.stopped = witness.stopped, None
    if random.random() < COLD:
        return
    campaign = witness.until(_at_work, PATIENCE, "a runner at work", over=True)
    if stopped is not None and _at_work(campaign):
        report.work.append(time.monotonic() - stopped)
    if random.random() < after_results:
        enough = _settled(campaign) + random.randint(1, 4)
        witness.until(lambda it: _settled(it) >= enough, PATIENCE, "results", over=True)
    witness.watch(random.uniform(0, AT_WORK_SECONDS))


def _settled(campaign: Campaign) -> int:
    return campaign.counts["relaxed"] + campaign.counts["failed"]


def _at_work(campaign: Campaign) -> bool:
    return campaign.state == CampaignState.RUNNING and not campaign.message


def _happen(kind: str, machine: Machine, witness: Witness, random: Random, report: Report) -> None:
    fence, began = witness.fence(), time.monotonic()
    FAULTS[kind](machine, witness, random)
    report.faults[kind] += 1
    if kind in NEEDS_A_RUNNER:
        witness.until(lambda _: witness.fence() > fence, PATIENCE, "a new runner", over=True)
        witness.taken_over(began)
    if kind in {"kill_web", "kill_all"} and machine.serves:
        witness.until(lambda _: machine.web_is_ready(), PATIENCE, "the web server")
        report.web.append(time.monotonic() - began)


def _finish(witness: Witness) -> None:
    witness.until(lambda it: it.state == CampaignState.FINISHED, FINISH_SECONDS, "the end")


def _damage(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found
