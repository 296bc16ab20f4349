"""How campaigns, candidates, targets and marks become rows of the store, and come back.

What a table or a hull needs of a candidate stays apart from its structures, which are some ten
times larger.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError
from pymatgen.core import Structure
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Row,
    bindparam,
    delete,
)

from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import Candidate, State
from explorer.marks import Mark
from explorer.schema import StoreError, traces, underway
from explorer.structure_files import NamedStructure
from explorer.trace import Trace

HEAVY = ("initial", "relaxed", "forces", "stress")  # kept apart from a candidate's facts


def target_rows(campaign_id: str, targets: Iterable[NamedStructure]) -> list[dict[str, Any]]:
    """Return the rows of a campaign's targets."""
    return [
        {
            "campaign_id": campaign_id,
            "number": number,
            "name": name,
            "structure": zlib.compress(json.dumps(structure.as_dict(verbosity=0)).encode()),
        }
        for number, (name, structure) in enumerate(targets)
    ]


def structure_of(stored: bytes) -> Structure:
    """Return a structure from its compressed JSON."""
    return Structure.from_dict(json.loads(zlib.decompress(stored)))


def candidate_row(campaign_id: str, candidate: Candidate, sequence: int) -> dict[str, Any]:
    """Return the row of a candidate."""
    facts = candidate.to_dict()
    heavy = {key: facts.pop(key) for key in HEAVY}
    return {
        "campaign_id": campaign_id,
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


def candidate_of(row: Row) -> Candidate:
    """Return the candidate of a row; without the column of structures, without structures."""
    facts = json.loads(row.facts)
    stored = row._mapping.get("structures")
    heavy = json.loads(zlib.decompress(stored)) if stored else dict.fromkeys(HEAVY)
    return Candidate.from_dict(facts | heavy)


class OtherVersionError(StoreError):
    """A campaign that asks for what this version of the program does not know."""


def campaign_of(row: Row, tallies: Iterable[Row]) -> Campaign:
    """Return the campaign of a row with its counts, see `count`.

    Raises
    ------
    OtherVersionError
        When a newer program made it; its database may be shared with that one.
    """
    try:
        spec = CampaignSpec.model_validate_json(row.spec)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise OtherVersionError(
            f"campaign {row.id} was made by another version of Hullscape: {field}: "
            f"{first['msg'].lower()}; go on with that version"
        ) from error
    return Campaign(
        id=row.id,
        spec=spec,
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
        deleted=row.deleted,
        person=row.person,
        shared=bool(row.shared),
    )


def mark_row(campaign_id: str, candidate_id: str, mark: Mark) -> dict[str, Any]:
    """Return the row of a mark."""
    return {
        "campaign_id": campaign_id,
        "candidate_id": candidate_id,
        "starred": int(mark.starred),
        "tags": json.dumps(mark.tags),
        "note": mark.note,
        "updated": time.time(),
    }


def mark_of(row: Row) -> Mark:
    """Return the mark of a row."""
    return Mark(bool(row.starred), tuple(json.loads(row.tags)), row.note)


def count(tallies: Iterable[Row]) -> dict[str, Any]:
    """Add up rows of (state, novel, verdict, count) into the counts of a `Campaign`."""
    counts: dict[str, Any] = {str(state): 0 for state in State}
    novel, reasons = 0, {}
    for row in tallies:
        counts[row.state] += row.count
        unique = row.state not in {State.REJECTED, State.DUPLICATE}
        novel += row.count if unique and row.novel == 1 else 0
        if row.state in {State.REJECTED, State.FAILED, State.SKIPPED}:
            reasons[row.verdict] = reasons.get(row.verdict, 0) + row.count
    drawn = sum(counts.values())
    valid = drawn - counts[State.REJECTED]
    unique = valid - counts[State.DUPLICATE]
    totals = {"drawn": drawn, "valid": valid, "unique": unique, "novel": novel}
    return counts | totals | {"reasons": reasons}


def of_candidate(campaign_id: str, candidate_id: str) -> ColumnElement[bool]:
    """Return what picks the trace of one candidate."""
    table = traces.c
    return (table.campaign_id == campaign_id) & (table.candidate_id == candidate_id)


def replace_traces(connection: Connection, campaign_id: str, changed: Mapping[str, Trace]) -> None:
    """Write the newest relaxation of each candidate in place of any before."""
    for candidate_id, trace in changed.items():
        connection.execute(delete(traces).where(of_candidate(campaign_id, candidate_id)))
        row = {"campaign_id": campaign_id, "candidate_id": candidate_id, "trace": trace.to_bytes()}
        connection.execute(traces.insert().values(row))


def forget_underway(connection: Connection, campaign_id: str, numbers: Sequence[int]) -> None:
    """Delete where the relaxations of these draw indices were."""
    connection.execute(_forgetting(), {"here": campaign_id, "numbers": numbers})


@cache
def _forgetting() -> Delete:
    """Make the statement of `forget_underway` once: that takes longer than to carry it out."""
    numbers = underway.c.number.in_(bindparam("numbers", expanding=True))
    return delete(underway).where(underway.c.campaign_id == bindparam("here"), numbers)
