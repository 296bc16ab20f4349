"""The retrieval curve from the verdicts of a campaign."""

import holoviews as hv
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from explorer.candidate import Candidate, State
from explorer.figures.retrieval import (
    BASELINES,
    NO_LINE,
    NOTHING,
    curve_of,
    curve_words,
    finders,
    retrieval_figure,
    whole_ticks,
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


def test_the_figure_is_told_in_words():
    """With the numbers at its end, of baselines those that had as many crystals."""
    relaxed = [known(k, "a", state=State.RELAXED) for k in range(2)]
    curve = curve_of([*relaxed, known(2)], ["a", "b"])
    alone = "1 of 2 targets found within 3 crystals drawn and 2 relaxations"
    assert curve_words(curve) == alone
    far = Curve(np.array([0, 3, 900]), np.array([0, 1, 2]), np.zeros(1), np.zeros(1), total=2)
    told = curve_words(curve, {"similarity": far})
    assert told == f"{alone}; prototypes by similarity found 1"
    empty = curve_words(NOTHING, {"similarity": NO_LINE})
    assert empty == "0 of 0 targets found within 0 crystals drawn and 0 relaxations"


def test_axes_reach_the_last_crystal_and_count_in_whole_numbers():
    """The figure of a long campaign shows all of it; no tick stands at half a target."""
    drawn = hv.render(retrieval_figure(curve_of([known(i, "a") for i in range(64)], ["a"])))
    assert (drawn.x_range.end, drawn.y_range.start) == (64, 0)
    assert drawn.yaxis[0].ticker.ticks == whole_ticks(1) == [0, 1]
    assert whole_ticks(64) == [0, 20, 40, 60]
    assert drawn.tools == []  # nothing on the page would bring back what the wheel had moved


def test_baselines_are_drawn_under_the_campaign_as_far_as_it_is():
    """A line more for each; the axes stay those of the campaign."""
    curve = curve_of([known(0, "a"), known(1)], ["a", "b"])
    far = Curve(np.array([0, 3, 900]), np.array([0, 1, 2]), np.zeros(1), np.zeros(1), total=2)
    alone, both = retrieval_figure(curve), retrieval_figure(curve, {"similarity": far})
    assert len(both) == len(alone) + 1
    assert BASELINES["similarity"][0] in [line.label for line in both]
    figure = hv.render(both)
    assert (figure.x_range.start, figure.x_range.end) == (0, 2)
