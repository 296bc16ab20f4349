"""Which rows the table shows of many, in which order, and on which sheet."""

from dataclasses import replace
from itertools import chain

import pytest
from handmade import candidate, put

from explorer.candidate import State
from explorer.marks import Mark
from explorer.potentials import potential
from explorer.track_record import track_record
from explorer.ui.table_rows import (
    SHEET,
    by_interest,
    frame,
    matching,
    novelty_words,
    sorted_by,
)
from explorer.ui.table_view import CHOICES, TableView
from explorer.ui.workbench import Workbench

MANY = 2 * SHEET + 100
"""Rows of three sheets; the last hundred are failures."""


def numbers(candidates):
    """Return the numbers of candidates, in their order."""
    return [each.id for each in candidates]


def many():
    """Return candidates that lie the further above the hull the later they were drawn."""
    relaxed, failed = candidate(0), candidate(0, State.FAILED, reason="Fell apart")
    for k in range(MANY):
        facts = {"id": f"{k:06d}", "index": k, "log_likelihood": -float(k % 7)}
        if k < MANY - 100:
            yield replace(relaxed, energy_above_hull=1e-4 * k, **facts)
        else:
            yield replace(failed, **facts)


@pytest.fixture
def view(store):
    """Return the table of a page that looks at so many candidates."""
    bench = Workbench(store, campaign_id=put(store, *many()))
    bench.take(bench.look())
    view = TableView(bench)
    view._fill()
    return view


def shown(view):
    """Return the numbers of the rows that the browser has."""
    return view.table.value["number"].tolist()


def test_words_below_a_heading_find_what_holds_them():
    """As the browser does: anywhere in the cell, capitals or not, all of the fields."""
    drawn = [candidate(0), candidate(1, State.FAILED, reason="NaN forces"), candidate(2)]
    marks = {"000002": Mark(tags=("Grow it",))}
    assert numbers(matching(drawn, [{"field": "state", "value": "RELAX"}], marks)) == [
        "000000",
        "000002",
    ]
    both = [{"field": "formula", "value": "cu"}, {"field": "reason", "value": "nan"}]
    assert numbers(matching(drawn, both, marks)) == ["000001"]
    assert numbers(matching(drawn, [{"field": "tags", "value": "grow"}], marks)) == ["000002"]
    assert matching(drawn, [{"field": "formula", "value": "Mg"}], marks) == []


def test_columns_order_rows_and_what_has_no_number_comes_last():
    """Whichever way; where two are alike they keep their order."""
    drawn = [candidate(3), candidate(0), candidate(1, State.FAILED), candidate(2)]
    energies = [{"field": "above_hull", "dir": "asc"}]
    assert numbers(sorted_by(drawn, energies, {})) == ["000000", "000002", "000003", "000001"]
    energies = [{"field": "above_hull", "dir": "desc"}]
    assert numbers(sorted_by(drawn, energies, {})) == ["000003", "000002", "000000", "000001"]
    states = [{"field": "state", "dir": "desc"}]
    assert numbers(sorted_by(drawn, states, {})) == ["000003", "000000", "000002", "000001"]
    both = [{"field": "state", "dir": "asc"}, {"field": "number", "dir": "desc"}]
    assert numbers(sorted_by(drawn, both, {})) == ["000001", "000003", "000002", "000000"]
    stars = [{"field": "star", "dir": "asc"}]
    starred = {"000002": Mark(starred=True)}
    assert numbers(sorted_by(drawn, stars, starred))[0] == "000002"


def test_what_dft_is_expected_to_say_is_told_and_ordered_where_it_is_shown(view):
    """The column is filled when it is switched on, and orders all rows by what is expected."""
    level = potential("chgnet").level
    few = [
        replace(candidate(k), novel=True, energy_above_hull=0.01, level=level, formula=formula)
        for k, formula in enumerate(("AlCu3", "CsF", "CaO"))
    ]
    falling = [{"field": "by_experience", "dir": "desc"}]
    expected = {each.id: track_record(each, "filled").expected for each in few}
    found = numbers(sorted_by(few, falling, {}, "filled"))
    assert found == sorted(expected, key=expected.get, reverse=True)
    assert frame(few, "filled")["by_experience"].tolist() == list(expected.values())
    assert frame(few)["by_experience"].isna().all()
    assert view._hull == ""
    view.columns.toggled = list(range(len(CHOICES)))
    assert view._hull == view.bench.campaign.spec.hull


def test_every_row_of_many_is_on_one_sheet(view):
    """None is lost between sheets, none stands on two, and it is said which are shown."""
    assert view.turn.visible
    assert view.which.object == f"Rows 1–{SHEET} of {MANY:,}"
    sheets = []
    for place in range(view.sheets.count):
        view.sheets.value = place
        sheets += [shown(view)]
    assert [len(sheet) for sheet in sheets] == [SHEET, SHEET, 100]
    assert list(chain(*sheets)) == numbers(by_interest(view.bench.in_order()))
    assert view.which.object == f"Rows {2 * SHEET + 1:,}–{MANY:,} of {MANY:,}"


def test_filters_and_order_are_those_of_all_sheets(view):
    """What stands on the last one is found from the first, and the other way round."""
    view.sheets.value = 1
    view.table.filters = [{"field": "state", "type": "like", "value": "fail"}]
    assert shown(view) == [f"{k:06d}" for k in range(MANY - 100, MANY)]
    assert view.which.object == f"Rows 1–100 of 100 that match; {MANY:,} in all"
    assert (view.sheets.value, view.sheets.count, view.turn.visible) == (0, 1, True)
    view.table.filters = [{"field": "formula", "type": "like", "value": "Mg"}]
    assert shown(view) == []
    assert view.which.object == f"No row matches; {MANY:,} in all"
    view.table.filters = []
    view.table.sorters = [{"field": "number", "dir": "desc"}]
    assert shown(view)[0] == f"{MANY - 1:06d}"
    assert view.sheets.count == 3


def test_the_sheet_is_kept_while_candidates_come(view, store):
    """Unless it is gone."""
    view.sheets.value = 2
    before = shown(view)
    view.bench.summary += 1
    assert shown(view) == before
    view.bench.marks = {"000700": Mark(starred=True)}
    view.bench.starred_only = True
    assert shown(view) == ["000700"]
    assert not view.turn.visible


def test_what_is_selected_elsewhere_brings_its_sheet(view):
    """And its dot; a row that was clicked is in sight already."""
    view.bench.select_candidate("000700")
    assert view.sheets.value == 1
    assert view.table.value.set_index("number")["mark"]["000700"] == "●"
    view.click("000701", "formula")
    assert view.sheets.value == 1
    view.bench.select_candidate("000000")
    assert view.sheets.value == 0


class Said:
    """What the browser says."""

    def __init__(self, **data):
        self.data = data


def test_the_box_at_the_top_ticks_all_sheets(view):
    """Of what matches, not only what the browser has; one row is one row."""
    view.table.filters = [{"field": "state", "type": "like", "value": "relaxed"}]
    view._hear(Said(kind="all", numbers=shown(view), on=True))
    assert view.bench.chosen == [f"{k:06d}" for k in range(MANY - 100)]
    view._hear(Said(kind="tick", numbers=["000003"], on=False))
    assert len(view.bench.chosen) == MANY - 101
    view._hear(Said(kind="all", numbers=shown(view), on=False))
    assert view.bench.chosen == []


def test_what_is_new_in_its_form_alone_is_not_called_new():
    """Rutile beside another form of TiO2 is no new compound; beside a predicted one it may be."""
    told = {
        competes: novelty_words(candidate(1, formula="CaCu5", decomposition=competes))
        for competes in ("CaCu5", "CaCu5 (predicted)", "0.5 Ca + 0.5 Cu")
    }
    assert list(told.values()) == ["new form", "new", "new"]
    known = candidate(1, composition_known=True, decomposition="0.5 Ca + 0.5 Cu")
    assert novelty_words(known) == "new form"  # of a phase that is known, though not stable
    older = candidate(1, formula="CaAl2Cu2", decomposition="Ca(AlCu)2")
    assert novelty_words(older) == "new form"
    assert novelty_words(candidate(1, novel=False, matched="mp-1", decomposition="CaCu")) == (
        "known: mp-1"
    )
