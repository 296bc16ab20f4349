"""What a campaign was given: structures to look for, and crystals to judge."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from explorer.rows import structure_of, target_rows
from explorer.samples import Sample
from explorer.schema import samples, targets
from explorer.structure_files import NamedStructure


def put_given(
    connection: Connection,
    campaign_id: str,
    looked_for: Sequence[NamedStructure],
    judged: Sequence[Sample],
) -> None:
    """Write down, in the transaction that makes a campaign, what comes with it."""
    if looked_for:
        connection.execute(targets.insert(), target_rows(campaign_id, looked_for))
    if judged:
        rows = [
            {"campaign_id": campaign_id, "number": number, "sample": one.packed}
            for number, one in enumerate(judged)
        ]
        connection.execute(samples.insert(), rows)


def targets_of(connection: Connection, campaign_id: str) -> list[NamedStructure]:
    """Return the structures that a campaign looks for, in their order."""
    table = targets.c
    query = select(table.name, table.structure).where(table.campaign_id == campaign_id)
    rows = connection.execute(query.order_by(table.number))
    return [NamedStructure(row.name, structure_of(row.structure)) for row in rows]


def samples_of(connection: Connection, campaign_id: str) -> list[Sample]:
    """Return the crystals that a campaign judges, in their order."""
    table = samples.c
    query = select(table.sample).where(table.campaign_id == campaign_id)
    rows = connection.execute(query.order_by(table.number))
    return [Sample.read(row.sample) for row in rows]
