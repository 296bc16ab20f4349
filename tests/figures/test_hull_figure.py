"""The hull figures: what lands where, what can be told apart, what survives a redraw."""

from dataclasses import replace

import numpy as np
import pytest

from explorer.candidate import Candidate, State
from explorer.figures.hull import hull_figure
from explorer.figures.hull_picture import (
    after_campaign,
    before_campaign,
    known_picture,
    with_candidates,
    with_live_hull,
)
from explorer.figures.marks import seen_from
from explorer.figures.picture import Dot, HullPicture, Kind
from explorer.figures.style import palette
from explorer.potentials import EnergyLevel

FOREIGN = EnergyLevel("invented 2", "ba9876543210", "none")
SYSTEMS = [("Al",), ("Al", "Ca"), ("Al", "Ca", "Cu"), ("Al", "Ca", "Cu", "Mg")]


def trace_of(figure, kind):
    """Return the trace that shows one kind of point."""
    return next(trace for trace in figure.data if trace.name == kind.value)


@pytest.mark.parametrize("elements", SYSTEMS)
def test_every_size_of_system_has_its_figure(make_hull, make_candidate, elements):
    """One to four elements: known phases and a candidate are drawn, each with its key."""
    candidate = make_candidate(0, *elements, above=0.1, energy=-0.1)
    picture = with_candidates(known_picture(make_hull(elements)), [candidate])
    figure = hull_figure(picture, selected="candidate:000000", threshold=0.5)
    assert list(trace_of(figure, Kind.CANDIDATE).customdata) == ["candidate:000000"]
    assert set(trace_of(figure, Kind.STABLE).customdata) >= {f"phase:el-{e}" for e in elements}
    ring = next(trace for trace in figure.data if trace.name == "selected")
    assert len(ring.x) == 1
    assert ring.x[0] == trace_of(figure, Kind.CANDIDATE).x[0]


def test_a_tetrahedron_lies_in_the_middle_of_its_figure(make_hull):
    """It lies to one side of the box that Plotly looks at by itself: a name was cut off."""
    figure = hull_figure(known_picture(make_hull(SYSTEMS[3])))
    names = next(trace for trace in figure.data if trace.mode == "text")
    aim, eye = (
        np.array([place.x, place.y, place.z])
        for place in (figure.layout.scene.camera.center, figure.layout.scene.camera.eye)
    )
    seen = seen_from(np.column_stack([names.x, names.y, names.z]), eye - aim, aim)
    low, high = seen.min(axis=0), seen.max(axis=0)
    assert abs(low + high)[0] < 0.05 * (high - low)[0]
    assert abs(low + high)[1] < 0.15 * (high - low)[1]  # below the middle, where no legend is


def test_three_elements_make_a_surface_too(make_hull, make_candidate):
    """Height is the formation energy; the sheet has the hull's facets, also those of After."""
    hull = make_hull(SYSTEMS[2])
    candidate = make_candidate(0, *SYSTEMS[2], above=-0.2, energy=-0.7)
    picture = with_candidates(known_picture(hull), [candidate])
    after = after_campaign(picture, hull, [candidate])
    figures = [hull_figure(each, surface=True) for each in (picture, after)]
    sheets = [figure.data[0] for figure in figures]
    assert [(sheet.type, len(sheet.i)) for sheet in sheets] == [("mesh3d", 4), ("mesh3d", 6)]
    found = trace_of(figures[0], Kind.FOUND)
    assert list(found.customdata) == ["candidate:000000"]
    assert list(found.z) == [-0.7]


def test_what_lies_high_above_the_hull_does_not_flatten_its_surface(make_hull, make_candidate):
    """A hidden candidate at 1 eV/atom left the hull a third of its height."""
    high = make_candidate(0, *SYSTEMS[2], above=1.4, energy=1.0)
    picture = with_candidates(known_picture(make_hull(SYSTEMS[2])), [high])
    figure = hull_figure(picture, surface=True, threshold=0.5)
    tops = [max((z for z in trace.z if z is not None), default=0.0) for trace in figure.data]
    assert max(tops) <= 0.5


@pytest.mark.parametrize("elements", SYSTEMS[2:4])
def test_what_is_selected_is_pointed_at_over_the_points_before_it(
    make_hull, make_candidate, elements
):
    """In three dimensions a ring alone is hidden in a crowd."""
    chosen = make_candidate(0, *elements, above=0.1, energy=-0.1)
    picture = with_candidates(known_picture(make_hull(elements)), [chosen])
    for selected, count in (("candidate:000000", 1), ("", 0), ("candidate:000007", 0)):
        figure = hull_figure(picture, selected=selected, surface=True)
        arrows = figure.layout.scene.annotations
        assert len(arrows) == count
        ring = next(trace for trace in figure.data if trace.uid == "SELECTED")
        assert [(a.x, a.y, a.z) for a in arrows] == list(
            zip(ring.x or (), ring.y or (), ring.z or (), strict=True)
        )


def test_no_corner_of_the_surface_hides_another_at_first(make_hull):
    """Copper and calcium stood before each other."""
    figure = hull_figure(known_picture(make_hull(SYSTEMS[2])), surface=True)
    names = next(trace for trace in figure.data if trace.uid == "CORNERS")
    points = [(x, y, 0.0) for x, y, t in zip(names.x, names.y, names.text, strict=True) if t]
    camera = figure.layout.scene.camera
    eye, aim = ([place.x, place.y, place.z] for place in (camera.eye, camera.center))
    seen = np.sort(seen_from(np.array(points), np.subtract(eye, aim), aim)[:, 0])
    assert np.diff(seen).min() > 0.2


def test_five_elements_show_distances(make_hull, make_candidate):
    """Where no hull can be drawn, the candidates' distances from it are."""
    elements = ("Al", "Ca", "Cu", "Mg", "Si")
    candidate = make_candidate(0, *elements, above=0.2, energy=-0.1)
    picture = with_candidates(known_picture(make_hull(elements)), [candidate])
    figure = hull_figure(picture)
    assert list(trace_of(figure, Kind.CANDIDATE).y) == [0.2]


def test_distances_without_a_candidate_have_an_axis_all_the_same(make_candidate):
    """As far as the threshold, also when everything is above it."""
    high = make_candidate(0, "Al", "Ca", above=0.7, energy=-0.1)
    for candidates in ([], [high]):
        figure = hull_figure(with_candidates(HullPicture(()), candidates), threshold=0.4)
        assert figure.layout.yaxis.range == (0, 0.4)
        assert figure.layout.xaxis.range == (0, 1)


def test_a_ladder_of_one_rung_has_no_energies_below_it(make_hull, make_candidate):
    """Nothing lies below the lowest known crystal; what is selected is seen however high."""
    high = make_candidate(0, "Al", above=0.7, energy=0.7)
    known = known_picture(make_hull(("Al",)))
    lowest = replace(known, dots=tuple(d for d in known.dots if d.kind == Kind.STABLE))
    picture = with_candidates(lowest, [high])
    low, top = hull_figure(picture, threshold=0.4).layout.yaxis.range
    assert -0.1 < low < 0
    assert top == 0.4
    chosen = hull_figure(picture, threshold=0.4, selected="candidate:000000")
    assert chosen.layout.yaxis.range is None


def test_a_search_among_any_elements_shows_distances(make_candidate):
    """There is no system to draw then, and no known phase; the candidates still stand in order."""
    candidates = [
        make_candidate(0, "Ca", "Cu", above=0.2, energy=-0.1),
        make_candidate(1, "Mg", "O", above=0.1, energy=-0.3),
    ]
    figure = hull_figure(with_candidates(HullPicture(()), candidates))
    assert sorted(y for trace in figure.data for y in trace.y or ()) == [0.1, 0.2]


def test_an_empty_picture_is_an_empty_figure():
    """Before there is a campaign nothing is drawn and nothing fails."""
    figure = hull_figure(HullPicture(()))
    assert all(not trace.x for trace in figure.data)


def test_kinds_differ_in_shape_and_colour(make_hull, make_candidate):
    """Shape alone tells the kinds apart, for readers who cannot tell the colours."""
    elements = ("Al", "Ca")
    candidates = [
        make_candidate(0, "Al", "Ca", above=0.1, energy=-0.3),
        make_candidate(1, "Al", "Ca", above=0.0, energy=-0.4),
    ]
    figure = hull_figure(with_candidates(known_picture(make_hull(elements)), candidates))
    symbols = [trace_of(figure, kind).marker.symbol for kind in Kind]
    assert len(set(symbols)) == len(Kind)


def test_threshold_hides_what_is_above_but_never_the_hull(make_hull, make_candidate):
    """The slider leaves stable phases in place."""
    candidates = [
        make_candidate(0, "Al", "Ca", above=0.1, energy=-0.3),
        make_candidate(1, "Al", "Ca", above=0.4, energy=0.0),
    ]
    picture = with_candidates(known_picture(make_hull(("Al", "Ca"))), candidates)
    figure = hull_figure(picture, threshold=0.2)
    assert list(trace_of(figure, Kind.CANDIDATE).customdata) == ["candidate:000000"]
    assert len(trace_of(figure, Kind.UNSTABLE).customdata) == 0
    assert len(trace_of(figure, Kind.STABLE).customdata) == 3


def test_the_lowest_polymorph_is_drawn_last(make_hull, make_candidate):
    """Points of one composition lie on each other in a triangle: the lowest must be on top."""
    above = [0.1, 0.3, 0.2]
    candidates = [
        make_candidate(i, "Al", "Ca", "Cu", above=e, energy=e - 0.4) for i, e in enumerate(above)
    ]
    picture = with_candidates(known_picture(make_hull(("Al", "Ca", "Cu"))), candidates)
    keys = list(trace_of(hull_figure(picture), Kind.CANDIDATE).customdata)
    assert keys == ["candidate:000001", "candidate:000002", "candidate:000000"]


def test_formation_energies_refer_to_the_elements(make_hull, make_candidate):
    """A binary figure shows eV/atom against the pure elements of the same level."""
    candidate = make_candidate(0, "Al", "Ca", above=0.1, energy=-0.3)
    picture = with_candidates(known_picture(make_hull(("Al", "Ca"))), [candidate])
    candidates = trace_of(hull_figure(picture), Kind.CANDIDATE)
    assert candidates.x[0] == pytest.approx(0.5)
    assert candidates.y[0] == pytest.approx(-0.3)


def test_candidates_below_the_hull_lower_it(make_hull, make_candidate):
    """A ternary below the known hull gets tie lines of its own; one above gets none."""
    hull = make_hull(("Al", "Ca", "Cu"))
    known = known_picture(hull)
    low = make_candidate(0, "Al", "Ca", "Cu", above=-0.5, energy=-0.9)
    high = make_candidate(1, "Al", "Ca", "Cu", above=0.1, energy=-0.2)
    for candidates, expected in (([high], False), ([low, high], True)):
        picture = with_live_hull(with_candidates(known, candidates), hull, candidates)
        assert bool(picture.live_lines) is expected
    ends = {picture.dots[end].id for line in picture.live_lines for end in line}
    assert "000000" in ends
    assert "000001" not in ends


def test_unplaced_candidates_are_passed_over(make_hull):
    """Waiting, failed and non-finite candidates never reach the figure."""
    odd = [
        Candidate(id="a", index=0, formula="AlCa", state=State.WAITING),
        Candidate(id="b", index=1, formula="AlCa", state=State.FAILED, energy_above_hull=0.1),
        Candidate(
            id="c",
            index=2,
            formula="AlCa",
            state=State.RELAXED,
            energy_above_hull=float("nan"),
            energy_per_atom=float("nan"),
        ),
    ]
    known = known_picture(make_hull(("Al", "Ca")))
    assert with_candidates(known, odd).dots == known.dots


def test_phases_found_again_are_counted(make_hull):
    """A known phase that the campaign drew says so when hovered."""
    known = known_picture(make_hull(("Al", "Ca")))
    again = Candidate(id="a", index=0, state=State.KNOWN, novel=False, matched="mix-AlCa")
    dot = with_candidates(known, [again, again]).find("phase:mix-AlCa")
    assert dot.again == 2
    assert "found again 2×" in dot.hover


def test_hover_text_is_escaped(make_hull, make_candidate):
    """A hostile string from data is shown, not run."""
    candidate = replace(
        make_candidate(0, "Al", "Ca", above=0.1, energy=-0.3), decomposition="<img src=x>"
    )
    picture = with_candidates(known_picture(make_hull(("Al", "Ca"))), [candidate])
    assert "<img" not in picture.find("candidate:000000").hover


def test_zoom_survives_and_themes_differ(make_hull):
    """The revision is handed to Plotly, and a dark page gets light text."""
    picture = known_picture(make_hull(("Al", "Ca", "Cu")))
    light, dark = (hull_figure(picture, dark=d, revision="one") for d in (False, True))
    assert light.layout.uirevision == dark.layout.uirevision == "one"
    assert light.layout.font.color == palette(False).text != dark.layout.font.color


def test_a_missing_elemental_reference_is_said_in_words(make_hull):
    """Without a corner there is no hull, and the message names the element."""
    hull = make_hull(("Al", "Ca"))
    phases = tuple(p for p in hull.references.phases if p.id != "el-Ca")
    references = type(hull.references)(hull.level, phases, ("Al", "Ca"))
    picture = known_picture(type(hull)(references))
    assert "Ca" in picture.message
    assert not picture.dots


def test_triangle_corners_are_the_elements(make_hull):
    """Pure elements lie on the corners of an equilateral triangle."""
    figure = hull_figure(known_picture(make_hull(("Al", "Ca", "Cu"))))
    stable = trace_of(figure, Kind.STABLE)
    place = dict(zip(stable.customdata, zip(stable.x, stable.y, strict=True), strict=True))
    corners = np.array([place[f"phase:el-{e}"] for e in ("Al", "Ca", "Cu")])
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    assert sides == pytest.approx([1, 1, 1])


def test_labels_name_each_compound_once(make_hull, make_candidate):
    """Only hull compounds are labelled, each formula once, and elements by the corners alone."""
    hull = make_hull(("Al", "Ca", "Cu"))
    candidates = [
        make_candidate(0, "Al", "Ca", "Cu", above=-0.3, energy=-0.7),
        make_candidate(1, "Al", "Ca", "Cu", above=-0.5, energy=-0.9),
    ]
    picture = with_live_hull(with_candidates(known_picture(hull), candidates), hull, candidates)
    mixed = {"phase:mix-AlCa", "phase:mix-AlCu", "phase:mix-CaCu"}
    assert picture.named() == mixed | {"candidate:000001"}
    # Of two polymorphs below the known hull one is on the hull with them.
    kinds = [picture.find(f"candidate:{c.id}").kind for c in candidates]
    assert kinds == [Kind.CANDIDATE, Kind.FOUND]


def test_a_covered_point_speaks_for_what_covers_it(make_hull, make_candidate):
    """Hovering a stack of polymorphs tells of the lowest one, and how many lie under it."""
    candidates = [
        make_candidate(i, "Al", "Ca", "Cu", above=e, energy=e - 0.4)
        for i, e in enumerate([0.1, 0.3])
    ]
    picture = with_candidates(known_picture(make_hull(("Al", "Ca", "Cu"))), candidates)
    texts = trace_of(hull_figure(picture), Kind.CANDIDATE).hovertext
    assert all("0.100 eV/atom" in text and "1 more" in text for text in texts)


def test_before_and_after_the_campaign(make_hull, make_candidate):
    """Before: known phases alone. After: distances from the hull that the candidates made."""
    hull = make_hull(("Al", "Ca"))
    drawn = [
        make_candidate(0, "Al", "Al", "Ca", above=-0.2, energy=-0.4667),
        make_candidate(1, "Al", "Ca", above=0.1, energy=-0.3),
    ]
    both = with_candidates(known_picture(hull), drawn)
    before = before_campaign(both)
    assert not any(dot.is_candidate for dot in before.dots)
    assert before.tie_lines == both.tie_lines
    after = after_campaign(both, hull, drawn)
    first, second = (after.find(f"candidate:{c.id}") for c in drawn)
    assert (first.kind, first.energy_above_hull) == (Kind.FOUND, 0.0)
    assert second.kind == Kind.CANDIDATE
    assert second.energy_above_hull == pytest.approx(0.1)
    place = after.dots.index(first)
    assert any(place in line for line in after.tie_lines)
    assert after.live_lines == ()
    assert first.key in after.named()
    assert second.key not in after.named()


def shared_groups(figure) -> set[str]:
    """Return the groups of the legend that hold more than the points of a kind."""
    groups = [trace.legendgroup for trace in figure.data if trace.legendgroup]
    return {group for group in groups if groups.count(group) > 1}


def test_a_label_amid_candidates_stands_apart_on_a_line_from_its_point():
    """No candidate's marker is covered; the line begins at the phase and the text ends it."""
    elements = ("Al", "Ca", "Cu")
    pure = [
        Dot(e, Kind.STABLE, e, 1, tuple(map(float, np.eye(3)[k])), 0.0, 0.0)
        for k, e in enumerate(elements)
    ]
    middle = Dot("m", Kind.STABLE, "CaAlCu", 1, (1 / 3, 1 / 3, 1 / 3), -0.4, 0.0)
    crowd = [
        Dot(f"{a}{b}", Kind.CANDIDATE, "X", 1, (1 / 3 + a, 1 / 3 + b, 1 / 3 - a - b), -0.1, 0.1)
        for a in (-0.07, 0.0, 0.07)
        for b in (-0.07, 0.0, 0.07)
        if abs(a) + abs(b) > 1e-6
    ]
    figure = hull_figure(HullPicture(elements, (*pure, middle, *crowd)))
    stable = trace_of(figure, Kind.STABLE)
    place = list(stable.customdata).index("phase:m")
    lines, labels = (
        next(trace for trace in figure.data if trace.uid == f"{what} STABLE")
        for what in ("LEADERS", "LABELS")
    )
    # Who hides known phases by the legend hides both with them.
    assert stable.legendgroup == lines.legendgroup == labels.legendgroup
    assert shared_groups(figure) == {"STABLE", "PREDICTED", "FOUND"}
    assert list(labels.text) == ["CaAlCu"] and not stable.text[place]
    assert (lines.x[0], lines.y[0]) == (stable.x[place], stable.y[place])
    assert (lines.x[1], lines.y[1]) == (labels.x[0], labels.y[0])
    shown = trace_of(figure, Kind.CANDIDATE)
    pixels = 270 * np.column_stack([shown.x, shown.y]) - 270 * np.array([labels.x[0], labels.y[0]])
    assert (np.abs(pixels) > (6.4 * 6 / 2, 6.5)).any(axis=1).all()


def test_labels_of_a_tetrahedron_keep_apart():
    """Of many compounds on one spot, as it is seen at first, only those have names that fit."""
    middle = Dot("a", Kind.STABLE, "AlCaCuMg", 1, (0.25,) * 4, -0.5, 0.0)
    heap = [replace(middle, id=str(k), formula=f"Al{k}CaCuMg") for k in range(20, 36)]
    corner = replace(middle, id="c", formula="Al8Ca", fractions=(0.9, 0.1, 0.0, 0.0))
    shown = trace_of(hull_figure(HullPicture(SYSTEMS[3], (*heap, corner))), Kind.STABLE)
    assert 0 < sum(bool(text) for text in shown.text) <= 9
    assert "Al₈Ca" in shown.text


@pytest.mark.parametrize("draw", [with_live_hull, after_campaign])
def test_energies_of_another_level_leave_the_hull_alone_and_are_told(
    make_hull, make_candidate, draw
):
    """As after an update of the potential: the page keeps its figure, with the reason below it."""
    hull = make_hull(("Al", "Ca"))
    stranger = replace(make_candidate(0, "Al", "Ca", above=-0.1, energy=-0.5), level=FOREIGN)
    picture = with_candidates(known_picture(hull), [stranger])
    drawn = draw(picture, hull, [stranger])
    assert "invented 2" in drawn.message
    assert (drawn.dots, drawn.live_lines) == (picture.dots, ())
