"""The HTML report: whole, self-contained, and no data is markup."""

import re
from dataclasses import replace

import pytest

from explorer.campaign import Campaign, CampaignSpec, CampaignState
from explorer.figures.hull_picture import known_picture
from explorer.figures.known import NOTHING, Known
from explorer.figures.report import Contents, campaign_report, retrieval_lines
from explorer.figures.retrieval import curve_of
from explorer.marks import Mark
from explorer.potentials import EnergyLevel

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
COUNTS = {"drawn": 3, "relaxed": 2, "failed": 1, "reasons": {HOSTILE: 1}}


def campaign(**changes) -> Campaign:
    """Return a finished campaign."""
    spec = CampaignSpec(elements=("Al", "Ca"), n=3, name=HOSTILE, **changes)
    times = (1.0, 2.0, 1.0, 2.0, 0.5, 60.0)
    facts = {"hull": HOSTILE}
    return Campaign("c1", spec, CampaignState.FINISHED, "", "run", COUNTS, *times, 3, facts)


@pytest.fixture
def contents(make_hull, make_candidate):
    """Return what a report of two candidates tells, one of them below the hull."""
    hull = make_hull(("Al", "Ca"))
    drawn = (
        make_candidate(0, "Al", "Al", "Ca", above=-0.02, energy=-0.3),
        make_candidate(1, "Al", "Ca", "Ca", above=0.07, energy=-0.2),
    )
    known = Known(known_picture(hull), {}, hull)
    marks = {"000001": Mark(True, ("odd",), HOSTILE)}
    return Contents(campaign(), drawn, known, ("mix-AlCa",), marks)


def test_a_report_holds_plots_numbers_and_provenance(contents) -> None:
    """The hull, the histograms and the curve are there; rows go from low to high."""
    page = campaign_report(contents)
    for told in ("Convex hull", "Targets found", "3 of 3", "0 of 1 target found", "★", "Made with"):
        assert told in page
    body = page[page.index("<h2>Candidates") :]
    assert body.index("−0.020") < body.index("0.070")
    assert "-0.0" not in body
    assert page.count("Plotly.newPlot") >= 2


def test_a_report_counts_what_became_one_crystal_once(contents) -> None:
    """Of three novel candidates on the hull two relaxed into one."""
    level = EnergyLevel("chgnet 0.3.0", "d14ab7c0f093", "MP2020")  # whose record is known
    found = tuple(
        replace(contents.candidates[0], id=f"{k:06d}", index=k, level=level, novel=True)
        for k in range(3)
    )
    three = replace(contents, campaign=campaign(hull="filled"), candidates=found)
    assert "3 novel candidates lie on the hull or below. By" in campaign_report(three)
    told = campaign_report(replace(three, same={"000002": "000000"}))
    assert (
        "3 novel candidates lie on the hull or below, 2 of them distinct once relaxed. By" in told
    )


def test_the_table_of_a_report_has_no_column_of_nothing(contents) -> None:
    """Stars and notes where there are some, what is expected of DFT where that is known."""
    heads = re.compile("<th scope='col'[^>]*>(.*?)</th>")
    assert heads.findall(campaign_report(contents)) == [
        "", "Candidate", "Formula", "E above hull, eV/atom", "Relaxed", "Competes with",
        "Tags and note",
    ]  # fmt: skip
    level = EnergyLevel("chgnet 0.3.0", "d14ab7c0f093", "MP2020")  # whose record is known
    novel = tuple(replace(c, level=level, novel=True) for c in contents.candidates)
    known = replace(contents, campaign=campaign(hull="filled"), candidates=novel, marks={})
    page = campaign_report(known)
    assert heads.findall(page) == [
        "Candidate", "Formula", "E above hull, eV/atom", "By experience, eV/atom", "Relaxed",
        "Competes with",
    ]  # fmt: skip
    assert "By experience: where DFT is expected" in page


def test_the_curve_of_a_report_counts_whole_crystals(contents) -> None:
    """Of three crystals no axis has a fifth."""
    axis = retrieval_lines(curve_of(contents.candidates, contents.targets)).layout.xaxis
    assert list(axis.range) == [0, 2]
    assert all(tick == int(tick) for tick in axis.tickvals)


def test_a_report_speaks_as_the_form_does(contents) -> None:
    """What was asked has the labels and the choices of the form, not the names of fields."""
    spec = CampaignSpec.parse(
        elements="Al-Ca", n=5, excluded=("Cu",), max_atoms=8, generator="random"
    )
    asked = replace(contents, campaign=replace(contents.campaign, spec=spec))
    page = campaign_report(asked)
    part = page[page.index("What was asked") : page.index("What came out")]
    told = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", part))
    assert list(told)[:2] == ["Elements", "Must not appear"]  # as the form goes on
    assert told["Elements"] == "Al-Ca"
    assert told["Crystals to draw"] == "5"
    assert told["Most atoms"] == "8"
    assert told["Generator"] == "random"
    assert told["Hull"] == "DFT, gaps filled"
    assert told["Known geometries first"] == "yes"
    assert told["Give up above (eV/atom)"] == "1"
    assert not set(told) & set(CampaignSpec.model_fields)
    counts = COUNTS | {"skipped": 4}
    skipped = replace(contents, campaign=replace(contents.campaign, counts=counts))
    assert "<dt>Not relaxed</dt><dd>4</dd>" in campaign_report(skipped)


def test_a_report_needs_no_network_and_runs_no_data(contents) -> None:
    """Nothing is loaded from anywhere, and hostile names stay text."""
    page = campaign_report(contents)
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)
    assert "<img" not in page
    assert "<script>alert" not in page


def test_a_report_of_an_unbounded_search_has_no_hull() -> None:
    """Without elements there is no hull and there are no targets, and the report says the rest."""
    page = campaign_report(Contents(campaign(), (), NOTHING))
    assert "Convex hull" not in page
    assert "None relaxed" in page
