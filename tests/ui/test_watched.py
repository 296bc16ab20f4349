"""What pages of one server share of a campaign, and what stays each page's own."""

import asyncio
import threading

import pytest
from handmade import candidate, put
from sqlalchemy import event

from explorer.campaign import CampaignState
from explorer.lease import Leases, new_owner
from explorer.ui.distributions_view import DistributionsView
from explorer.ui.hull_view import HullView
from explorer.ui.table_rows import SELECTED
from explorer.ui.table_view import TableView
from explorer.ui.watched import Gathered
from explorer.ui.workbench import Workbench
from explorer.users import User

ANN, BOB = User.named("ann"), User.named("bob")
LONG = 600.0


def watching(store, campaign_id, age=LONG):
    """Return the bench of a page that watches a campaign and takes what others have read."""
    bench = Workbench(store, campaign_id=campaign_id)
    bench.take(bench.look(age))
    return bench


def add(store, campaign_id, *items):
    """Let a runner add candidates to a campaign that is queued, and end it."""
    leases = Leases(store.engine, new_owner())
    lease = leases.take(campaign_id)
    store.put_candidates(lease, list(items))
    leases.release(lease, CampaignState.FINISHED)


def test_pages_of_one_campaign_read_the_store_once(store):
    """However many look at the same time, and none of them holds candidates of its own."""
    campaign_id = put(store, candidate(0), candidate(1))
    first = watching(store, campaign_id)
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    others = [watching(store, campaign_id) for _ in range(5)]
    assert statements == []
    assert all(other.gathered is first.gathered for other in others)
    assert list(others[0].candidates) == ["000000", "000001"]
    assert watching(store, campaign_id, age=0.0).gathered is first.gathered  # nothing has changed
    assert statements


@pytest.mark.parametrize(("seconds", "looks"), [(60.0, 1), (0.0, 3)])
def test_a_long_campaign_is_read_as_far_as_there_is_time(store, monkeypatch, seconds, looks):
    """Batch by batch; what is missing comes with the next looks, and none comes twice."""
    monkeypatch.setattr("explorer.ui.watched.BATCH", 2)
    monkeypatch.setattr("explorer.ui.watched.READING", seconds)
    bench = Workbench(store, campaign_id=put(store, *map(candidate, range(5))))
    for look in range(1, looks + 1):
        bench.take(bench.look())
        assert len(bench.candidates) == (5 if look == looks else 2 * look)
    assert [each.index for each in bench.in_order()] == list(range(5))


def test_another_campaign_or_store_is_read_by_itself(store, tmp_path):
    """Two campaigns never mix, nor two stores that happen to know the same id."""
    first, second = put(store, candidate(0)), put(store, candidate(1))
    one, other = watching(store, first), watching(store, second)
    assert (list(one.candidates), list(other.candidates)) == (["000000"], ["000001"])
    one.campaign_id = second
    assert list(one.candidates) == []
    one.take(one.look(LONG))
    assert one.gathered is other.gathered
    elsewhere = type(store)(tmp_path / "elsewhere.db")
    assert "no campaign" in Workbench(elsewhere, campaign_id=second).look(LONG).error
    elsewhere.close()


def test_a_page_that_comes_later_sees_all_at_once(store):
    """What others gathered is there at its first look; what comes afterwards reaches both."""
    campaign_id = put(store, candidate(0), state=CampaignState.QUEUED, n=9)
    early = watching(store, campaign_id)
    add(store, campaign_id, candidate(1), candidate(2))
    late = watching(store, campaign_id, age=0.0)
    assert sorted(late.candidates) == ["000000", "000001", "000002"]
    before, seen = early.gathered, early.revision
    early.take(early.look(LONG))
    assert early.gathered is late.gathered
    assert early.revision == seen + 1
    assert list(before.by_id) == ["000000"]  # what was drawn of it stays true


def test_a_page_sees_its_own_star_at_once_and_others_soon(store):
    """A reading from before its star does not take it away again."""
    campaign_id = put(store, candidate(0))
    mine, theirs = watching(store, campaign_id), watching(store, campaign_id)
    before = theirs.look(LONG)
    mine.mark("000000", starred=True)
    mine.take(before)
    assert mine.is_starred("000000")
    mine.take(mine.look(LONG))
    assert mine.is_starred("000000")
    theirs.take(theirs.look(LONG))  # of what the first has read
    assert theirs.is_starred("000000")


def test_an_older_look_does_not_undo_a_newer_one(store):
    """Looks of a page may overtake one another: it shows the last reading."""
    campaign_id = put(store, candidate(0), state=CampaignState.QUEUED)
    bench = Workbench(store, campaign_id=campaign_id)
    late = bench.look()
    store.command(campaign_id, "pause")
    bench.take(bench.look())
    bench.take(late)
    assert bench.campaign.state == CampaignState.PAUSED


def test_who_may_not_look_gets_nothing_that_others_have_read(store):
    """In the same words as for a campaign that does not exist; no longer shared is gone at once."""
    anns, bobs = store.of(ANN), store.of(BOB)
    campaign_id = put(anns, candidate(0))
    owner = watching(anns, campaign_id)
    assert owner.candidates
    unknown = Workbench(bobs, campaign_id="nowhere").look(LONG).error
    bench = Workbench(bobs, campaign_id=campaign_id)
    assert bench.look(LONG).error == unknown.replace("nowhere", campaign_id)
    anns.share(campaign_id)
    bench.take(bench.look())
    assert bench.gathered is owner.gathered
    anns.share(campaign_id, False)
    assert bench.look().snapshot is None


def test_deleted_and_renamed_campaigns_reach_all(store):
    """Whoever reads next brings it to the others."""
    campaign_id = put(store, candidate(0))
    pages = [watching(store, campaign_id) for _ in range(2)]
    store.rename(campaign_id, "Mine")
    store.delete(campaign_id)
    pages[0].take(pages[0].look())
    pages[1].take(pages[1].look(LONG))
    assert [page.campaign.spec.name for page in pages] == ["Mine", "Mine"]
    assert all(page.campaign.deleted for page in pages)


def test_the_same_hull_is_drawn_once(store, monkeypatch):
    """Pages with one view share a drawing; another theme, limit or selection is another one."""
    campaign_id = put(store, candidate(0), candidate(1))
    drawn = counted(monkeypatch, "explorer.ui.hull_view.hull_figure")
    benches = [watching(store, campaign_id) for _ in range(4)]
    views = [HullView(bench) for bench in benches]
    benches[2].dark = True
    benches[3].select_candidate("000001")
    asyncio.run(redraw(views))
    assert len(drawn) == 3
    figures = [view.plot.figure for view in views]
    assert figures[0] == figures[1]
    assert figures[0]["layout"]["font"] != figures[2]["layout"]["font"]
    assert ringed(figures[0]) == 0
    assert ringed(figures[3]) == 1
    assert drawn[0] != threading.get_ident()  # beside the event loop


def test_the_same_distributions_are_drawn_once(store, monkeypatch):
    """Two pages with one limit share them, a third has its own."""
    campaign_id = put(store, candidate(0), candidate(40))
    drawn = counted(monkeypatch, "explorer.ui.distributions_view.distributions_figure")
    benches = [watching(store, campaign_id) for _ in range(3)]
    views = [DistributionsView(bench) for bench in benches]
    benches[2].threshold = 0.1
    asyncio.run(redraw(views))
    assert len(drawn) == 2
    assert views[0].note.object == views[1].note.object != views[2].note.object


def test_rows_are_shared_and_marks_are_not(store):
    """One page's dot, filter and ticks are not seen in another; the rows are made once."""
    campaign_id = put(store, candidate(0), candidate(1))
    benches = [watching(store, campaign_id) for _ in range(2)]
    tables = [TableView(bench) for bench in benches]
    benches[0].mark("000001", starred=True)
    benches[0].select_candidate("000000")
    benches[0].chosen = ["000001"]
    for table in tables:
        table._fill()
    assert list(tables[0].table.value["mark"]) == [SELECTED, ""]
    assert list(tables[1].table.value["mark"]) == ["", ""]
    assert list(tables[0].table.value["star"]) == ["☆", "★"]
    assert [table.table.selection for table in tables] == [[1], []]
    benches[0].starred_only = True
    assert list(tables[0].table.value["number"]) == ["000001"]
    assert len(tables[1].table.value) == 2


def test_a_drawing_that_failed_is_tried_again():
    """And a page that leaves while it is made takes it from nobody."""
    gathered, tries = Gathered(), []

    def draw() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("no")
        return "drawn"

    async def ask() -> str:
        with pytest.raises(ValueError, match="no"):
            await gathered.drawn("it", draw)
        leaving = asyncio.ensure_future(gathered.drawn("it", draw))
        staying = asyncio.ensure_future(gathered.drawn("it", draw))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(ask()) == "drawn"
    assert len(tries) == 2


def counted(monkeypatch, name):
    """Let a function go on as it does; returns a list that gets the thread of each call."""
    module, _, function = name.rpartition(".")
    drawer = getattr(__import__(module, fromlist=[function]), function)
    calls = []

    def draw(*arguments, **options):
        calls.append(threading.get_ident())
        return drawer(*arguments, **options)

    monkeypatch.setattr(name, draw)
    return calls


async def redraw(views):
    """Let all views draw at the same time."""
    await asyncio.gather(*(view._redraw() for view in views))


def ringed(figure):
    """Return how many points are ringed as selected."""
    return sum(len(trace["x"]) for trace in figure["data"] if trace.get("uid") == "SELECTED")
