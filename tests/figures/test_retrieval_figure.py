"""The retrieval curve from the verdicts of a campaign."""

import holoviews as hv

from explorer.candidate import Candidate, State
from explorer.figures.retrieval import NOTHING, curve_of, retrieval_figure


def known(index, phase, state=State.KNOWN):
    """Return a candidate that equals a known phase."""
    return Candidate(id=str(index), index=index, state=state, novel=False, matched=phase)


def test_each_target_counts_once():
    """A phase that is drawn twice is found once; phases that are no targets do not count."""
    candidates = [known(0, "a"), known(1, "a"), known(2, "other"), known(3, "b")]
    curve = curve_of(candidates, ["a", "b", "c"])
    assert curve.found_by_crystals.tolist() == [0, 1, 1, 1, 2]
    assert curve.total == 3


def test_only_relaxations_advance_the_second_curve():
    """Crystals that were never relaxed cost no relaxation."""
    candidates = [known(0, "a"), known(1, "b", State.RELAXED), known(2, "c", State.FAILED)]
    curve = curve_of(candidates, ["a", "b", "c"])
    assert curve.relaxations.tolist() == [0, 1, 2]
    assert curve.found_by_relaxations.tolist() == [0, 2, 3]


def test_duplicates_of_candidates_are_no_retrieval():
    """Equal to an earlier candidate is not equal to a known phase."""
    twin = Candidate(id="1", index=1, state=State.DUPLICATE, matched="a")
    assert curve_of([twin], ["a"]).found_by_crystals.tolist() == [0, 0]


def test_the_figure_draws_with_and_without_data():
    """An empty campaign has an empty plot, not an error."""
    for curve in (NOTHING, curve_of([known(0, "a")], ["a"])):
        assert isinstance(hv.render(retrieval_figure(curve)), object)
