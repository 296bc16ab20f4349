"""Campaigns on the same axes: equal budgets, honest differences, one hull."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.candidate import State
from explorer.figures.asked import FIELDS, value_words
from explorer.figures.distributions import distributions_figure, distributions_of
from explorer.figures.hull_picture import known_picture
from explorer.figures.picture import HullPicture, Kind
from explorer.figures.seeds import band, seed_words, seeds_alike
from explorer.figures.style import BUTTONS
from explorer.figures.thumbnail import HEIGHT, WIDTH, hull_thumbnail
from explorer.figures.versus import Budget, Contender, differences, funnel, under
from explorer.figures.versus_figures import energies_versus, hull_versus, retrieval_versus
from explorer.structure_files import NamedStructure
from explorer.targets import TargetList

ANOTHER = {
    "elements": ("Al", "Cu"), "formula": "CaAl2", "spacegroups": (1,), "sites": ("139:2a=Ca",),
    "max_atoms": 8, "stability": "any", "subset": True, "required": ("Ca",), "excluded": ("Cu",),
    "n": 7, "seed": 5, "temperature": 2.0, "top_p": 0.9, "search": "likeliest", "best_of": 2,
    "geometry_temperature": 0.5, "again": 2.0, "templates": True, "unknown": 1.0, "variants": True,
    "prototypes": True, "retry_every": 6, "generator": "random", "samples": "a.zip",
    "samples_of": "b", "potential": "emt", "fmax": 0.1, "max_steps": 9, "first": "emt",
    "give_up": 1.0, "relax_below": 0.2, "rattle": 0.05, "relax_known": True,
    "keep_symmetry": True,
    "references": "c.parquet", "hull": "filled", "checkpoint": "d",
}  # fmt: skip
"""A value of each field that no campaign here has."""


def campaign(known_as, facts=None, **spec) -> Campaign:
    """Return a finished campaign of Al-Ca."""
    asked = CampaignSpec(**{"elements": ("Al", "Ca"), "n": 9} | spec)
    times = (0.0,) * 6
    return Campaign(known_as, asked, CampaignState.FINISHED, "", "run", {}, *times, 0, facts or {})


@pytest.fixture
def contenders(make_candidate):
    """Return two campaigns: five crystals of which three relaxed, and four that all did."""

    def candidate(index, above, **changes):
        return replace(make_candidate(index, "Al", "Ca", above=above, energy=-0.3), **changes)

    first = (
        candidate(0, 0.2),
        candidate(1, 0.0, targets=("salt",)),
        candidate(2, 0.0, state=State.DUPLICATE),
        candidate(3, 0.4, state=State.FAILED),
        candidate(4, -0.05),
    )
    second = tuple(candidate(index, 0.05 * index) for index in range(4))
    salt = make_candidate(9, "Al", "Ca", above=0.0, energy=0.0).initial
    targets = TargetList((NamedStructure("salt", salt),), "wanted")
    return (
        Contender(campaign("one"), first, targets),
        Contender(campaign("two", generator="random", seed=3), second, targets),
    )


def drawn(contenders) -> list[int]:
    """Return how many crystals of each count."""
    return [len(contender.candidates) for contender in contenders]


def test_a_budget_cuts_to_what_the_shortest_has_spent(contenders):
    """By crystals four of each, by relaxations those of four, else all."""
    assert drawn(under(contenders, Budget.CRYSTALS)) == [4, 4]
    assert drawn(under(contenders, Budget.RELAXATIONS)) == [5, 4]
    assert drawn(under(contenders, Budget.ALL)) == [5, 4]


def test_only_what_is_decided_counts(contenders):
    """A crystal that waits ends the budget of all, though later ones have their verdict."""
    waiting = replace(contenders[1].candidates[2], state=State.WAITING)
    running = replace(
        contenders[1],
        candidates=(*contenders[1].candidates[:2], waiting, contenders[1].candidates[3]),
    )
    cut = under((contenders[0], running), Budget.RELAXATIONS)
    assert [int(c.curve.relaxations[-1]) for c in cut] == [2, 2]
    assert drawn(cut) == [2, 2]


def test_the_funnel_counts_what_came_through(contenders):
    """Duplicates are neither unique nor on the hull; the lowest and the stable ones are told."""
    counted = funnel(contenders[0])
    assert (counted.drawn, counted.valid, counted.unique, counted.novel) == (5, 5, 4, 4)
    assert (counted.relaxed, counted.failed) == (3, 1)
    assert (counted.near, counted.on_hull, counted.sun) == (2, 2, 2)
    assert counted.lowest == -0.05
    assert funnel(replace(contenders[0], candidates=())).lowest is None


def test_differences_name_the_scale_first(contenders):
    """Settings of the model are no difference to a generator without one; another hull is."""
    told = {item.what: item for item in differences(contenders)}
    assert set(told) == {"Generator", "Seed"}
    assert not any(item.scale for item in told.values())
    mine, yours = (
        Contender(campaign(name, generator="file", samples=f"home/{name}.zip"), ())
        for name in ("mine", "yours")
    )
    assert [(item.what, item.values) for item in differences((mine, yours))] == [
        ("Crystals to judge", ("mine.zip", "yours.zip"))
    ]
    assert mine.title == "Al-Ca, mine.zip"
    ranged = Contender(campaign("z", formula="CaAl1-4"), ())
    assert ranged.title == "CaAl₁₋₄, transformer"
    other = Contender(campaign("x", {"hull": "DFT"}, elements=("Al", "Cu"), temperature=2.0), ())
    before = replace(contenders[0], campaign=campaign("y", {"hull": "potential"}))
    found = differences((before, other, contenders[1]))
    assert [item.what for item in found if item.scale] == ["Elements", "Competing energies"]
    assert found[0].values == ("Al-Ca", "Al-Cu", "Al-Ca")
    temperature = next(item for item in found if item.what == "Temperature")
    assert temperature.values == ("1", "2", None)


def test_zeros_of_two_versions_are_no_one_scale(contenders):
    """The elements of a potential were fitted anew between two searches of one question."""
    names = ("hull.parquet [1], fitted elements [2]", "hull.parquet [1], fitted elements [3]")
    both = [
        replace(one, campaign=campaign(one.campaign.id, {"references": name}))
        for one, name in zip(contenders, names, strict=True)
    ]
    first = differences(both)[0]
    assert (first.what, first.values, first.scale) == ("Competing phases", names, True)


def test_no_difference_between_questions_is_kept_back():
    """Each field of a campaign is told where it differs; targets are compared as they are."""
    assert set(ANOTHER) == {*CampaignSpec.model_fields} - {"name", "targets"}
    for name, value in ANOTHER.items():
        usual, other = (Contender(campaign("x", **spec), ()) for spec in ({}, {name: value}))
        (found,) = differences((usual, other))
        assert found.what == FIELDS[name]
        assert found.values[1] not in {"", found.values[0]}


def test_curves_are_drawn_for_each_against_both_costs(contenders):
    """The first campaign finds its target with the second crystal, the other never."""
    figure = retrieval_versus(contenders)
    assert len(figure.data) == 4
    by_crystals = figure.data[0]
    assert list(by_crystals.y[:3]) == [0, 0, 1]
    assert max(figure.data[2].y) == 0


def test_seeds_of_one_question_share_a_band(contenders):
    """Between the least and the most found, to the end of the shorter; said in words too."""
    first, second = contenders
    seeds = (first, replace(second, campaign=campaign("two", seed=3)))
    lower, upper = retrieval_versus(seeds).data[:2]
    assert upper.fill == "tonexty"
    assert list(upper.x) == [0, 1, 2, 3, 4]
    assert (list(lower.y), list(upper.y)) == ([0, 0, 0, 0, 0], [0, 0, 1, 1, 1])
    told = "2 seeds of Al-Ca, transformer found 0 to 1 of 1, 0.5 on average."
    assert seed_words(seeds) == told
    assert seed_words((first, replace(seeds[1], candidates=()))) == ""  # it has yet to begin
    names = [trace.name for trace in energies_versus(seeds, 0.5).data]
    assert names == ["Al-Ca, transformer, seed 0", "Al-Ca, transformer, seed 3"]
    alone = energies_versus([first], 0.5)
    assert [trace.name for trace in alone.data] == ["Al-Ca, transformer"]
    assert all(tick == int(tick) for tick in alone.layout.yaxis.tickvals)
    third = replace(first, campaign=campaign("three", seed=9, n=2))
    assert seeds_alike((*seeds, third)) == [[0, 1, 2]]
    for asked in ({"seed": 0}, {"seed": 3, "temperature": 2.0}):
        assert seeds_alike((first, replace(second, campaign=campaign("x", **asked)))) == []
    begun = replace(second, campaign=campaign("y", {"checkpoint": "other"}, seed=3))
    assert seeds_alike((first, begun)) == []
    assert seed_words((first, replace(second, targets=TargetList()))) == ""


def test_keys_leave_room_for_the_buttons_beside_them(contenders, make_hull):
    """They come over the figure with the mouse, and lay on the names of campaigns."""
    known = known_picture(make_hull(("Al", "Ca")))
    figures = [
        retrieval_versus(contenders),
        energies_versus(contenders, 0.5),
        hull_versus(contenders, known, 0.3),
        distributions_figure(distributions_of((), 0.5)),
    ]
    assert [figure.layout.margin.r for figure in figures] == [BUTTONS] * 4


def test_no_two_campaigns_have_one_name_in_a_legend(contenders):
    """What was asked twice with one seed is told apart by the ids that the table names, too."""
    first, second = contenders
    twice = (first, replace(second, campaign=campaign("twofold")), replace(
        second, campaign=campaign("three", generator="random")
    ))  # fmt: skip
    names = [trace.name for trace in energies_versus(twice, 0.5).data]
    assert names == ["Al-Ca, transformer, one", "Al-Ca, transformer, twof", "Al-Ca, random"]


def test_large_numbers_are_told_in_thousands_and_seeds_as_they_are_typed():
    """As everywhere on the page."""
    assert value_words("n", 1_000_000) == "1,000,000"
    assert value_words("seed", 20261123) == "20261123"


def test_it_is_told_where_seeds_drew_the_same_crystals(contenders):
    """A band without width is then no sign that chance does not matter."""
    first = contenders[0]
    drawn = [replace(c, log_likelihood=-20.0 - c.index) for c in first.candidates]
    other = [*drawn[:3], replace(drawn[3], log_likelihood=-50.0)]
    one = replace(first, candidates=tuple(drawn))
    two = replace(first, campaign=campaign("two", seed=3), candidates=tuple(other))
    assert seed_words((one, two)).endswith(" 3 of the first 4 crystals are the same for each seed.")


def test_dashes_are_told_from_lines_in_the_legend(contenders):
    """A legend's sample is 30 pixels long and drawn twice as thick: two dashes fit at least.

    The last number of one axis stands apart from the first of the next one: 40 and 0 read 400.
    """
    for figure in (retrieval_versus(contenders), energies_versus(contenders, 0.5)):
        named = [trace for trace in figure.data if trace.showlegend is not False]
        solid, dashed = (trace.line.dash for trace in named)
        assert solid == "solid"
        assert sum(int(part.removesuffix("px")) for part in dashed.split(",")) <= 12
    left, right = (
        retrieval_versus(contenders).layout.xaxis,
        retrieval_versus(contenders).layout.xaxis2,
    )
    assert right.domain[0] - left.domain[1] >= 0.08


def test_a_band_keeps_to_what_all_curves_reach():
    """Corners of one curve are corners of the bounds, with the other's height before its next."""
    long = (np.array([0, 2, 9]), np.array([0, 1, 5]))
    short = (np.array([0, 3, 5]), np.array([0, 2, 3]))
    x, least, most = band([long, short])
    assert x.tolist() == [0, 2, 3, 5]
    assert least.tolist() == [0, 0, 1, 1]
    assert most.tolist() == [0, 1, 2, 3]


def test_energies_count_up_to_the_limit(contenders):
    """Each curve ends at the number of crystals within the limit, those below zero included."""
    figure = energies_versus(contenders, 0.1)
    assert [trace.y[-1] for trace in figure.data] == [2, 3]
    assert figure.data[0].x[0] == -0.05


def test_both_stand_on_one_hull(contenders, make_hull):
    """A point's key names campaign and candidate; marks are filled on the hull alone."""
    known = known_picture(make_hull(("Al", "Ca")))
    hostile = replace(contenders[0], campaign=campaign("one", name="<b>bold</b>"))
    figure = hull_versus((hostile, contenders[1]), known, 0.3)
    first, second = figure.data[-2:]
    assert set(first.customdata) == {"one/000000", "one/000001", "one/000004"}
    assert sorted(first.marker.symbol) == ["diamond", "diamond", "diamond-open"]
    assert len(second.customdata) == 4
    assert "<b>" not in first.name
    assert Kind.CANDIDATE.value not in {trace.name for trace in figure.data}


def test_labels_of_the_shared_hull_keep_off_what_was_drawn(contenders, make_hull, make_candidate):
    """A phase's name goes to another side when campaigns have crystals where it would stand."""
    known = known_picture(make_hull(("Al", "Ca")))
    (phase,) = [dot for dot in known.dots if dot.id == "mix-AlCa"]
    sides = []
    for energies in ((), [phase.formation_energy - 0.005 * k for k in range(12)]):
        drawn = [
            make_candidate(k, *3 * ["Al"], *4 * ["Ca"], above=0.0, energy=energy)
            for k, energy in enumerate(energies)
        ]
        figure = hull_versus((replace(contenders[0], candidates=tuple(drawn)),), known, 0.3)
        stable = next(trace for trace in figure.data if trace.name == Kind.STABLE.value)
        place = list(stable.customdata).index(phase.key)
        sides.append((stable.text[place], stable.textposition[place]))
    assert sides[0][0] == "CaAl"
    assert sides[1] != sides[0]


@pytest.mark.parametrize("elements", [("Al",), ("Al", "Ca"), ("Al", "Ca", "Cu", "Mg")])
def test_a_thumbnail_keeps_within_its_frame(make_hull, make_candidate, elements):
    """One circle for each point near the hull, inside the picture; no word of the data."""
    near = make_candidate(0, *elements, above=-0.1, energy=-0.6)
    far = make_candidate(1, *elements, above=9.0, energy=9.0)
    picture = hull_thumbnail(known_picture(make_hull(elements)), [near, far])
    assert picture.count("class='found'") == 1
    assert picture.count("class='drawn'") == 0
    numbers = [part.split("'")[0] for part in picture.split("cx='")[1:]]
    assert all(0 <= float(x) <= WIDTH for x in numbers)
    assert all(0 <= float(part.split("'")[0]) <= HEIGHT for part in picture.split("cy='")[1:])


def test_without_a_hull_the_thumbnail_shows_distances(make_candidate):
    """Five elements and more: the lowest first, over the line of the hull."""
    drawn = [make_candidate(k, "Al", "Ca", above=0.1 * k, energy=0.0) for k in range(3)]
    picture = hull_thumbnail(HullPicture(("Al", "Ca", "Cu", "Mg", "Si")), drawn)
    assert (picture.count("class='found'"), picture.count("class='drawn'")) == (1, 2)
    assert "<line" in hull_thumbnail(HullPicture(()), [])
