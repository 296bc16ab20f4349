"""The list of campaigns: what a row says, and what its buttons do to the store."""

import asyncio

import pytest
from handmade import HOSTILE, candidate, put

from explorer.campaign import CampaignState
from explorer.candidate import State
from explorer.ui.campaign_list import campaign_row
from explorer.ui.campaigns_view import NONE_DELETED, NOT_READ, CampaignsView, LowestFound
from explorer.ui.versus_view import VersusView
from explorer.ui.workbench import Workbench


async def nothing() -> None:
    """Do nothing, as a runner that is never needed."""


@pytest.fixture
def view(store):
    """Return the list over two campaigns; `reused` collects the specs that filled the form."""
    put(store, candidate(3), candidate(1), candidate(2, State.FAILED), name=HOSTILE)
    put(store, state=CampaignState.STOPPED, spacegroups=(225,))
    reused = []

    async def reuse(campaign) -> None:
        reused.append(campaign.spec)

    view = CampaignsView(Workbench(store), nothing, reuse)
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


def test_a_row_names_what_drew_and_how_many_sites(store):
    """Searches of one system by other generators can be told apart; one site is one."""
    kinds = ({"generator": "substitution"}, {"sites": ("225:4a=Ca",)})
    facts = [campaign_row(store.campaign(put(store, **kind)), None)["facts"] for kind in kinds]
    assert facts[0].startswith("substitution, chgnet · ")
    assert facts[1].startswith("1 Wyckoff site, chgnet · ")


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


def test_a_row_tells_why_a_campaign_failed_and_which_of_two_alike_it_is(store):
    """Without opening each: what was asked twice differs in its seed, and only there it is told."""
    put(store, state=CampaignState.FAILED)
    put(store, seed=7)
    put(store, name="another")
    view = CampaignsView(Workbench(store), nothing, nothing)
    asyncio.run(view.refresh())
    assert row_of(view, state="failed")["problem"] == "the disk is full"
    told = {row["facts"].split(" · ")[1]: row["problem"] for row in view.list.rows}
    assert {"seed 0", "seed 7"} < set(told)
    assert told["seed 7"] == ""
    assert "seed" not in row_of(view, name="another")["facts"]


def test_no_list_is_called_empty_before_it_was_read(store):
    """What has not been read is neither shown nor denied."""
    put(store)
    view = CampaignsView(Workbench(store), nothing, nothing)
    assert view.list.empty == NOT_READ
    view.bin.value = True
    asyncio.run(view.refresh())
    assert view.list.empty == NONE_DELETED


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


def test_a_queued_campaign_comes_back_queued_and_a_runner_is_woken(store):
    """Undo leaves nothing to be pressed again; among the deleted ones it does not look queued."""
    woken = []

    async def wake() -> None:
        woken.append(True)

    view = CampaignsView(Workbench(store), wake, nothing)
    put(store, state=CampaignState.QUEUED)
    asyncio.run(view.refresh())
    row = row_of(view, state="queued")
    ask(view, "delete", row)
    view.bin.value = True
    asyncio.run(view.refresh())
    assert row_of(view)["state"] == "deleted"
    assert not woken
    view.bin.value = False
    asyncio.run(view._restore_last())
    assert row_of(view)["state"] == "queued"
    assert woken


def test_the_lowest_is_read_once(store):
    """A second look reads only what is newer; an empty campaign has none, but a known hull."""
    lowest = LowestFound(store)
    campaign = store.campaign(put(store, candidate(5), candidate(2)))
    for _ in range(2):
        best, thumbnail = lowest.of(campaign)
        assert best.index == 2
        assert thumbnail.count("class='drawn'") == 2
    best, thumbnail = lowest.of(store.campaign(put(store)))
    assert best is None
    assert "class='known'" in thumbnail
    assert campaign_row(campaign, None)["lowest"] == ""


def test_two_to_four_campaigns_can_be_compared(view):
    """The button follows the ticks; what is deleted is no longer ticked."""
    ids = [row["id"] for row in view.list.rows]
    assert view.compare.disabled
    view.list.ticked = ids
    assert not view.compare.disabled
    view.compare.clicks += 1
    assert view.bench.versus == ",".join(ids)
    ask(view, "delete", row_of(view, name=HOSTILE))
    assert len(view.list.ticked) == 1
    assert view.compare.disabled


def looked_at(bench) -> VersusView:
    """Return the comparison that a page shows after one look."""
    view = VersusView(bench)
    asyncio.run(view.refresh())
    return view


def test_compared_campaigns_stand_on_the_same_axes(view):
    """Numbers of equally many crystals, their energies and one hull; names are text."""
    put(view.bench.store, candidate(7), candidate(4), name="longer")
    ids = [c.id for c in view.bench.store.campaigns() if c.counts["drawn"]]
    view.bench.versus = ",".join(ids)
    shown = looked_at(view.bench)
    assert "The first 2 crystals" in shown.spent.object
    assert "<img" not in shown.table.object
    assert "2 relaxed" in shown.table.object
    assert not shown.warning.visible
    assert [len(t["y"]) for t in shown.plots["energies"].figure["data"]] == [4, 3]
    assert shown.stages["hull"].visible
    shown.plots["hull"].clicked = [f"{ids[0]}/000004", 1]
    assert (view.bench.campaign_id, view.bench.selected) == (ids[0], "candidate:000004")
    assert view.bench.versus == ""


def test_campaigns_of_other_elements_are_compared_with_a_warning(view):
    """Their energies have different zeros, and there is no hull that they share."""
    other = put(view.bench.store, candidate(3), elements=("Ca", "Cu", "Mg"))
    view.bench.versus = f"{row_of(view, name=HOSTILE)['id']},{other}"
    shown = looked_at(view.bench)
    assert "differ in elements" in shown.warning.object
    assert "different elements" in shown.notes["hull"].object
    assert not shown.stages["hull"].visible
    assert len(shown.grid.stylesheets) == 2  # the card without a figure is no higher than its words


def test_campaigns_on_different_hulls_share_no_figure_of_one(view):
    """The candidates of one would stand on the hull of the other, at distances from their own."""
    other = put(view.bench.store, candidate(3), hull="filled")
    view.bench.versus = f"{row_of(view, name=HOSTILE)['id']},{other}"
    shown = looked_at(view.bench)
    assert "differ in hull" in shown.notes["hull"].object
    assert not shown.stages["hull"].visible


def test_a_deleted_campaign_is_called_so_where_it_is_compared(view):
    """Also when it is deleted while the page shows it."""
    first, gone = row_of(view, name=HOSTILE)["id"], put(view.bench.store, candidate(7))
    view.bench.versus = f"{first},{gone}"
    shown = looked_at(view.bench)
    assert "deleted" not in shown.table.object
    view.bench.store.delete(gone)
    asyncio.run(shown.refresh())
    assert f"deleted, {gone[:4]}" in shown.table.object


@pytest.mark.parametrize(("ids", "problem"), [("one", "got 1"), ("one,two", "no campaign one")])
def test_a_link_that_names_no_campaigns_says_so(view, ids, problem):
    """Too few, or of another database; and there are no cards of nothing."""
    view.bench.versus = ids
    shown = looked_at(view.bench)
    assert problem in shown.table.object
    assert not any(card.visible for card in shown.cards)
    view.bench.versus = ",".join(row["id"] for row in view.list.rows)
    asyncio.run(shown.refresh())
    assert all(card.visible for card in shown.cards)
