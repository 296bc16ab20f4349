"""The retrieval curve from the verdicts of a campaign."""

import holoviews as hv
import numpy as np
import pytest
from holoviews.streams import Pipe
from hypothesis import given
from hypothesis import strategies as st

from explorer.candidate import Candidate, State
from explorer.figures.retrieval import (
    BASELINES,
    NOTHING,
    curve_of,
    finders,
    live_figure,
    retrieval_figure,
)
from explorer.retrieval import Curve


def known(index, *targets, state=State.KNOWN):
    """Return a candidate that equals targets."""
    return Candidate(id=str(index), index=index, state=state, targets=targets)


def test_each_target_counts_once():
    """A phase that is drawn twice is found once; phases that are no targets do not count."""
    candidates = [known(0, "a"), known(1, "a"), known(2, "other"), known(3, "b")]
    curve = curve_of(candidates, ["a", "b", "c"])
    assert curve.found_by_crystals.tolist() == [0, 1, 1, 1, 2]
    assert curve.total == 3


def test_only_relaxations_advance_the_second_curve():
    """Crystals that were never relaxed cost no relaxation."""
    candidates = [
        known(0, "a"),
        known(1, "b", state=State.RELAXED),
        known(2, "c", state=State.FAILED),
    ]
    curve = curve_of(candidates, ["a", "b", "c"])
    assert curve.relaxations.tolist() == [0, 1, 2]
    assert curve.found_by_relaxations.tolist() == [0, 2, 3]


def test_duplicates_of_candidates_are_no_retrieval():
    """Equal to an earlier candidate is not equal to a target."""
    twin = Candidate(id="1", index=1, state=State.DUPLICATE, matched="a")
    assert curve_of([twin], ["a"]).found_by_crystals.tolist() == [0, 0]


def test_the_first_crystal_is_the_finder():
    """The list names the crystal that found a target first; strangers are left out."""
    candidates = [known(0, "other"), known(3, "a"), known(5, "a", "b")]
    first = finders(candidates, ["a", "b", "c"])
    assert {name: candidate.index for name, candidate in first.items()} == {"a": 3, "b": 5}


@given(st.lists(st.sets(st.sampled_from("abcdx"), max_size=3), max_size=30))
def test_the_curve_never_falls_and_never_passes_the_number_of_targets(equalled):
    """Whatever is drawn, both curves grow from 0 to the number of distinct targets found."""
    states = [State.RELAXED, State.KNOWN, State.DUPLICATE, State.FAILED]
    drawn = [known(i, *names, state=states[i % 4]) for i, names in enumerate(equalled)]
    curve = curve_of(drawn, ["a", "b", "c", "d"])
    for found in (curve.found_by_crystals, curve.found_by_relaxations):
        assert found[0] == 0
        assert (np.diff(found) >= 0).all()
        assert found[-1] <= curve.total == 4
    assert curve.found_by_crystals[-1] == len(set().union(*equalled) - {"x"})


def test_the_figure_draws_with_and_without_data():
    """An empty campaign has an empty plot, not an error."""
    for curve in (NOTHING, curve_of([known(0, "a")], ["a"])):
        assert isinstance(hv.render(retrieval_figure(curve)), object)


def test_axes_reach_the_last_crystal_and_count_in_whole_numbers():
    """The figure of a long campaign shows all of it; no tick stands at half a target."""
    drawn = hv.render(retrieval_figure(curve_of([known(i, "a") for i in range(64)], ["a"])))
    assert (drawn.x_range.end, drawn.y_range.start) == (64, 0)
    for axis in (*drawn.xaxis, *drawn.yaxis):
        assert (axis.ticker.min_interval, axis.ticker.num_minor_ticks) == (1, 0)


def test_a_live_figure_follows_what_is_sent():
    """Lines, axes and baselines move in the figure that is there; corners say all of a curve."""
    pipe = Pipe(data=(NOTHING, {}))
    plot = hv.renderer("bokeh").get_plot(live_figure(pipe))
    figure = plot.state
    for size in (5, 700):
        curve = curve_of([known(i, *("a" * (i >= 3))) for i in range(size)], ["a", "b"])
        pipe.send((curve, {"similarity": curve} if size > 5 else {}))
        assert plot.state is figure
        assert (figure.x_range.end, figure.y_range.end) == (size, pytest.approx(2.16))
        ceiling, similar, frequent, drawn, _ = (
            tuple(line.data_source.data.values())[:2] for line in figure.renderers
        )
        assert ceiling[0].tolist() == [0, size]
        assert (len(similar[0]) > 0, len(frequent[0])) == (size > 5, 0)
        assert (drawn[0][-1], drawn[1][-1], len(drawn[0]) < 8) == (size, 1, True)
        assert np.interp(3.5, *drawn) == 0


def test_baselines_are_drawn_under_the_campaign_as_far_as_it_is():
    """A line more for each; the axes stay those of the campaign."""
    curve = curve_of([known(0, "a"), known(1)], ["a", "b"])
    far = Curve(np.array([0, 3, 900]), np.array([0, 1, 2]), np.zeros(1), np.zeros(1), total=2)
    alone, both = retrieval_figure(curve), retrieval_figure(curve, {"similarity": far})
    assert len(both) == len(alone) + 1
    assert BASELINES["similarity"][0] in [line.label for line in both]
    figure = hv.render(both)
    assert (figure.x_range.start, figure.x_range.end) == (0, 2)
