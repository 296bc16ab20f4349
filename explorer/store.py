"""Where campaigns live. The database is the only truth between the page and the runner.

Web sessions read, and write commands; a runner writes under a `explorer.lease.Lease`. Every
change of a candidate gets the next sequence number of its campaign inside the transaction that
makes it, so a reader that asks for what is newer than n never misses a row.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pymatgen.core import Structure
from sqlalchemy import Connection, Row, func, select, update

from explorer import schema
from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.lease import HEARTBEAT_EXPIRY, Lease, alive, confirm
from explorer.schema import StoreError, campaigns, candidates, folder_of, open_engine, runners
from explorer.structure_files import NamedStructure
from explorer.targets import read_targets, within_reach

HEAVY = ("initial", "relaxed", "forces", "stress")  # kept apart from a candidate's facts
COMMANDS = {"pause": "pause", "resume": "run", "stop": "stop"}
OPEN = {CampaignState.QUEUED, CampaignState.RUNNING, CampaignState.PAUSED}
AT_REST = {
    "pause": CampaignState.PAUSED,
    "run": CampaignState.QUEUED,
    "stop": CampaignState.STOPPED,
}


class Store:
    """Campaigns and their candidates, in SQLite or any database that SQLAlchemy speaks to.

    Safe to share between threads; every method is one short transaction.

    Parameters
    ----------
    url : str, Path or None
        A database URL or the path of a SQLite file. None takes HULLSCAPE_STORE, then
        `campaigns.db` in HULLSCAPE_HOME, then the user's data folder.

    Raises
    ------
    StoreError
        When the database cannot be opened, or belongs to another version or program.
    """

    def __init__(self, url: str | Path | None = None) -> None:
        self.engine = open_engine(url)
        self._writer = self.engine.execution_options(writes=True)

    @property
    def url(self) -> str:
        """The address that opens the same store in another process, password included."""
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def folder(self) -> Path:
        """Where the runner's log goes: beside the database."""
        return folder_of(self.engine)

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()

    # What a person does

    def create(self, spec: CampaignSpec, targets: Sequence[NamedStructure] | None = None) -> str:
        """Queue a campaign and return its id.

        Parameters
        ----------
        spec : CampaignSpec
        targets : sequence of NamedStructure or None
            What to look for, copied into the store; None reads the file that `spec.targets` names.

        Raises
        ------
        SpecError
            When the targets cannot be read or none can be drawn; nothing is queued then.
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
        }
        with self._writer.begin() as connection:
            connection.execute(campaigns.insert().values(row))
            if targets:
                connection.execute(schema.targets.insert(), _target_rows(name, targets))
        return name

    def command(self, campaign_id: str, command: str) -> CampaignState:
        """Ask a campaign to "pause", "resume" or "stop"; returns the state it is in now.

        A campaign that a runner holds changes state when the runner obeys, within a second;
        any other changes at once. A finished campaign stays finished.

        Raises
        ------
        StoreError
            For an unknown campaign or command.
        """
        if command not in COMMANDS:
            raise StoreError(f"expected pause, resume or stop, got {command!r}")
        wanted = COMMANDS[command]
        with self._writer.begin() as connection:
            row = self._campaign_row(connection, campaign_id)
            state = CampaignState(row.state)
            if state == CampaignState.FINISHED:
                return state
            change: dict[str, Any] = {"wanted": wanted, "updated": time.time()}
            held = state == CampaignState.RUNNING and alive(row.owner, row.heartbeat)
            if not held and (wanted == "run" or state in OPEN):
                change |= {"state": AT_REST[wanted], "message": ""}
            connection.execute(
                update(campaigns).where(campaigns.c.id == campaign_id).values(**change)
            )
        return CampaignState(change.get("state", state))

    # What a page reads

    def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign with its counts; raises `StoreError` for an unknown id."""
        with self.engine.begin() as connection:
            row = self._campaign_row(connection, campaign_id)
            tallies = self._tallies(connection, candidates.c.campaign_id == campaign_id)
        return _campaign(row, tallies.get(campaign_id, ()))

    def campaigns(self) -> list[Campaign]:
        """Return all campaigns, newest first."""
        with self.engine.begin() as connection:
            rows = connection.execute(select(campaigns).order_by(campaigns.c.created.desc())).all()
            tallies = self._tallies(connection, True)
        return [_campaign(row, tallies.get(row.id, ())) for row in rows]

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
            rows = connection.execute(query).all()
        newest = rows[-1].sequence if rows else since
        return [_candidate(row) for row in rows], newest

    def targets(self, campaign_id: str) -> list[NamedStructure]:
        """Return the structures that a campaign was given to look for; none is an empty list."""
        table = schema.targets.c
        query = (
            select(table.name, table.structure)
            .where(table.campaign_id == campaign_id)
            .order_by(table.number)
        )
        with self.engine.begin() as connection:
            rows = connection.execute(query).all()
        return [NamedStructure(row.name, _structure(row.structure)) for row in rows]

    def candidate(self, campaign_id: str, candidate_id: str) -> Candidate:
        """Return one candidate with its structures; raises `StoreError` when there is none."""
        table = candidates.c
        query = select(table.facts, table.structures).where(
            table.campaign_id == campaign_id, table.id == candidate_id
        )
        with self.engine.begin() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise StoreError(f"campaign {campaign_id} has no candidate {candidate_id}")
        return _candidate(row)

    def runner_alive(self) -> bool:
        """Whether a runner has given a sign of life within the last seconds."""
        since = time.time() - HEARTBEAT_EXPIRY
        with self.engine.begin() as connection:
            rows = connection.execute(select(runners).where(runners.c.heartbeat > since)).all()
        return any(alive(row.owner, row.heartbeat) for row in rows)

    # What a runner writes

    def put_candidates(
        self,
        lease: Lease,
        changed: Sequence[Candidate],
        *,
        seconds_sampling: float = 0.0,
        seconds_relaxing: float = 0.0,
    ) -> None:
        """Write new or changed candidates, all or none, with the time spent on them.

        Raises
        ------
        LeaseLostError
            When another runner has taken the campaign since; nothing is written then.
        """
        spent = {
            "updated": time.time(),
            "sequence": campaigns.c.sequence + len(changed),
            "seconds_sampling": campaigns.c.seconds_sampling + seconds_sampling,
            "seconds_relaxing": campaigns.c.seconds_relaxing + seconds_relaxing,
        }
        with self._writer.begin() as connection:
            confirm(connection, lease, **spent)
            newest = connection.scalar(
                select(campaigns.c.sequence).where(campaigns.c.id == lease.campaign_id)
            )
            first = newest - len(changed) + 1
            rows = [_row(lease, item, first + place) for place, item in enumerate(changed)]
            _upsert(connection, lease.campaign_id, rows)

    def describe(self, lease: Lease, provenance: Mapping[str, str]) -> None:
        """Write down what the campaign's results come from: checkpoint, potential, references."""
        with self._writer.begin() as connection:
            confirm(connection, lease, provenance=json.dumps(dict(provenance)))

    def say(self, lease: Lease, message: str) -> None:
        """Show what the runner is busy with."""
        with self._writer.begin() as connection:
            confirm(connection, lease, message=message)

    def drawn(self, campaign_id: str) -> int:
        """Return how many crystals are stored: the index to draw next."""
        query = select(func.count()).where(candidates.c.campaign_id == campaign_id)
        with self.engine.begin() as connection:
            return connection.scalar(query)

    @staticmethod
    def _campaign_row(connection: Connection, campaign_id: str) -> Row:
        row = connection.execute(select(campaigns).where(campaigns.c.id == campaign_id)).first()
        if row is None:
            raise StoreError(f"there is no campaign {campaign_id}: it may be in another database")
        return row

    @staticmethod
    def _tallies(connection: Connection, where: Any) -> dict[str, list[Row]]:
        table = candidates.c
        keys = (table.campaign_id, table.state, table.novel, table.verdict)
        query = select(*keys, func.count().label("count")).where(where).group_by(*keys)
        tallies: dict[str, list[Row]] = {}
        for row in connection.execute(query):
            tallies.setdefault(row.campaign_id, []).append(row)
        return tallies


def _upsert(connection: Connection, campaign_id: str, rows: list[dict[str, Any]]) -> None:
    """Insert the rows that are new and replace the others: a draw index has one row, ever."""
    here = candidates.c.campaign_id == campaign_id
    numbers = [row["number"] for row in rows]
    query = select(candidates.c.number).where(here, candidates.c.number.in_(numbers))
    known = set(connection.scalars(query))
    new = [row for row in rows if row["number"] not in known]
    if new:
        connection.execute(candidates.insert(), new)
    for row in rows:
        if row["number"] in known:
            one = update(candidates).where(here, candidates.c.number == row["number"])
            connection.execute(one.values(**row))


def _target_rows(campaign_id: str, targets: Iterable[NamedStructure]) -> list[dict[str, Any]]:
    return [
        {
            "campaign_id": campaign_id,
            "number": number,
            "name": name,
            "structure": zlib.compress(json.dumps(structure.as_dict(verbosity=0)).encode()),
        }
        for number, (name, structure) in enumerate(targets)
    ]


def _structure(stored: bytes) -> Structure:
    return Structure.from_dict(json.loads(zlib.decompress(stored)))


def _row(lease: Lease, candidate: Candidate, sequence: int) -> dict[str, Any]:
    facts = candidate.to_dict()
    heavy = {key: facts.pop(key) for key in HEAVY}
    return {
        "campaign_id": lease.campaign_id,
        "number": candidate.index,
        "id": candidate.id,
        "sequence": sequence,
        "state": str(candidate.state),
        "novel": -1 if candidate.novel is None else int(candidate.novel),
        "verdict": verdict(candidate.reason),
        "facts": json.dumps(facts),
        "structures": zlib.compress(json.dumps(heavy).encode(), level=1),
    }


def verdict(reason: str) -> str:
    """Return a reason without its details and figures, so that equal ones can be counted."""
    return re.sub(r"[\d.]*\d", "…", re.split(r"[:,]", reason)[0])[:200]


def _candidate(row: Row) -> Candidate:
    facts = json.loads(row.facts)
    stored = row._mapping.get("structures")
    heavy = json.loads(zlib.decompress(stored)) if stored else dict.fromkeys(HEAVY)
    return Candidate.from_dict(facts | heavy)


def _campaign(row: Row, tallies: Iterable[Row]) -> Campaign:
    return Campaign(
        id=row.id,
        spec=CampaignSpec.model_validate_json(row.spec),
        state=CampaignState(row.state),
        message=row.message,
        wanted=row.wanted,
        counts=count(tallies),
        created=row.created,
        updated=row.updated,
        started=row.started,
        finished=row.finished,
        seconds_sampling=row.seconds_sampling,
        seconds_relaxing=row.seconds_relaxing,
        sequence=row.sequence,
        provenance=json.loads(row.provenance),
    )


def count(tallies: Iterable[Row]) -> dict[str, Any]:
    """Add up rows of (state, novel, verdict, count) into the counts of a `Campaign`."""
    counts: dict[str, Any] = {str(state): 0 for state in State}
    novel, reasons = 0, {}
    for row in tallies:
        counts[row.state] += row.count
        unique = row.state not in {State.REJECTED, State.DUPLICATE}
        novel += row.count if unique and row.novel == 1 else 0
        if row.state in {State.REJECTED, State.FAILED}:
            reasons[row.verdict] = reasons.get(row.verdict, 0) + row.count
    drawn = sum(counts.values())
    valid = drawn - counts[State.REJECTED]
    unique = valid - counts[State.DUPLICATE]
    totals = {"drawn": drawn, "valid": valid, "unique": unique, "novel": novel}
    return counts | totals | {"reasons": reasons}
