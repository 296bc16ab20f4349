"""What the table of candidates shows: which of them, in which order, and what their cells say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from explorer.candidate import Candidate, State
from explorer.figures.words import spacegroup_label
from explorer.formulas import without_brackets
from explorer.marks import Mark
from explorer.track_record import track_record
from explorer.ui.watched import Gathered
from explorer.ui.workbench import is_placed

COLUMNS = {
    "mark": "●",
    "star": "★",
    "number": "#",
    "formula": "Formula",
    "above_hull": "E above hull, eV/atom",
    "by_experience": "By experience, eV/atom",
    "log_p": "log p",
    "tags": "Tags",
    "note": "Note",
    "state": "State",
    "asked": "Asked",
    "generated": "Generated",
    "relaxed": "Relaxed",
    "novelty": "Novelty",
    "reason": "Reason",
}
"""In their order: those that are hidden at first come in sight where a small screen shows them."""
NUMBERS = ("above_hull", "by_experience", "log_p")
SELECTED = "●"
STARS = {True: "★", False: "☆"}
# What has no place on the hull comes after what has one, in this order.
STATES = (
    State.RELAXED,
    State.WAITING,
    State.DRAWN,
    State.SKIPPED,
    State.KNOWN,
    State.FAILED,
    State.DUPLICATE,
    State.REJECTED,
)
SHEET = 500
"""Rows that a browser has at a time; sending them takes a millisecond for each ten."""
MANY = 1000
"""Candidates above which the table follows as seldom as the plots do."""


def novelty_words(candidate: Candidate) -> str:
    """Say what a candidate equals, if anything; what is new may be so in its form alone."""
    if candidate.state == State.DUPLICATE:
        return f"same as {candidate.matched}"
    if candidate.novel is None:
        return ""
    if not candidate.novel:
        return f"known: {candidate.matched}"
    known = candidate.composition_known
    if known is None:  # as earlier versions left it; of a stable phase the hull tells
        known = without_brackets(candidate.decomposition or "") == candidate.formula
    return "new form" if known else "new"


def reason_words(candidate: Candidate) -> str:
    """Say why a candidate went no further, where `novelty_words` does not tell it already."""
    return "" if candidate.state in {State.KNOWN, State.DUPLICATE} else candidate.reason


CELLS: dict[str, Callable[[Candidate], Any]] = {
    "mark": lambda candidate: "",
    "number": lambda candidate: candidate.id,
    "formula": lambda candidate: candidate.formula,
    "above_hull": lambda candidate: (
        math.nan if candidate.energy_above_hull is None else candidate.energy_above_hull
    ),
    "state": lambda candidate: candidate.state.value,
    "relaxed": lambda candidate: spacegroup_label(candidate.spacegroup_relaxed),
    "novelty": novelty_words,
    "reason": reason_words,
    "log_p": lambda candidate: candidate.log_likelihood,
    "generated": lambda candidate: spacegroup_label(candidate.spacegroup_generated),
    "asked": lambda candidate: spacegroup_label(candidate.spacegroup_asked),
}
"""What a cell says of a candidate alone; others say what people said of it, or need its hull."""


def expected_energy(candidate: Candidate, hull: str) -> float:
    """Return where DFT is expected to place a candidate, eV/atom; NaN where nothing is known."""
    record = track_record(candidate, hull)
    return math.nan if record is None else record.expected


def said_of(mark: Mark) -> dict[str, str]:
    """Return the cells that tell what people said of a candidate."""
    return {"star": STARS[mark.starred], "tags": ", ".join(mark.tags), "note": mark.note}


def by_interest(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates lowest above the hull first; those that never got there by how far."""

    def place(candidate: Candidate) -> tuple[int, float, int]:
        if is_placed(candidate):
            return -1, candidate.energy_above_hull, candidate.index
        return STATES.index(candidate.state), 0.0, candidate.index

    return sorted(candidates, key=place)


def listed(gathered: Gathered, summary: Gathered) -> Gathered:
    """Return what the table shows of a campaign: if that is much, it follows at a slower pace."""
    return gathered if len(gathered.by_id) <= MANY else summary


def order_of(gathered: Gathered) -> list[Candidate]:
    """Return the order that all pages begin with, which nobody may change. Safe in a thread."""
    return gathered.once("by interest", lambda: by_interest(gathered.in_order))


def first_sheet(gathered: Gathered, hull: str = "") -> pd.DataFrame:
    """Return the rows that all pages begin with, which nobody may change. Safe in a thread."""
    what = ("first sheet", hull)
    return gathered.once(what, lambda: frame(order_of(gathered)[:SHEET], hull))


def matching(
    candidates: Sequence[Candidate],
    filters: Iterable[Mapping[str, Any]],
    marks: Mapping[str, Mark],
    hull: str = "",
) -> list[Candidate]:
    """Return the candidates that hold what stands below the headings, as the browser finds them.

    Parameters
    ----------
    filters
        Of Tabulator, such as ``{"field": "formula", "type": "like", "value": "CaAl2"}``: the words
        stand somewhere in the cell, capitals or not.
    """
    found = list(candidates)
    for each in filters:
        cell, words = _cell_of(each["field"], marks, hull), str(each["value"]).lower()
        found = [candidate for candidate in found if words in str(cell(candidate)).lower()]
    return found


def sorted_by(
    candidates: Sequence[Candidate],
    sorters: Iterable[Mapping[str, Any]],
    marks: Mapping[str, Mark],
    hull: str = "",
) -> list[Candidate]:
    """Return candidates in the order of columns; where they are alike they stay as they were.

    What has no number comes last, whichever way.

    Parameters
    ----------
    sorters
        Of Tabulator, such as ``{"field": "log_p", "dir": "desc"}``; the first of them counts most.
    """
    found = list(candidates)
    for each in reversed(list(sorters)):
        name, falling = each["field"], each["dir"] == "desc"
        cell = _cell_of(name, marks, hull)
        values = {candidate.id: cell(candidate) for candidate in found}
        if name in NUMBERS:
            last = [c for c in found if math.isnan(values[c.id])]
            found = [c for c in found if not math.isnan(values[c.id])]
        else:
            last, values = [], {key: value.lower() for key, value in values.items()}
        found.sort(key=lambda candidate: values[candidate.id], reverse=falling)
        found += last
    return found


def _cell_of(name: str, marks: Mapping[str, Mark], hull: str) -> Callable[[Candidate], Any]:
    if name in CELLS:
        return CELLS[name]
    if name == "by_experience":
        return lambda candidate: expected_energy(candidate, hull)
    return lambda candidate: said_of(marks.get(candidate.id, Mark()))[name]


def frame(candidates: Iterable[Candidate], hull: str = "") -> pd.DataFrame:
    """Return rows in the order given, without what people said of them.

    Parameters
    ----------
    hull
        That of their campaign, as in `explorer.track_record.track_record`; "" for tables that do
        not show what is expected of candidates, which takes a millisecond for each.
    """
    nothing = said_of(Mark())
    rows = [
        {name: cell(candidate) for name, cell in CELLS.items()}
        | {"by_experience": expected_energy(candidate, hull)}
        | nothing
        for candidate in candidates
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(NUMBERS, float))


def with_marks(rows: pd.DataFrame, selected: str, marks: Mapping[str, Mark]) -> pd.DataFrame:
    """Return a copy with the dot of what is selected, and what people said of candidates."""
    rows = rows.copy()
    places = {name: place for place, name in enumerate(rows["number"])}
    kind, _, name = selected.partition(":")
    if kind == "candidate" and name in places:
        rows.loc[places[name], "mark"] = SELECTED
    for name, mark in marks.items():
        if name in places:
            said = said_of(mark)
            rows.loc[places[name], list(said)] = list(said.values())
    return rows
