"""Leases: who may write to a campaign, and until when. Only runners use this.

A lease is a heartbeat and a fencing number. Every write confirms the number inside its own
transaction, so a runner that froze and wakes up after another has taken over is refused, whatever
it believes. Nothing here has to be cleared by hand after a crash.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import psutil
from sqlalchemy import Connection, Engine, Update, bindparam, inspect, or_, select, update

from explorer.campaign import CampaignState
from explorer.schema import campaigns, runners

HEARTBEAT_SECONDS = 2.0
HEARTBEAT_EXPIRY = 8.0  # a holder silent for so long may be replaced
LOADING = "loading the model and the potential"


class LeaseLostError(RuntimeError):
    """Another runner has taken what this one held: stop, and write nothing more."""


@dataclass(frozen=True)
class Lease:
    """The right to write to a campaign, as long as its fencing number is the newest."""

    campaign_id: str
    owner: str
    fence: int


def new_owner() -> str:
    """Name a holder in this process so that it can be told from any other, past ones included."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def alive(owner: str, heartbeat: float) -> bool:
    """Whether a holder still lives: heard of lately, and not known to be dead.

    A heartbeat from the future is no sign of life either: the clock has been set back.
    """
    if not owner or abs(time.time() - heartbeat) > HEARTBEAT_EXPIRY:
        return False
    host, pid, _ = owner.rsplit("/", 2)
    if host != socket.gethostname():
        return True
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def last_heartbeats(connection: Connection) -> dict[str, float]:
    """Return the last sign of life of every holder of a slot or a campaign, by its name."""
    if not inspect(connection).has_table(runners.name):  # a database that is being made
        return {}
    heard: dict[str, float] = {}
    for table in (runners, campaigns):
        query = select(table.c.owner, table.c.heartbeat).where(table.c.owner != "")
        for owner, heartbeat in connection.execute(query).all():
            heard[owner] = max(heartbeat, heard.get(owner, 0.0))
    return heard


def confirm(
    connection: Connection, lease: Lease, more: Mapping[str, float] | None = None, **change: Any
) -> int:
    """Make a change to the leased campaign and return its sequence, or raise `LeaseLostError`.

    Comes first in a transaction: it also locks the campaign's row, so that nobody takes the
    lease between this check and the commit. `more` is added to what stands in the row.
    """
    more = more or {}
    change["heartbeat"] = time.time()
    values = {f"{name}_now": value for name, value in change.items()}
    values |= {f"{name}_more": value for name, value in more.items()}
    mine = {"mine": lease.campaign_id, "since": lease.fence}
    sequence = connection.scalar(_confirmation(tuple(change), tuple(more)), values | mine)
    if sequence is None:
        raise LeaseLostError(f"campaign {lease.campaign_id} was taken over by another runner")
    return sequence


@cache
def _confirmation(changed: tuple[str, ...], grown: tuple[str, ...]) -> Update:
    """Make the statement of `confirm` once: that takes longer than to carry it out."""
    table = campaigns.c
    values = {name: bindparam(f"{name}_now", type_=table[name].type) for name in changed}
    for name in grown:
        values[name] = table[name] + bindparam(f"{name}_more", type_=table[name].type)
    mine = (table.id == bindparam("mine")) & (table.fence == bindparam("since"))
    return update(campaigns).where(mine).values(values).returning(table.sequence)


class Leases:
    """Campaigns for a runner to take, and the slot that makes it the only runner of a machine.

    Parameters
    ----------
    engine : Engine
        Of a `explorer.store.Store`.
    owner : str
        From `new_owner`.

    Attributes
    ----------
    left_alone : set of str
        Campaigns that are not taken: for somebody else.
    """

    def __init__(self, engine: Engine, owner: str) -> None:
        self.owner = owner
        self.left_alone: set[str] = set()
        self._reader = engine
        self._writer = engine.execution_options(writes=True)

    def take(self, campaign_id: str | None = None) -> Lease | None:
        """Take the campaign that has waited longest (or the one named); None when none is free."""
        with self._writer.begin() as connection:
            for row in connection.execute(_open_campaigns(campaign_id)).all():
                held = row.state == CampaignState.RUNNING and row.owner != self.owner
                if row.id in self.left_alone or (held and alive(row.owner, row.heartbeat)):
                    continue
                lease = self._take(connection, row)
                if lease:
                    return lease
        return None

    def _take(self, connection: Connection, row: Any) -> Lease | None:
        now = time.time()
        unchanged = (campaigns.c.id == row.id) & (campaigns.c.fence == row.fence)
        change = {
            "state": CampaignState.RUNNING,
            "owner": self.owner,
            "fence": row.fence + 1,
            "heartbeat": now,
            "updated": now,
            "started": row.started or now,
            "message": LOADING,
        }
        done = connection.execute(update(campaigns).where(unchanged).values(**change))
        return Lease(row.id, self.owner, row.fence + 1) if done.rowcount == 1 else None

    def beat(self, lease: Lease) -> None:
        """Give a sign of life for a campaign.

        Raises
        ------
        LeaseLostError
            When another runner has taken the campaign.
        """
        with self._writer.begin() as connection:
            confirm(connection, lease)

    def wanted(self, lease: Lease) -> str:
        """Return the campaign's last command: "run", "pause" or "stop", which a deletion is too."""
        table = campaigns.c
        query = select(table.wanted, table.deleted).where(table.id == lease.campaign_id)
        with self._reader.begin() as connection:
            row = connection.execute(query).one()
        return "stop" if row.deleted else row.wanted

    def somebody_waits(self, lease: Lease) -> bool:
        """Whether another campaign wants a runner and has none."""
        with self._reader.begin() as connection:
            rows = connection.execute(_open_campaigns(None)).all()
        others = (row for row in rows if row.id != lease.campaign_id)
        return any(not alive(row.owner, row.heartbeat) for row in others)

    def release(
        self, lease: Lease, outcome: CampaignState | None = None, message: str = ""
    ) -> CampaignState:
        """Give a campaign back, finished, failed, or (None) as its last command wants it."""
        at_rest = {"pause": CampaignState.PAUSED, "stop": CampaignState.STOPPED}
        with self._writer.begin() as connection:
            confirm(connection, lease)
            wanted = connection.scalar(
                select(campaigns.c.wanted).where(campaigns.c.id == lease.campaign_id)
            )
            state = outcome or at_rest.get(wanted, CampaignState.QUEUED)
            over = state in {CampaignState.FINISHED, CampaignState.FAILED, CampaignState.STOPPED}
            now = time.time()
            change = {"state": state, "message": message, "owner": "", "updated": now}
            confirm(connection, lease, finished=now if over else 0.0, **change)
        return state

    def take_slot(self, slot: str) -> bool:
        """Become the runner of a slot unless another one lives there."""
        with self._writer.begin() as connection:
            row = connection.execute(select(runners).where(runners.c.slot == slot)).first()
            mine = {"owner": self.owner, "heartbeat": time.time()}
            if row is None:
                connection.execute(runners.insert().values(slot=slot, fence=1, **mine))
                return True
            if alive(row.owner, row.heartbeat) and row.owner != self.owner:
                return False
            unchanged = (runners.c.slot == slot) & (runners.c.fence == row.fence)
            done = connection.execute(
                update(runners).where(unchanged).values(fence=row.fence + 1, **mine)
            )
            return done.rowcount == 1

    def beat_slot(self, slot: str) -> None:
        """Give a sign of life for the slot; raises `LeaseLostError` when another runner has it."""
        mine = (runners.c.slot == slot) & (runners.c.owner == self.owner)
        with self._writer.begin() as connection:
            done = connection.execute(update(runners).where(mine).values(heartbeat=time.time()))
        if done.rowcount != 1:
            raise LeaseLostError(f"slot {slot} was taken over by another runner")

    def leave_slot(self, slot: str, *, only_if_idle: bool = False) -> bool:
        """Give the slot back; with `only_if_idle`, not while a campaign waits for a runner.

        Looking for work and leaving is one transaction: a campaign queued by somebody who still
        saw this runner alive is either seen here, or its owner sees the empty slot.
        """
        mine = (runners.c.slot == slot) & (runners.c.owner == self.owner)
        with self._writer.begin() as connection:
            if only_if_idle and connection.execute(_open_campaigns(None)).first():
                return False
            connection.execute(update(runners).where(mine).values(heartbeat=0.0))
        return True


def _open_campaigns(campaign_id: str | None) -> Any:
    """Campaigns queued or said to be running: those of dead runners are among the latter."""
    states = (CampaignState.QUEUED, CampaignState.RUNNING)
    open_ = or_(*(campaigns.c.state == state for state in states))
    query = select(campaigns).where(open_, campaigns.c.deleted == 0).order_by(campaigns.c.updated)
    return query if campaign_id is None else query.where(campaigns.c.id == campaign_id)
