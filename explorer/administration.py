"""What admins see of a server: who has how much, and which runners work on what."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from sqlalchemy import select

from explorer.campaign import CampaignState
from explorer.lease import alive
from explorer.schema import campaigns, runners
from explorer.store import Store
from explorer.users import Usage, refuse_all_but_admins


@dataclass(frozen=True)
class Slot:
    """A machine or one of its GPUs, and its runner.

    Attributes
    ----------
    name : str
    host, pid : str, int
        Where the runner is, or was.
    alive : bool
        Whether it gave a sign of life lately.
    silent_seconds : float
        Since the last one.
    campaign : str
        Id of the campaign that it works on; "" for none.
    """

    name: str
    host: str
    pid: int
    alive: bool
    silent_seconds: float
    campaign: str


def read_usage(store: Store) -> dict[str, Usage]:
    """Return what each user has, by name; campaigns from before the login stand under "".

    Raises
    ------
    StoreError
        When the store's user is no admin.
    """
    refuse_all_but_admins(store.user)
    table = campaigns.c
    query = select(table.person, table.state, table.spec).where(table.deleted == 0)
    with store.engine.begin() as connection:
        rows = connection.execute(query).all()
    by_person = groupby(sorted(rows, key=itemgetter(0)), key=itemgetter(0))
    return {person: Usage.of(list(theirs)) for person, theirs in by_person}


def read_slots(store: Store) -> list[Slot]:
    """Return every slot that has ever had a runner, by name.

    Raises
    ------
    StoreError
        When the store's user is no admin.
    """
    refuse_all_but_admins(store.user)
    running = select(campaigns.c.owner, campaigns.c.id).where(
        campaigns.c.state == CampaignState.RUNNING
    )
    with store.engine.begin() as connection:
        rows = connection.execute(select(runners).order_by(runners.c.slot)).all()
        held = dict(connection.execute(running).all())
    slots = []
    for row in rows:
        host, pid, _ = row.owner.rsplit("/", 2)
        here = alive(row.owner, row.heartbeat)
        silent = max(time.time() - row.heartbeat, 0.0)
        slots.append(
            Slot(row.slot, host, int(pid), here, silent, held.get(row.owner, "") if here else "")
        )
    return slots
