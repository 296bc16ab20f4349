"""Who uses a server that people log in to: what each may see, change and ask for.

A campaign belongs to whoever ran it. Others do not see it until it is shared, and then they only
look. Admins, named in HULLSCAPE_ADMINS, see and command all. The store asks here before it answers;
without a login there is one user, who may do everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection, Row, select

from explorer.campaign import CampaignState
from explorer.schema import StoreError, campaigns, versions

ADMINS = "HULLSCAPE_ADMINS"
"""Environment variable: names of the admins, with commas."""
MOST_OPEN = "HULLSCAPE_MAX_OPEN"
"""Environment variable: campaigns that a user may have queued, running or paused at a time."""
MOST_CRYSTALS = "HULLSCAPE_MAX_CRYSTALS"
"""Environment variable: crystals that a user's campaigns may ask for in all."""
OPEN = {CampaignState.QUEUED, CampaignState.RUNNING, CampaignState.PAUSED}


class QuotaError(StoreError):
    """A user asks for more than the server gives each; says how much is left.

    Attributes
    ----------
    field : str
        The field of `CampaignSpec` that has to change; "" when there is none.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class User:
    """Somebody who has logged in.

    Attributes
    ----------
    name : str
        As the login knows it.
    admin : bool
        Whether they may see and command the campaigns of all, without a quota.
    """

    name: str
    admin: bool = False

    @classmethod
    def named(cls, name: str) -> User:
        """Return the user of a name, an admin when HULLSCAPE_ADMINS says so."""
        admins = {word.strip() for word in os.environ.get(ADMINS, "").split(",")} - {""}
        return cls(name, name in admins)


@dataclass(frozen=True)
class Quota:
    """What a user may have at most.

    Attributes
    ----------
    campaigns : float
        Open at a time: queued, running or paused.
    crystals : float
        Asked for by all campaigns that are not deleted.
    """

    campaigns: float = inf
    crystals: float = inf

    @classmethod
    def of_server(cls) -> Quota:
        """Return what the environment allows; no limit where it says nothing.

        Raises
        ------
        StoreError
            When it says something else than a whole number.
        """
        return cls(_limit(MOST_OPEN), _limit(MOST_CRYSTALS))


def _limit(name: str) -> float:
    text = os.environ.get(name, "").strip()
    if not text:
        return inf
    if not text.isdecimal():
        raise StoreError(f"{name}: expected a whole number, got {text!r}")
    return int(text)


@dataclass(frozen=True)
class Usage:
    """What a user has: campaigns that are not deleted, those of them that are open, crystals."""

    campaigns: int = 0
    open: int = 0
    crystals: int = 0

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Usage:
        """Add up rows of campaigns that have a state and a spec."""
        crystals = sum(json.loads(row.spec)["n"] for row in rows)
        return cls(len(rows), sum(row.state in OPEN for row in rows), crystals)


class UnseenError(StoreError):
    """There is no such campaign, or the user may not know of it: the same words for both."""

    def __init__(self, campaign_id: str, user: User | None) -> None:
        where = "may be in another database" if user is None else "is not shared with you"
        super().__init__(f"there is no campaign {campaign_id}, or it {where}")


def visible_row(
    connection: Connection, campaign_id: str, user: User | None, *, changes: bool = False
) -> Row:
    """Return the row of a campaign that a user may look at.

    Who `changes` it keeps others from doing so until the transaction is over: what is read here
    holds until it is written.

    Raises
    ------
    UnseenError
        When there is none, or the user may not look at it.
    """
    here = campaigns.c.id == campaign_id
    if user is not None and not user.admin:
        here &= (campaigns.c.person == user.name) | (campaigns.c.shared != 0)
    query = select(campaigns).where(here)
    row = connection.execute(query.with_for_update() if changes else query).first()
    if row is None:
        raise UnseenError(campaign_id, user)
    return row


def refuse_strangers(campaign_id: str, user: User | None, person: str, shared: bool) -> None:
    """Say of a person's campaign that was read already what `visible_row` says of one that is not.

    Raises
    ------
    UnseenError
        When the user may not look at it.
    """
    if user is not None and not user.admin and user.name != person and not shared:
        raise UnseenError(campaign_id, user)


def own_row(connection: Connection, campaign_id: str, user: User | None) -> Row:
    """Return the row of a campaign that a user may change; `StoreError` for any other."""
    row = visible_row(connection, campaign_id, user, changes=True)
    if not may_change(user, row.person):
        raise StoreError(
            f"campaign {campaign_id} belongs to {row.person or 'no user'}: take its settings into "
            "one of your own"
        )
    return row


def may_change(user: User | None, person: str) -> bool:
    """Whether a user may command, rename, mark or delete the campaigns of a person."""
    return user is None or user.admin or user.name == person


def refuse_all_but_admins(user: User | None) -> None:
    """Raise `StoreError` when a user is no admin."""
    if user is not None and not user.admin:
        raise StoreError(f"only admins may see this: ask for {user.name} to be added to {ADMINS}")


def usage(connection: Connection, person: str) -> Usage:
    """Add up what a person has, and keep everybody from adding to it meanwhile."""
    # Rows that are not there yet cannot be locked: all who ask wait for this one.
    connection.execute(select(versions).with_for_update())
    table = campaigns.c
    query = select(table.state, table.spec).where(table.person == person, table.deleted == 0)
    return Usage.of(connection.execute(query).all())


def refuse_excess(
    connection: Connection, user: User | None, campaigns: int = 0, crystals: int = 0
) -> None:
    """Raise `QuotaError` when so much more would be over the quota of a user."""
    quota = Quota.of_server()
    if user is None or user.admin or quota == Quota():
        return
    has = usage(connection, user.name)
    if campaigns and has.open + campaigns > quota.campaigns:
        raise QuotaError(
            f"you have {has.open} campaigns open, each user may have {quota.campaigns:g}: "
            "wait for one to finish, or stop one"
        )
    if crystals and has.crystals + crystals > quota.crystals:
        left = max(quota.crystals - has.crystals, 0)
        raise QuotaError(
            f"your campaigns ask for {has.crystals} crystals, each user may ask for "
            f"{quota.crystals:g}: ask for at most {left:g} now, or delete a campaign",
            "n",
        )
