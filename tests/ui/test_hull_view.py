"""What stands below the hull: energies, what is missing, and what a crowd on it means."""

import asyncio

from handmade import candidate, put

from explorer.candidate import State
from explorer.ui.hull_view import AFTER, NOBODY, HullView
from explorer.ui.workbench import Workbench


def said_below(store, *candidates, **spec) -> str:
    """Return what stands below the hull of a campaign with these candidates."""
    bench = Workbench(store, campaign_id=put(store, *candidates, **spec))
    view = HullView(bench)
    bench.take(bench.look())
    asyncio.run(view._redraw())
    return view.level.object


def test_a_hull_without_a_candidate_says_so(store):
    """Nothing relaxed looks like nothing drawn, or like a figure that failed to load."""
    failed = candidate(1, State.FAILED)
    for elements in (("Ca", "Cu"), ("Cs", "F", "K", "Li", "Na")):
        assert NOBODY in said_below(store, failed, elements=elements)
    assert NOBODY not in said_below(store, candidate(1))


def test_a_crowd_on_the_hull_is_sent_only_to_a_button_that_there_is(store):
    """Among any elements no hull is drawn that candidates could share."""
    crowd = [candidate(index, energy_above_hull=0.0) for index in range(5)]
    assert AFTER in said_below(store, *crowd)
    told = said_below(store, *crowd, elements=(), spacegroups=(225,))
    assert "So many are a sign" in told
    assert AFTER not in told
