"""The pulse of a page: looks of many pages leave time for clicks, and what they move."""

from itertools import pairwise

import pytest

from explorer.candidate import Candidate, State
from explorer.figures.retrieval import curve_of
from explorer.ui.live_retrieval import LiveRetrieval
from explorer.ui.pulse import REST, Turns


def test_looks_of_many_pages_leave_the_server_time():
    """Thirty pages that want to look at once come one after the other, with rests in between."""
    turns = Turns()
    turns.seconds = 0.05
    when = [turns.next(now=100.0) for _ in range(30)]
    assert when[0] == 100.0
    assert [b - a for a, b in pairwise(when)] == pytest.approx([REST * 0.05] * 29)


def test_a_page_alone_never_waits():
    """Its next look, a period later, comes when it is asked for; even if looks have been slow."""
    turns = Turns()
    turns.seconds = 0.1
    assert [turns.next(now) for now in (5.0, 5.7, 6.4)] == [5.0, 5.7, 6.4]


def test_looks_that_take_longer_come_less_often():
    """The rest follows what looks take on average."""
    turns = Turns()
    for _ in range(3):
        with turns.measured():
            sum(range(200_000))
    first, second = turns.next(0.0), turns.next(0.0)
    assert second - first == REST * turns.seconds > 0


def test_a_live_figure_follows_the_campaign():
    """Lines, axes and baselines move in the figure that is there; corners say all of a curve."""
    live = LiveRetrieval()
    figure = live.figure
    for size in (5, 700):
        curve = curve_of([drawn_crystal(i, found=i >= 3) for i in range(size)], ["a", "b"])
        live.show(curve, {"similarity": curve} if size > 5 else {})
        assert (figure.x_range.end, figure.y_range.end) == (size, pytest.approx(2.16))
        for axis, grid in zip((*figure.xaxis, *figure.yaxis), figure.grid, strict=True):
            assert (axis.ticker.min_interval, axis.ticker.num_minor_ticks) == (1, 0)
            assert grid.ticker is axis.ticker
        ceiling, similar, frequent, drawn, _ = (
            tuple(line.data_source.data.values()) for line in figure.renderers
        )
        assert ceiling[0].tolist() == [0, size]
        assert (len(similar[0]) > 0, len(frequent[0])) == (size > 5, 0)
        assert [axis.tolist() for axis in drawn] == [[0, 4, 4, size], [0, 0, 1, 1]]


def drawn_crystal(index: int, found: bool) -> Candidate:
    """Return a crystal that equals the target "a", or nothing."""
    targets = ("a",) if found else ()
    return Candidate(id=str(index), index=index, state=State.KNOWN, targets=targets)
