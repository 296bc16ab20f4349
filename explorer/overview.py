"""All campaigns in a few numbers: what health checks and Prometheus ask for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, func, select

from explorer.campaign import CampaignState
from explorer.candidate import State
from explorer.lease import alive
from explorer.schema import campaigns, candidates, runners


@dataclass(frozen=True)
class Overview:
    """The state of a store at one moment.

    Attributes
    ----------
    campaigns, candidates : mapping of str to int
        How many are in each state; deleted campaigns count as "deleted" alone.
    runners : int
        Runners that live.
    seconds_sampling, seconds_relaxing : float
        Time spent by all runners on all campaigns so far.
    seconds_waiting : float
        For how long the campaign that waits longest for a runner has waited; 0.0 when none does.
    """

    campaigns: Mapping[str, int]
    candidates: Mapping[str, int]
    runners: int
    seconds_sampling: float
    seconds_relaxing: float
    seconds_waiting: float


def read_overview(engine: Engine) -> Overview:
    """Count campaigns, candidates and runners of a store."""
    table = campaigns.c
    columns = (table.state, table.deleted, table.updated, table.owner, table.heartbeat)
    with engine.begin() as connection:
        rows = connection.execute(
            select(*columns, table.seconds_sampling, table.seconds_relaxing)
        ).all()
        by_state = select(candidates.c.state, func.count()).group_by(candidates.c.state)
        counted = {str(state): 0 for state in State}
        counted |= {row[0]: row[1] for row in connection.execute(by_state)}
        living = count_runners(connection)
    states = {str(state): 0 for state in CampaignState} | {"deleted": 0}
    for row in rows:
        states["deleted" if row.deleted else row.state] += 1
    return Overview(
        campaigns=states,
        candidates=counted,
        runners=living,
        seconds_sampling=sum(row.seconds_sampling for row in rows),
        seconds_relaxing=sum(row.seconds_relaxing for row in rows),
        seconds_waiting=max((_waiting(row) for row in rows), default=0.0),
    )


def count_runners(connection: Connection) -> int:
    """Return how many runners live."""
    return sum(alive(row.owner, row.heartbeat) for row in connection.execute(select(runners)))


def _waiting(row: Row) -> float:
    """For how long a campaign has wanted a runner and had none, in seconds."""
    orphan = row.state == CampaignState.RUNNING and not alive(row.owner, row.heartbeat)
    waits = row.state == CampaignState.QUEUED or orphan
    return max(time.time() - row.updated, 0.0) if waits and not row.deleted else 0.0
