"""What the page looks at, tested by setting parameters."""

import asyncio
from types import SimpleNamespace

import panel as pn
import pytest
from handmade import candidate, put
from panel.util import edit_readonly

from explorer.campaign import CampaignState
from explorer.candidate import State
from explorer.lease import Leases, new_owner
from explorer.ui.page import Session
from explorer.ui.window import Window
from explorer.ui.workbench import Workbench, is_placed, lowest, may


def look(bench: Workbench) -> Workbench:
    """Read the store and take over what is new, as the pulse of a page does."""
    bench.take(bench.look())
    return bench


def test_candidates_arrive_and_change(store):
    """A second look brings only what is new, and nothing when nothing is."""
    campaign_id = put(store, candidate(0), candidate(1))
    bench = look(Workbench(store, campaign_id=campaign_id))
    assert [c.id for c in bench.in_order()] == ["000000", "000001"]
    before = bench.revision
    assert look(bench).revision == before


@pytest.mark.parametrize("seconds", [{"PACE": 600.0}, {"PACE": 0.0, "REDRAWING": 600.0}])
def test_plots_of_everything_follow_a_running_campaign_at_a_slower_pace(
    store, monkeypatch, seconds
):
    """A summary at the first look, none at the next, and one of all when the campaign ends.

    The more there is to draw, the slower.
    """
    for name, value in seconds.items():
        monkeypatch.setattr(f"explorer.ui.watched.{name}", value)
    campaign_id = put(store, candidate(0), state=CampaignState.QUEUED)
    bench = look(Workbench(store, campaign_id=campaign_id))
    first = bench.summary
    leases = Leases(store.engine, new_owner())
    lease = leases.take(campaign_id)
    store.put_candidates(lease, [candidate(1)])
    assert look(bench).summary == first < bench.revision
    leases.release(lease, CampaignState.FINISHED)
    assert look(bench).summary == bench.revision
    assert len(bench.in_order()) == 2


def test_another_campaign_starts_afresh(store):
    """Selection and candidates of one campaign never show up in another."""
    first, second = put(store, candidate(0)), put(store)
    bench = look(Workbench(store, campaign_id=first))
    bench.select_candidate("000000")
    bench.chosen = ["000000"]
    bench.campaign_id = second
    assert (bench.selected, bench.chosen, bench.candidates) == ("", [], {})
    assert look(bench).campaign.id == second


def test_a_late_answer_is_dropped(store):
    """News of a campaign that the page has left does not come back into it."""
    first, second = put(store, candidate(0)), put(store)
    bench = Workbench(store, campaign_id=first)
    news = bench.look()
    bench.campaign_id = second
    bench.take(news)
    assert bench.candidates == {}


def test_an_unknown_campaign_says_so(store):
    """A link to a campaign of another database gives a message, not an exception."""
    bench = look(Workbench(store, campaign_id="nowhere"))
    assert "nowhere" in bench.error


def test_only_relaxed_finite_candidates_are_placed(store):
    """What did not relax, or has no number, is not on the hull."""
    items = [
        candidate(3),
        candidate(1),
        candidate(0, State.FAILED, energy_above_hull=0.0),
        candidate(2, energy_above_hull=float("nan")),
    ]
    assert [is_placed(item) for item in items] == [True, True, False, False]
    assert [item.id for item in lowest(items, 5)] == ["000001", "000003"]
    assert len(lowest(items, 1)) == 1


def test_what_is_ticked_is_exported_else_what_is_selected(store):
    """Ticks win over the selection; crystals that were never built cannot be taken along."""
    undecodable = candidate(2, State.REJECTED, crystal=None, initial=None, formula="")
    bench = look(Workbench(store, campaign_id=put(store, candidate(0), candidate(1), undecodable)))
    assert bench.to_export() == []
    bench.select_candidate("000001")
    assert bench.to_export() == ["000001"]
    bench.chosen = ["000000", "000002"]
    assert bench.to_export() == ["000000"]


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (CampaignState.FINISHED, set()),
        (CampaignState.FAILED, {"resume"}),
        (CampaignState.STOPPED, {"resume"}),
        (CampaignState.QUEUED, {"pause", "stop"}),
    ],
)
def test_commands_that_make_sense(store, state, allowed):
    """A finished campaign takes no command, a failed or stopped one can be taken up again."""
    bench = look(Workbench(store, campaign_id=put(store, candidate(0), state=state)))
    assert {name for name, possible in may(bench.campaign).items() if possible} == allowed
    assert not any(may(None).values())


def test_a_paused_campaign_can_be_resumed(store):
    """Pause and resume are offered in turn."""
    campaign_id = put(store, candidate(0), state=CampaignState.QUEUED)
    store.command(campaign_id, "pause")
    bench = look(Workbench(store, campaign_id=campaign_id))
    assert may(bench.campaign) == {"pause": False, "resume": True, "stop": True}


def test_the_page_shows_what_it_looks_at(store):
    """A campaign, several compared, or the list: that one too when a link leads nowhere."""
    first, second = put(store, candidate(0)), put(store, candidate(1))
    session = Session(store)
    pages = (session.results, session.versus_page, session.welcome)

    def shown() -> list[bool]:
        look(session.bench)
        return [page.visible for page in pages]

    assert shown() == [False, False, True]
    session.bench.campaign_id = first
    assert shown() == [True, False, False]
    session.bench.versus = f"{first},{second}"
    assert shown() == [False, True, False]
    session.bench.campaign_id = "nowhere"
    assert shown() == [False, False, True]
    assert session.bench.versus == ""


def test_a_link_fills_a_form_that_can_be_run_at_once(store):
    """What is sent to the browser first has Run on, and none of it waits for another answer."""

    async def first_sent() -> tuple[bool, str]:
        session = Session(store)
        session._follow_link(SimpleNamespace(search="?elements=Al-Ca-Cu&n=24"))
        return session.constraints.run_button.disabled, session.constraints.reason.object

    disabled, reason = asyncio.run(first_sent())
    assert not disabled
    assert "24 crystals of Al-Ca-Cu" in reason


def test_a_campaign_that_fills_the_form_is_no_step_of_the_history(store):
    """The address stays as it was, else the browser's way back would lead here again."""
    campaign = store.campaign(put(store, candidate(0)))
    session, location = Session(store), SimpleNamespace(search=f"?campaign={campaign.id}")
    session._follow_link(location)
    asyncio.run(session._recall(campaign))
    assert session.draft.elements == sorted(campaign.spec.elements) != []
    assert location.search == f"?campaign={campaign.id}"
    session.draft.n = 5
    assert f"campaign={campaign.id}" in location.search
    assert "n=5" in location.search


def test_a_page_is_not_told_of_what_other_sessions_do(store):
    """Panel marks every page busy while any session's callback runs: a message to each, twice."""
    before = len(pn.state.param.watchers["busy"]["value"])
    page = Session(store).page()
    assert len(pn.state.param.watchers["busy"]["value"]) == before  # else no page is ever forgotten
    with edit_readonly(pn.state):
        pn.state.busy = True
    try:
        assert not page.busy
    finally:
        with edit_readonly(pn.state):
            pn.state.busy = False


def test_a_tab_shows_again_what_it_showed_of_its_campaign(store):
    """Selection, ticks and filters come back; those of another campaign, or nonsense, do not."""
    bench = Workbench(store, campaign_id=put(store, candidate(1), candidate(2)))
    bench.take(bench.look())
    first = Window()
    first.restore(bench)
    bench.select_candidate("000002")
    bench.param.update(chosen=["000001"], threshold=0.25, starred_only=True)
    again = Workbench(store, campaign_id=bench.campaign_id)
    Window(kept=first.view).restore(again)
    assert (again.selected, again.chosen) == ("candidate:000002", ["000001"])
    assert (again.threshold, again.starred_only) == (0.25, True)
    for kept in (first.view.replace(bench.campaign_id, "other"), "", "[]", "{", '{"a": 1}'):
        other = Workbench(store, campaign_id=bench.campaign_id)
        Window(kept=kept).restore(other)
        assert other.selected == ""


def test_cards_are_made_once_a_campaign_is_opened(store):
    """A page where a search starts has none; a campaign brings all of them, once."""
    session = Session(store)
    session.page()
    assert (session.views, len(session.results)) == (None, 0)
    first, second = (put(store, candidate(0)) for _ in range(2))
    session.bench.campaign_id = first
    views = session.views
    session.bench.campaign_id = ""
    session.bench.campaign_id = second
    assert session.views is views
    assert len(session.results) == 2  # the cards and the dialog beside them


def test_what_cards_show_comes_once_the_browser_has_drawn_them(store):
    """A page that is open already reads nothing for them before that."""
    session = Session(store)
    session.page()

    async def open_campaign() -> list[int]:
        seen = []
        await session._begin()
        session.bench.campaign_id = put(store, candidate(0))
        await session.look()
        seen.append(len(session.bench.candidates))
        session.views._table.keys.drawn = True
        await session.look()
        seen.append(len(session.bench.candidates))
        return seen

    assert asyncio.run(open_campaign()) == [0, 1]
