"""Wyckoff sites: the text field and the panel say the same."""

import pytest
from handmade import candidate

from explorer.candidate import State
from explorer.ui.draft import Draft
from explorer.ui.sites import focus_of, read_sites, split_sites, write_sites
from explorer.ui.sites_view import ANYWHERE, NO_GROUP, SitesView
from explorer.ui.viewer_tabs import audit_html
from model.constraints import Constraints


def test_sites_are_split_where_people_separate_them():
    """Lines, semicolons and commas before the next group separate sites; others do not."""
    text = "139:2a=Ca, 139:4d=Al,Cu\n 225:4a ; 221:1a=Cu"
    assert split_sites(text) == ["139:2a=Ca", "139:4d=Al,Cu", "225:4a", "221:1a=Cu"]
    assert split_sites("  ") == []


def test_sites_that_cannot_be_read_are_left_to_the_form():
    """A half-typed site does not take the others away from the panel."""
    assert [str(site) for site, _ in read_sites("139:2a=Ca, 139:9z, nonsense")] == ["139:2a=Ca"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "139:2a=Ca",
        "139:2a=Ca, 139:4e=Al,Cu, 139:4e, 139:4e=Al",
        "139:2a=none, 139:4d, 139:4e=none",
        "139:4e=Al@z=0.36, 139:4e@z=0.1..0.2, 139:8j=Cu@x=0.95..1.05",
    ],
)
def test_panel_and_text_are_inverse(text):
    """What the panel shows is written back as it was."""
    focus = focus_of([139], text)
    assert write_sites(139, focus.panel_value) == text


def test_a_decimal_comma_is_kept_for_the_form_to_refuse():
    """Cut at it, "0,4" would be 0 as soon as anything else of the site is clicked."""
    text = "139:16n=Al@y=0,4,z=0.36"
    focus = focus_of([139], text)
    assert focus.places == ({"y": "0,4", "z": "0.36"},)
    assert write_sites(139, focus.panel_value) == text


def test_sites_alone_choose_the_group_to_show():
    """The group chosen, else the one that the sites name, else none."""
    assert focus_of([], "136:2a=Ti").group == 136
    assert focus_of([139], "").group == 139
    assert focus_of([139, 225], "").several == (139, 225)
    assert focus_of([], "").group is None
    assert [str(site) for site in focus_of([225], "139:2a=Ca").foreign] == ["139:2a=Ca"]


def test_a_forbidden_site_shows_its_group_but_chooses_none():
    """Sites to fill go before it; with neither chosen any group may be drawn, and that is said."""
    assert focus_of([], "136:2a=none").group == 136
    assert focus_of([], "136:2a=none").anywhere
    assert focus_of([], "136:2a=none, 225:4a=none").several == (136, 225)
    mixed = focus_of([], "136:2a=none, 225:4a=Ca")
    assert (mixed.group, mixed.anywhere) == (225, False)
    assert not focus_of([136], "136:2a=none").anywhere
    view = SitesView(Draft(elements=["Al", "Ca"], sites="136:2a=none"))
    assert view.panel.note == ANYWHERE
    view.draft.check()
    assert view.draft.spec.constraints().spacegroups == ()
    view.draft.spacegroups = [225]
    assert "forbidden: 136:2a=none" in view.panel.note


def test_a_click_in_the_panel_writes_the_text():
    """And the spec that is run has the site."""
    draft = Draft(elements=["Al", "Ca", "Cu"], spacegroups=[139])
    view = SitesView(draft)
    view.panel.value = [["a", ["Ca"]], ["e", ["Al", "Cu"]]]
    assert draft.sites == "139:2a=Ca, 139:4e=Al,Cu"
    draft.check()
    assert draft.spec.sites == ("139:2a=Ca", "139:4e=Al,Cu")
    view.panel.value = [["a", None], ["e", ["Al", "Cu"]]]
    assert draft.sites == "139:2a=none, 139:4e=Al,Cu"
    draft.check()
    assert draft.spec.sites == ("139:2a=none", "139:4e=Al,Cu")
    view.panel.value = []
    assert draft.sites == ""


def test_coordinates_typed_in_the_panel_reach_the_spec():
    """They are checked where all sites are; a bad one keeps its site in the panel."""
    draft = Draft(elements=["Al", "Ca", "Cu"], spacegroups=[139])
    view = SitesView(draft)
    view.panel.value = [["e", ["Al"], {"z": "1/3"}]]
    draft.check()
    assert draft.spec.sites == ("139:4e=Al@z=1/3",)
    assert view.panel.value == [["e", ["Al"], {"z": "1/3"}]]
    for typed, wrong in (("0.5", "belongs to a more symmetric position"), ("abc", "got 'z=abc'")):
        view.panel.value = [["e", ["Al"], {"z": typed}]]
        draft.check()
        assert draft.problem_field == "sites"
        assert wrong in draft.problem
        assert view.panel.value == [["e", ["Al"], {"z": typed}]]


def test_typed_sites_appear_in_the_panel():
    """The text field stays an equivalent for the keyboard."""
    view = SitesView(Draft(elements=["Ca", "Cu"]))
    assert (view.panel.group, view.panel.note) == ({}, NO_GROUP)
    view.draft.sites = "225:4a=Cu, 225:24e=Ca, 225:4b=none"
    assert view.panel.group["number"] == 225
    assert view.panel.value == [["a", ["Cu"]], ["b", None], ["e", ["Ca"]]]
    view.draft.sites = "225:4a=Cu, 225:4a=none"
    view.draft.check()
    assert view.draft.problem_field == "sites"
    assert "225:4a=none forbids" in view.draft.problem


def test_several_groups_are_narrowed_by_click():
    """Sites belong to one group, so the panel offers to keep one."""
    view = SitesView(Draft(spacegroups=[139, 225]))
    assert [offer["number"] for offer in view.panel.several] == [139, 225]
    view.panel.narrow = 225
    assert view.draft.spacegroups == [225]
    assert view.panel.group["number"] == 225


def test_sites_of_a_group_left_behind_can_be_dropped():
    """They are kept and named until the person lets them go."""
    view = SitesView(Draft(spacegroups=[139], sites="139:4e=Ca@z=0.36"))
    view.draft.spacegroups = [225]
    assert view.draft.sites == "139:4e=Ca@z=0.36"
    assert "139:4e=Ca@z=0.36" in view.panel.note
    view.panel.value = [["a", []]]
    assert view.draft.sites == "225:4a, 139:4e=Ca@z=0.36"
    view.panel.dropped += 1
    assert view.draft.sites == "225:4a"
    assert not view.panel.foreign


def test_what_was_asked_is_checked_before_and_after_the_relaxation():
    """A crystal that left its space group has lost its sites; where nothing was asked, no word."""
    asked = Constraints.parse("Ca-Cu", spacegroups=225, sites=["225:4a=Ca", "225:4b"])
    kept = audit_html(candidate(1), asked)
    assert kept.count("✓ held") == 6
    moved = candidate(1).relaxed.copy()
    moved.perturb(0.3)
    lost = audit_html(candidate(1, relaxed=moved), asked)
    assert (lost.count("✓ held"), lost.count("✗ not held")) == (3, 3)
    waits = audit_html(candidate(1, State.WAITING), asked)
    assert (waits.count("✓ held"), waits.count("–")) == (3, 3)
    assert audit_html(candidate(1), Constraints.parse("Ca-Cu")) == ""
    cubic = audit_html(candidate(1), Constraints.parse("Ca-Cu", spacegroups="cubic"))
    assert "one of 36 space groups" in cubic and cubic.count("✓ held") == 2
