"""The number of skeletons, against the automaton that draws them."""

import pytest

from model.constraints import Constraints
from model.elements import elements
from model.estimate import count_skeletons
from model.grammar import END, Skeletons
from model.headers import HeaderGrammar
from model.tokens import ELEMENT_0, SPACEGROUP_0

KNOWN = tuple(str(symbol) for symbol in elements().symbol[:20])


def walked(constraints: Constraints, group: int) -> int:
    """Count by walking every skeleton of the one element set."""
    grammar = HeaderGrammar(constraints, KNOWN)
    tokens = (*(ELEMENT_0 + int(z) - 1 for z in grammar.pool), SPACEGROUP_0 + group - 1)
    skeletons = Skeletons(grammar.header(tokens))

    def from_here(state) -> int:
        letters = skeletons.letters(state)
        total = int(letters[END])
        for letter in letters[:END].nonzero()[0]:
            for slot in skeletons.slots(state, int(letter)).nonzero()[0]:
                total += from_here(skeletons.after(state, int(letter), int(slot)))
        return total

    return from_here(skeletons.start) if skeletons.possible() else 0


@pytest.mark.parametrize(
    ("group", "fields"),
    [
        (139, {"elements": "Al-Ca", "max_atoms": 7}),
        (139, {"elements": "Al-Ca-C", "max_atoms": 6}),
        (225, {"elements": "Al-Ca-C-O", "max_atoms": 9}),
        (1, {"elements": "Al-Ca", "max_atoms": 7}),
        (47, {"elements": "Al", "max_atoms": 3}),
        (139, {"elements": "Al-Ca-C", "max_atoms": 6, "sites": ["139:2a=Ca"]}),
        (139, {"elements": "Al-Ca", "max_atoms": 9, "sites": ["139:4e=Ca", "139:4e=Al,Ca"]}),
        (139, {"elements": "Al-Ca", "max_atoms": 8, "sites": ["139:4e", "139:2b=Al"]}),
        (139, {"formula": "CaAl2C2", "max_atoms": 10}),
        (62, {"formula": "CaO", "max_atoms": 24}),
        (225, {"formula": "CaAl2", "max_atoms": 12}),
        (139, {"formula": "CaAl4", "max_atoms": 10, "sites": ["139:4e=Al"]}),
        (139, {"formula": "CaAl2", "max_atoms": 12, "sites": ["139:4e=Al", "139:4e=Al,Ca"]}),
        (227, {"elements": "Al-Ca-C", "max_atoms": 4}),
        (139, {"elements": "Al-Ca-C", "max_atoms": 6, "sites": ["139:4d=none", "139:4e=none"]}),
        (139, {"elements": "Al-Ca", "max_atoms": 8, "sites": ["139:4e", "139:2b=none"]}),
        (225, {"formula": "CaAl2", "max_atoms": 12, "sites": ["225:8c=none", "139:2a=none"]}),
        (62, {"formula": "CaO", "max_atoms": 24, "sites": ["62:8d=none", "62:4b=none"]}),
        (227, {"elements": "Al-Ca", "max_atoms": 4, "sites": ["227:8a=none", "227:8b=none"]}),
    ],
)
def test_counts_are_those_of_the_automaton(group, fields):
    """Letters with and without freedom, sites to fill and to leave, formulas; also none at all."""
    constraints = Constraints.parse(**{"spacegroups": group} | fields)
    counted = count_skeletons(constraints, KNOWN, seconds=60)
    assert counted.exact
    assert counted.number == walked(constraints, group)


def test_overlapping_element_lists_are_matched():
    """Two sites on 4e, one of them Al: all multisets on 4e that hold an Al and something more."""
    sites = ["139:4e=Al", "139:4e"]
    constraints = Constraints.parse("Al-Ca", spacegroups=139, sites=sites, max_atoms=5)
    # 2a, 2b (1 atom), 4c, 4d, 4e (2 atoms); two sites on 4e leave one atom, that of 2a or 2b
    with_calcium = 1 + 2 * 2  # Al Ca on 4e, alone or with either element on 2a or 2b
    without = 2  # Al Al on 4e with Ca on 2a or 2b
    assert count_skeletons(constraints, KNOWN, seconds=60) == (with_calcium + without, True)


def test_element_sets_are_counted_by_what_they_may_do():
    """Any elements: as many times as there are sets, sites told apart."""
    fields = {"spacegroups": 225, "max_atoms": 3}
    one = count_skeletons(Constraints.parse("Al", **fields), KNOWN).number
    two = count_skeletons(Constraints.parse("Al-Ca", **fields), KNOWN).number
    both = count_skeletons(Constraints.parse("Al-Ca", subset=True, **fields), KNOWN).number
    assert both == 2 * one + two
    triple = count_skeletons(Constraints.parse("Al-Ca-C", **fields), KNOWN).number
    anything = count_skeletons(Constraints.parse(**fields), KNOWN).number
    assert anything == 20 * one + 190 * two + 1140 * triple


def test_without_time_the_count_is_a_bound():
    """It never claims more than it has counted."""
    constraints = Constraints.parse("Al-Ca-C")
    short = count_skeletons(constraints, KNOWN, seconds=0.0)
    assert not short.exact
    assert short.number <= count_skeletons(constraints, KNOWN, seconds=60).number
