"""The relaxation to scrub: frames, curves, and words where there is nothing to show."""

import asyncio

import pytest
from handmade import candidate, put, trace_of

from explorer.candidate import State
from explorer.ui.relaxation_view import NO_TRACE
from explorer.ui.viewer import ViewerView
from explorer.ui.viewer_tabs import MATCH, RELAXATION
from explorer.ui.workbench import Workbench


@pytest.fixture
def bench(store):
    """Return a workbench on four candidates; one has its trace."""
    items = (
        candidate(0),
        candidate(1),
        candidate(2, State.WAITING),
        candidate(3, State.DUPLICATE, matched="000000"),
    )
    traces = {"000001": trace_of(items[1])}
    bench = Workbench(store, campaign_id=put(store, *items, traces=traces))
    bench.take(bench.look())
    return bench


def shown(bench, name: str, tab: str = RELAXATION) -> ViewerView:
    """Return the viewer of a candidate with a tab open."""
    view = ViewerView(bench)
    bench.select_candidate(name)
    view.tab.value = tab
    look(view)
    return view


def look(view) -> None:
    """Draw anew, whatever the views' own watchers have drawn."""
    view._shown = ()
    asyncio.run(view._show())


def edge(view) -> float:
    """Return the largest distance of an atom that is drawn from the cell's middle, Å."""
    atoms = next(part for part in view.scene.scene["contents"] if part["name"] == "atoms")
    return max(abs(x) for sphere in atoms["contents"] for x in sphere["positions"][0])


def marked(view) -> float:
    """Return the step that the curves mark."""
    shapes = view.relaxation.plot.figure["layout"]["shapes"]
    return next(shape["x0"] for shape in shapes if shape["x0"] == shape["x1"])


def test_the_last_frame_comes_first_and_the_slider_goes_back(bench):
    """Player, curves and crystal follow one another; the crystal of the first step is larger."""
    view = shown(bench, "000001")
    player = view.relaxation.player
    assert view.relaxation.box.visible
    assert (player.values, player.value, marked(view)) == ([0, 1, 2, 3, 4], 4, 4)
    small = edge(view)
    player.value = 0
    look(view)
    assert marked(view) == 0
    assert edge(view) == pytest.approx(1.05 * small)
    view.relaxation.plot.clicked = ["2", 1]
    look(view)
    assert (player.value, marked(view)) == (2, 2)


def test_as_drawn_is_the_first_frame(bench):
    """The choice of the stage moves the relaxation, and another crystal starts it over."""
    view = shown(bench, "000001")
    bench.stage = "initial"
    look(view)
    assert marked(view) == 0
    bench.stage = "relaxed"
    look(view)
    assert marked(view) == 4
    view.relaxation.player.direction = 1
    bench.select_candidate("000000")
    assert view.relaxation.player.direction == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [("000000", NO_TRACE), ("000002", "waits for its turn"), ("000003", "equals crystal 000000")],
)
def test_without_a_trace_the_tab_says_why(bench, name, words):
    """The crystal is shown all the same."""
    view = shown(bench, name)
    assert words in view.details.object
    assert view.scene.scene is not None
    assert not view.relaxation.box.visible


def test_the_curves_leave_with_the_tab(bench):
    """Another tab hides them and stops what plays."""
    view = shown(bench, "000001")
    view.relaxation.player.direction = 1
    view.tab.value = MATCH
    look(view)
    assert not view.relaxation.box.visible
    assert view.relaxation.player.direction == 0
