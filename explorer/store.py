"""Where campaigns live. The database is the only truth between the page and the runner.

Web sessions read, and write commands; a runner writes under a `explorer.lease.Lease`. Every
change of a candidate gets the next sequence number of its campaign inside the transaction that
makes it, so a reader that asks for what is newer than n never misses a row.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from copy import copy
from logging import WARNING
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from explorer import schema
from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate
from explorer.given import put_given, samples_of, targets_of
from explorer.lease import HEARTBEAT_EXPIRY, alive
from explorer.ledger import Ledger
from explorer.logs import log_event
from explorer.marks import MAX_NAME, Mark, plain_text
from explorer.rows import (
    OtherVersionError,
    campaign_of,
    candidate_of,
    mark_of,
    mark_row,
    of_candidate,
)
from explorer.samples import Sample
from explorer.schema import StoreError, campaigns, candidates, marks, runners
from explorer.structure_files import NamedStructure
from explorer.targets import read_targets, within_reach
from explorer.trace import Trace
from explorer.users import (
    OPEN,
    User,
    own_row,
    refuse_all_but_admins,
    refuse_excess,
    visible_row,
)

COMMANDS = {"pause": "pause", "resume": "run", "stop": "stop"}
AT_REST = {
    "pause": CampaignState.PAUSED,
    "run": CampaignState.QUEUED,
    "stop": CampaignState.STOPPED,
}


class Store(Ledger):
    """Campaigns and their candidates, in SQLite or PostgreSQL.

    Safe to share between threads; every method is one short transaction.

    Parameters
    ----------
    url : str, Path or None
        A database URL or the path of a SQLite file. None takes HULLSCAPE_STORE, then
        `campaigns.db` in HULLSCAPE_HOME, then the user's data folder.

    Raises
    ------
    StoreError
        When the database cannot be opened, or belongs to a newer version or another program.

    Attributes
    ----------
    user : User or None
        For whom it answers, see `of`; None for whoever has the database: runner, shell, or the only
        user of a page without login.
    """

    def __init__(self, url: str | Path | None = None) -> None:
        super().__init__(url)
        self.user: User | None = None
        self._unknown: set[str] = set()  # campaigns of a newer program that were logged
        self._tallies: dict[str, tuple[int, Sequence[Row]]] = {}  # by campaign, with its sequence

    def of(self, user: User | None) -> Store:
        """Return the same store for a user, who meets only the campaigns that they may see.

        Without a user, as it is opened, the store shows and does everything.
        """
        mine = copy(self)
        mine.user = user
        return mine

    # What a person does

    def create(
        self,
        spec: CampaignSpec,
        targets: Sequence[NamedStructure] | None = None,
        samples: Sequence[Sample] = (),
    ) -> str:
        """Queue a campaign and return its id.

        Parameters
        ----------
        spec : CampaignSpec
        targets : sequence of NamedStructure or None
            What to look for, copied into the store; None reads the file that `spec.targets` names.
        samples : sequence of Sample
            Crystals to judge, copied too; without any the runner reads the file of `spec.samples`.

        Raises
        ------
        SpecError
            When the targets cannot be read or none can be drawn; nothing is queued then.
        QuotaError
            When it is more than the store's user may have.
        """
        if spec.targets:
            given = read_targets(spec.targets) if targets is None else targets
            targets = within_reach(spec, given)
        name, now = secrets.token_hex(12), time.time()
        row = {
            "id": name,
            "spec": spec.model_dump_json(),
            "state": CampaignState.QUEUED,
            "created": now,
            "updated": now,
            "person": self.user.name if self.user else "",
        }
        with self._writer.begin() as connection:
            refuse_excess(connection, self.user, campaigns=1, crystals=spec.n)
            connection.execute(campaigns.insert().values(row))
            put_given(connection, name, targets or (), samples)
        log_event("queued", campaign=name, elements=spec.chemical_system, n=spec.n, seed=spec.seed)
        return name

    def command(self, campaign_id: str, command: str) -> CampaignState:
        """Ask a campaign to "pause", "resume" or "stop"; returns the state it is in now.

        A campaign that a runner holds changes state when the runner obeys, within a second;
        any other changes at once. A finished or deleted campaign stays as it is.

        Raises
        ------
        StoreError
            For an unknown campaign or command, or somebody else's campaign; as `QuotaError` when
            the user has too many open to resume one.
        """
        if command not in COMMANDS:
            raise StoreError(f"expected pause, resume or stop, got {command!r}")
        wanted = COMMANDS[command]
        with self._writer.begin() as connection:
            state = self._obey(connection, campaign_id, wanted)
        log_event("told", campaign=campaign_id, command=command, state=state)
        return state

    def rename(self, campaign_id: str, name: str) -> None:
        """Give a campaign another label; "" takes it away.

        Raises
        ------
        StoreError
            For an unknown campaign, or a name that is too long or no plain text.
        """
        name = plain_text("a campaign's name", name, MAX_NAME)
        with self._writer.begin() as connection:
            row = own_row(connection, campaign_id, self.user)
            spec = json.loads(row.spec) | {"name": name.replace("\n", " ")}
            self._change(connection, campaign_id, spec=json.dumps(spec))

    def share(self, campaign_id: str, shared: bool = True) -> None:
        """Let every user look at a campaign, or only its own again.

        Raises
        ------
        StoreError
            For an unknown campaign, or somebody else's.
        """
        with self._writer.begin() as connection:
            own_row(connection, campaign_id, self.user)
            self._change(connection, campaign_id, shared=int(shared))
        log_event("shared" if shared else "made private", campaign=campaign_id)

    def delete(self, campaign_id: str) -> None:
        """Hide a campaign from lists and from runners; `restore` brings it back as it was.

        The runner that holds it hears a stop. Its own last command stays written down, so that
        what was queued or running is queued again when it comes back.

        Raises
        ------
        StoreError
            For an unknown campaign.
        """
        with self._writer.begin() as connection:
            own_row(connection, campaign_id, self.user)
            self._change(connection, campaign_id, deleted=time.time())
        log_event("deleted", campaign=campaign_id)

    def restore(self, campaign_id: str) -> None:
        """Bring a deleted campaign back in the state it had; an open one waits as the last.

        Raises
        ------
        StoreError
            For an unknown campaign; as `QuotaError` when the user has no room for it any more.
        """
        with self._writer.begin() as connection:
            row = own_row(connection, campaign_id, self.user)
            if row.deleted:
                goes_on = row.state in OPEN
                crystals = json.loads(row.spec)["n"]
                refuse_excess(connection, self.user, campaigns=int(goes_on), crystals=crystals)
                change = {"updated": time.time()} if goes_on else {}
                self._change(connection, campaign_id, deleted=0.0, **change)
        log_event("restored", campaign=campaign_id)

    def mark(
        self,
        campaign_id: str,
        candidate_id: str,
        *,
        starred: bool | None = None,
        tags: Sequence[str] | None = None,
        note: str | None = None,
    ) -> Mark:
        """Star, tag or annotate a candidate; what is None stays as it is. Returns the whole mark.

        Raises
        ------
        StoreError
            For an unknown candidate, or tags or a note beyond the limits of `explorer.marks`.
        """
        where = (marks.c.campaign_id == campaign_id) & (marks.c.candidate_id == candidate_id)
        one = (candidates.c.campaign_id == campaign_id) & (candidates.c.id == candidate_id)
        with self._writer.begin() as connection:
            own_row(connection, campaign_id, self.user)
            if connection.execute(select(candidates.c.id).where(one)).first() is None:
                raise _no_candidate(campaign_id, candidate_id)
            row = connection.execute(select(marks).where(where)).first()
            mark = (mark_of(row) if row else Mark()).changed(starred, tags, note)
            connection.execute(delete(marks).where(where))
            if mark:
                connection.execute(marks.insert().values(mark_row(campaign_id, candidate_id, mark)))
        log_event("marked", campaign=campaign_id, candidate=candidate_id)
        return mark

    # What a page reads

    def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign with its counts; raises `StoreError` for an unknown id."""
        with self.engine.begin() as connection:
            return self._counted(connection, visible_row(connection, campaign_id, self.user))

    def campaigns(self, *, deleted: bool = False, everyone: bool = False) -> list[Campaign]:
        """Return the campaigns of the store, or of its user and those shared, newest first.

        Those that a newer program made are left out, and logged.

        Parameters
        ----------
        deleted : bool
            The deleted ones instead; of these a user sees only their own.
        everyone : bool
            Those of all users too, which only an admin may ask for.

        Raises
        ------
        StoreError
            When somebody else asks for those of everyone.
        """
        table = campaigns.c
        query = select(campaigns).where(table.deleted != 0 if deleted else table.deleted == 0)
        if everyone:
            refuse_all_but_admins(self.user)
        elif self.user is not None:
            mine = table.person == self.user.name
            query = query.where(mine if deleted else mine | (table.shared != 0))
        with self.engine.begin() as connection:
            rows = connection.execute(query.order_by(table.created.desc())).all()
            return [known for row in rows if (known := self._if_known(connection, row))]

    def candidates(
        self,
        campaign_id: str,
        since: int = 0,
        *,
        structures: bool = True,
        limit: int | None = None,
    ) -> tuple[list[Candidate], int]:
        """Return the candidates that changed after sequence number `since`, oldest change first.

        Parameters
        ----------
        campaign_id : str
        since : int
            The number that the last call returned; 0 for all.
        structures : bool
            False leaves `initial` and `relaxed` out, which is some ten times faster: what a
            table or a hull needs.
        limit : int or None
            At most so many; ask again with the returned number for the rest.

        Returns
        -------
        list of Candidate, int
            The changed candidates and the number to ask with next time.
        """
        table = candidates.c
        columns = [table.sequence, table.facts] + ([table.structures] if structures else [])
        query = (
            select(*columns)
            .where(table.campaign_id == campaign_id, table.sequence > since)
            .order_by(table.sequence)
            .limit(limit)
        )
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            rows = connection.execute(query).all()
        newest = rows[-1].sequence if rows else since
        return [candidate_of(row) for row in rows], newest

    def targets(self, campaign_id: str) -> list[NamedStructure]:
        """Return the structures that a campaign was given to look for; none is an empty list."""
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            return targets_of(connection, campaign_id)

    def samples(self, campaign_id: str) -> list[Sample]:
        """Return the crystals that a campaign was given to judge; none is an empty list."""
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            return samples_of(connection, campaign_id)

    def candidate(self, campaign_id: str, candidate_id: str) -> Candidate:
        """Return one candidate with its structures; raises `StoreError` when there is none."""
        table = candidates.c
        query = select(table.facts, table.structures).where(
            table.campaign_id == campaign_id, table.id == candidate_id
        )
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            row = connection.execute(query).first()
        if row is None:
            raise _no_candidate(campaign_id, candidate_id)
        return candidate_of(row)

    def trace(self, campaign_id: str, candidate_id: str) -> Trace | None:
        """Return how a candidate was relaxed; None when it was not, or by an older version."""
        query = select(schema.traces.c.trace).where(of_candidate(campaign_id, candidate_id))
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            stored = connection.scalar(query)
        return Trace.from_bytes(stored) if stored else None

    def marks(self, campaign_id: str) -> dict[str, Mark]:
        """Return what people said of a campaign's candidates, by candidate id."""
        query = select(marks).where(marks.c.campaign_id == campaign_id)
        with self.engine.begin() as connection:
            self._admit(connection, campaign_id)
            return {row.candidate_id: mark_of(row) for row in connection.execute(query)}

    def runner_alive(self) -> bool:
        """Whether a runner has given a sign of life within the last seconds."""
        since = time.time() - HEARTBEAT_EXPIRY
        with self.engine.begin() as connection:
            rows = connection.execute(select(runners).where(runners.c.heartbeat > since)).all()
        return any(alive(row.owner, row.heartbeat) for row in rows)

    # What keeps it together

    def _obey(self, connection: Connection, campaign_id: str, wanted: str) -> CampaignState:
        """Write a command down, and carry it out where no runner will; returns the state then."""
        row = own_row(connection, campaign_id, self.user)
        state = CampaignState(row.state)
        if state == CampaignState.FINISHED or row.deleted:
            return state
        if wanted == "run" and state not in OPEN:
            refuse_excess(connection, self.user, campaigns=1)
        change: dict[str, Any] = {"wanted": wanted, "updated": time.time()}
        held = state == CampaignState.RUNNING and alive(row.owner, row.heartbeat)
        if not held and (wanted == "run" or state in OPEN):
            change |= {"state": AT_REST[wanted], "message": ""}
        self._change(connection, campaign_id, **change)
        return CampaignState(change.get("state", state))

    @staticmethod
    def _change(connection: Connection, campaign_id: str, **change: Any) -> None:
        connection.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(**change))

    def _admit(self, connection: Connection, campaign_id: str) -> None:
        """Refuse what belongs to a campaign that the user may not look at."""
        if self.user is not None:
            visible_row(connection, campaign_id, self.user)

    def _if_known(self, connection: Connection, row: Row) -> Campaign | None:
        """Return the campaign of a row; None where this program does not know what it asks for."""
        try:
            return self._counted(connection, row)
        except OtherVersionError as error:
            if row.id not in self._unknown:
                self._unknown.add(row.id)
                log_event("left out", WARNING, campaign=row.id, reason=error)
            return None

    def _counted(self, connection: Connection, row: Row) -> Campaign:
        """Return the campaign of a row; a million candidates are counted only after a change."""
        sequence, tallies = self._tallies.get(row.id, (-1, []))
        if sequence != row.sequence:
            table = candidates.c
            keys = (table.state, table.novel, table.verdict)
            query = select(*keys, func.count().label("count")).where(table.campaign_id == row.id)
            tallies = connection.execute(query.group_by(*keys)).all()
            self._tallies[row.id] = (row.sequence, tallies)
        return campaign_of(row, tallies)


def _no_candidate(campaign_id: str, candidate_id: str) -> StoreError:
    return StoreError(f"campaign {campaign_id} has no candidate {candidate_id}")
