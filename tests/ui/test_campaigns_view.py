"""The list of campaigns: what a row says, and what its buttons do to the store."""

import asyncio

import pytest
from handmade import HOSTILE, candidate, put

from explorer.campaign import CampaignState
from explorer.candidate import State
from explorer.ui.campaign_list import campaign_row
from explorer.ui.campaigns_view import CampaignsView, LowestFound
from explorer.ui.workbench import Workbench


async def nothing() -> None:
    """Do nothing, as a runner that is never needed."""


@pytest.fixture
def view(store):
    """Return the list over two campaigns; `reused` collects the specs that filled the form."""
    put(store, candidate(3), candidate(1), candidate(2, State.FAILED), name=HOSTILE)
    put(store, state=CampaignState.STOPPED, spacegroups=(225,))
    reused = []
    view = CampaignsView(Workbench(store), nothing, lambda spec, targets: reused.append(spec))
    view.reused = reused
    asyncio.run(view.refresh())
    return view


def ask(view, action: str, row: dict, text: str = "") -> None:
    """Send what a button of the list sends."""
    asyncio.run(view._act(type("Event", (), {"new": [action, row["id"], text, 1]})()))


def row_of(view, **facts) -> dict:
    """Return the only row with these facts."""
    (row,) = [row for row in view.list.rows if facts.items() <= row.items()]
    return row


def test_a_row_tells_what_was_asked_and_found(view):
    """Name or system, state, counts, the lowest energy; only what is at rest can be resumed."""
    first = row_of(view, name=HOSTILE)
    assert first["counts"] == "3 of 3 drawn, 2 relaxed"
    assert first["lowest"] == "0.010 eV/atom"
    assert [fate[0] for fate in first["fates"]] == ["relaxed", "failed"]
    assert "resume" not in dict(first["actions"])
    second = row_of(view, name="")
    assert second["title"] == "Ca-Cu"
    assert "space group 225" in second["facts"]
    assert (second["state"], second["lowest"]) == ("stopped", "")
    assert "resume" in dict(second["actions"])


def test_opening_and_resuming(view):
    """A campaign is opened on this page; a stopped one is queued again."""
    ask(view, "resume", row_of(view, state="stopped"))
    assert row_of(view, state="queued")
    ask(view, "open", row_of(view, name=HOSTILE))
    assert view.bench.campaign_id == row_of(view, name=HOSTILE)["id"]


def test_settings_are_taken_and_names_changed(view):
    """The form gets the spec; the new name is stored, and one that is too long is refused."""
    row = row_of(view, state="stopped")
    ask(view, "reuse", row)
    assert view.reused[0].spacegroups == (225,)
    ask(view, "rename", row, "a better name")
    assert row_of(view, state="stopped")["title"] == "a better name"
    ask(view, "rename", row, "x" * 201)
    assert "200 characters" in view.note.object
    assert row_of(view, state="stopped")["title"] == "a better name"


def test_what_is_deleted_comes_back(view):
    """By Undo at once, and later from the list of deleted ones; names are text."""
    ask(view, "delete", row_of(view, name=HOSTILE))
    assert len(view.list.rows) == 1
    assert view.undo.visible
    assert "<img" not in view.note.object
    asyncio.run(view._restore_last())
    assert len(view.list.rows) == 2
    ask(view, "delete", row_of(view, name=HOSTILE))
    view.bin.value = True
    asyncio.run(view.refresh())
    gone = row_of(view, name=HOSTILE)
    assert dict(gone["actions"]) == {"restore": "Restore"}
    ask(view, "restore", gone)
    assert view.list.rows == []
    assert len(view.bench.store.campaigns()) == 2


def test_the_lowest_is_read_once(store):
    """A second look reads only what is newer; an empty campaign has none."""
    lowest = LowestFound(store)
    campaign = store.campaign(put(store, candidate(5), candidate(2)))
    assert lowest.of(campaign).index == 2
    assert lowest.of(campaign).index == 2
    assert lowest.of(store.campaign(put(store))) is None
    assert campaign_row(campaign, None)["lowest"] == ""
