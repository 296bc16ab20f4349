"""What a runner writes into the store, and what of it tells a runner where to go on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import func, select

from explorer.candidate import Candidate, State
from explorer.database import folder_of, open_engine, upsert
from explorer.lease import Lease, confirm
from explorer.rows import candidate_row, forget_underway, replace_traces
from explorer.schema import candidates, underway
from explorer.trace import Trace


class Ledger:
    """An open database, written to under a `explorer.lease.Lease`; see `explorer.store.Store`."""

    def __init__(self, url: str | Path | None = None) -> None:
        self.engine = open_engine(url)
        self._writer = self.engine.execution_options(writes=True)
        # The next heartbeat waits for the disk, and with it for all that was written before. What a
        # power cut takes is at most what was computed since, and comes again from the same seed.
        self._soon = self.engine.execution_options(writes=True, flushes=False)

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

    def put_candidates(
        self,
        lease: Lease,
        changed: Sequence[Candidate],
        *,
        traces: Mapping[str, Trace] | None = None,
        seconds_sampling: float = 0.0,
        seconds_relaxing: float = 0.0,
    ) -> None:
        """Write new or changed candidates, all or none, with the time spent on them.

        Parameters
        ----------
        lease : Lease
        changed : sequence of Candidate
        traces : mapping of str to Trace, optional
            How they were relaxed, by candidate id.
        seconds_sampling, seconds_relaxing : float
            Time spent since the last call.

        Raises
        ------
        LeaseLostError
            When another runner has taken the campaign since; nothing is written then.
        """
        spent = {
            "sequence": len(changed),
            "seconds_sampling": seconds_sampling,
            "seconds_relaxing": seconds_relaxing,
        }
        # Made before the transaction, which keeps all other writers waiting.
        rows = [candidate_row(lease.campaign_id, item, 0) for item in changed]
        settled = [item.index for item in changed if item.state != State.WAITING]
        with self._soon.begin() as connection:
            last = confirm(connection, lease, spent, updated=time.time())
            for place, row in enumerate(rows):
                row["sequence"] = last - len(rows) + 1 + place
            if rows:
                connection.execute(upsert(candidates, connection.dialect.name), rows)
            if settled:
                forget_underway(connection, lease.campaign_id, settled)
            if traces:
                replace_traces(connection, lease.campaign_id, traces)

    def put_underway(self, lease: Lease, states: Mapping[int, bytes]) -> None:
        """Write down where relaxations are, by draw index, in place of what was known of them.

        Each stays until its candidate has a verdict.

        Raises
        ------
        LeaseLostError
            When another runner has taken the campaign since.
        """
        rows = [
            {"campaign_id": lease.campaign_id, "number": number, "state": state}
            for number, state in states.items()
        ]
        with self._soon.begin() as connection:
            confirm(connection, lease)
            forget_underway(connection, lease.campaign_id, list(states))
            connection.execute(underway.insert(), rows)

    def underway(self, campaign_id: str) -> dict[int, bytes]:
        """Return where relaxations are that have begun, by draw index."""
        query = select(underway.c.number, underway.c.state)
        with self.engine.begin() as connection:
            rows = connection.execute(query.where(underway.c.campaign_id == campaign_id)).all()
        return {row.number: row.state for row in rows}

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
