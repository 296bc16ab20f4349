"""The live table: one row for every crystal drawn. A row click selects, ticks choose for export."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models.widgets.tables import HTMLTemplateFormatter
from panel.custom import JSComponent
from panel.viewable import Viewer

from explorer.candidate import Candidate, State
from explorer.figures.words import spacegroup_label
from explorer.marks import Mark
from explorer.ui.theme import card, heading
from explorer.ui.watched import Gathered
from explorer.ui.workbench import Workbench, is_placed

COLUMNS = {
    "mark": "●",
    "star": "★",
    "number": "#",
    "formula": "Formula",
    "above_hull": "E above hull, eV/atom",
    "state": "State",
    "relaxed": "Relaxed",
    "novelty": "Novelty",
    "reason": "Reason",
    "log_p": "log p",
    "generated": "Generated",
    "asked": "Asked",
    "tags": "Tags",
    "note": "Note",
}
WIDTHS = {
    "mark": 18,
    "star": 34,
    "number": 62,
    "formula": 112,
    "above_hull": 104,
    "state": 72,
    "relaxed": 108,
    "novelty": 134,
    "reason": 98,
    "log_p": 62,
    "generated": 112,
    "asked": 112,
    "tags": 110,
    "note": 180,
}
ALWAYS = ("mark", "star", "number", "formula")
"""Columns that cannot be hidden."""
CHOICES = tuple(name for name in COLUMNS if name not in ALWAYS)
AT_FIRST_HIDDEN = ("log_p", "generated", "asked", "tags", "note")
"""So that state and reason are seen without scrolling on a small screen."""
TIPS = {
    "mark": "The candidate that is shown has a dot",
    "number": "By this number a candidate is known beside its crystal and in files",
    "star": "Click to star a candidate; its tags and its note are kept beside the crystal",
    "asked": "Space group that the model was asked for",
    "generated": "Space group that spglib finds before relaxation (symprec 0.1 Å)",
    "relaxed": "Space group that spglib finds after relaxation (symprec 0.1 Å)",
    "above_hull": "eV/atom above the hull of the known phases; negative is below it",
    "log_p": "Natural logarithm of the crystal's probability under the model",
    "state": "Where the crystal stands; one that failed or was rejected says why under Reason",
    "novelty": "The known phase or earlier candidate that it equals",
}
NO_ROWS = "No candidates here yet: they come as crystals are drawn"
NO_MATCHES = "No candidate matches what stands below the headings"
LONG = ("novelty", "reason", "tags", "note")
NARROWEST = 18  # pixels; Tabulator's own 40 would widen the dot and the star
SELECTED = "●"
STARS = {True: "★", False: "☆"}
# The cell's data stay plain, so that a filter finds what is typed; <%- escapes.
# Polymorphs share a formula: only the number tells their buttons apart where they are read aloud.
# A button in a cell hands its click on to the cell: so the keyboard selects and stars, too.
SUBSCRIBED = """<button type="button" title="<%- value %>"
aria-label="Show <%- value %> <%- number %>"><%-
String(value).replace(/\\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]) %></button>"""
STARRED = """<button type="button" aria-label="Star <%- formula %> <%- number %>"
aria-pressed="<%- value === '★' %>"><%- value %></button>"""
# What is longer than its column is read whole under the mouse.
WHOLE = """<span title="<%- value %>"><%- value %></span>"""
# As the other figures and words write them: a minus sign, and a dash for what is not known.
NUMBER = """<%- Number.isFinite(value) ? (+value.toFixed({decimals}) + 0).toFixed({decimals})
.replace("-", "−") : "–" %>"""  # + 0: no "−0.000"
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
# The theme's own rules are as specific as can be, hence the exclamation marks.
ROWS = """
.tabulator { border: 0; background: transparent; font-size: 13px !important; }
.tabulator .tabulator-header { border: 0; border-bottom: 1px solid var(--border-color);
  background: transparent; font-size: 12px; }
.tabulator .tabulator-header .tabulator-col { background: transparent !important; border: 0; }
.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px 8px !important; }
.tabulator .tabulator-header .tabulator-col-title { padding-right: 12px !important; }
.tabulator .tabulator-col[tabulator-field="above_hull"] .tabulator-col-title {
  white-space: normal !important; line-height: 1.35; text-align: right; }
.tabulator .tabulator-header .tabulator-col-sorter { right: 2px !important; }
.tabulator .tabulator-col[aria-sort="none"]:not(:hover) .tabulator-col-sorter { opacity: 0; }
.tabulator .tabulator-col[tabulator-field="mark"] .tabulator-col-sorter { display: none; }
.tabulator .tabulator-header .tabulator-col[tabulator-field="mark"] .tabulator-col-content {
  padding: 4px 2px !important; }
.tabulator .tabulator-header .tabulator-col[tabulator-field="mark"] .tabulator-col-title {
  padding: 0 !important; opacity: 0.4; }
.tabulator .tabulator-header .tabulator-header-filter input { font: inherit; padding: 2px 6px;
  height: 24px; border: 1px solid var(--border-color); border-radius: 4px; color: inherit;
  background: transparent; }
.tabulator .tabulator-row { min-height: 30px !important; border: 0 !important; cursor: pointer;
  background: transparent !important; color: var(--panel-on-surface-color) !important; }
.tabulator .tabulator-row .tabulator-cell { height: 30px !important; padding: 6px 8px !important;
  font-size: 13px !important; border: 0 !important;
  border-bottom: 1px solid
    color-mix(in srgb, var(--panel-on-surface-color) 9%, transparent) !important; }
.tabulator .tabulator-row:hover {
  background: color-mix(in srgb, var(--panel-primary-color) 9%, transparent) !important; }
.tabulator .tabulator-row.tabulator-selected {
  background: color-mix(in srgb, var(--panel-primary-color) 17%, transparent) !important; }
/* What stays while the rest is scrolled below it has a ground of its own. */
.tabulator .tabulator-row .tabulator-frozen,
.tabulator .tabulator-header .tabulator-col.tabulator-frozen {
  background: var(--panel-surface-color) !important; border-right: 0 !important; }
.tabulator .tabulator-row:hover .tabulator-frozen { background: color-mix(in srgb,
  var(--panel-primary-color) 9%, var(--panel-surface-color)) !important; }
.tabulator .tabulator-row.tabulator-selected .tabulator-frozen { background: color-mix(in srgb,
  var(--panel-primary-color) 17%, var(--panel-surface-color)) !important; }
.tabulator .tabulator-row .tabulator-cell button { all: unset; cursor: pointer;
  border-radius: 3px; }
.tabulator .tabulator-row .tabulator-cell button:focus-visible {
  outline: 2px solid var(--panel-primary-color); outline-offset: 2px; }
.tabulator .tabulator-row .tabulator-cell[tabulator-field="mark"] { color: #d6278d;
  padding: 6px 2px !important; }
.tabulator .tabulator-row .tabulator-cell[tabulator-field="star"] { font-size: 15px !important;
  padding: 3px 6px !important; text-align: center;
  color: light-dark(#9a6700, #f2c14e) !important; }
.tabulator .tabulator-header .tabulator-col[tabulator-field="star"] .tabulator-col-content {
  padding: 4px 6px !important; }
.tabulator .tabulator-header .tabulator-col[tabulator-field="star"] .tabulator-col-title {
  padding: 0 !important; text-align: center; }
.tabulator .tabulator-col[tabulator-field="star"] .tabulator-col-sorter { display: none; }
.tabulator .tabulator-tableholder .tabulator-placeholder .tabulator-placeholder-contents {
  font-size: 13px !important; font-weight: 400 !important; opacity: 0.66;
  color: var(--panel-on-surface-color) !important; }
.tabulator .tabulator-tableholder .tabulator-table { background: transparent !important; }
"""


class TableKeys(JSComponent):
    """Keeps focus and place in the table where rows are drawn anew, and names its tick boxes.

    Shows nothing. What is clicked and ticked it tells by the number of the candidate, in messages:
    ``{"kind": "click", "number": "000007", "field": "star"}`` or ``{"kind": "tick", "numbers":
    ["000007"], "on": true}``.
    """

    drawn = param.Boolean(default=False, doc="whether the table is there and can be changed")

    _esm: ClassVar[Path] = Path(__file__).parent / "static" / "table_keys.js"

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, "height": 0} | params)


MANY = 1000  # rows; sending them takes a millisecond for each ten


class TableView(Viewer):
    """A Tabulator whose rows follow the candidates."""

    def __init__(self, bench: Workbench, tools: tuple[Any, ...] = (), **params: Any) -> None:
        super().__init__(**params)
        self.bench, self._tools = bench, tools
        self._ids: list[str] = []
        self.table = pn.widgets.Tabulator(
            frame([]),
            titles=COLUMNS,
            widths=WIDTHS,
            header_tooltips=TIPS,
            formatters={
                "formula": HTMLTemplateFormatter(template=SUBSCRIBED),
                "star": HTMLTemplateFormatter(template=STARRED),
                "above_hull": HTMLTemplateFormatter(template=NUMBER.format(decimals=3)),
                "log_p": HTMLTemplateFormatter(template=NUMBER.format(decimals=1)),
                **{name: HTMLTemplateFormatter(template=WHOLE) for name in LONG},
            },
            text_align={"above_hull": "right", "log_p": "right", "number": "right"},
            header_filters={
                "formula": header_filter("Only formulas that contain", "CaAl2"),
                "state": header_filter("Only states that contain", "filter"),
            },
            hidden_columns=list(AT_FIRST_HIDDEN),
            frozen_columns=list(ALWAYS),
            selectable="checkbox",
            show_index=False,
            disabled=True,
            editors=dict.fromkeys(COLUMNS),  # or every cell would take the keyboard's focus
            layout="fit_data_stretch",
            height=330,
            configuration={
                "placeholder": NO_ROWS,
                "placeholderHeaderFilter": NO_MATCHES,
                # A handle between two cells would swallow the click that selects their row.
                "columnDefaults": {"minWidth": NARROWEST, "resizable": "header"},
            },
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[ROWS],
            sorters=[],
        )
        self.keys = TableKeys()
        self.columns = pmui.MenuToggle(
            items=[
                {
                    "label": COLUMNS[name],
                    "icon": "check_box_outline_blank",
                    "active_icon": "check_box",
                    "toggled": name not in AT_FIRST_HIDDEN,
                }
                for name in CHOICES
            ],
            label="Columns", icon="view_column", variant="text", size="small", margin=0,
            persistent=True, align="center",
        )  # fmt: skip
        self.starred = pmui.Checkbox.from_param(
            bench.param.starred_only, label="Starred only", size="small", margin=(0, 6),
            align="center", description="",
        )  # fmt: skip
        self.columns.param.watch(self._hide, "toggled")
        self.keys.on_msg(self._hear)
        bench.param.watch(self._follow, ["revision", "summary"])
        bench.param.watch(self._fill, ["campaign_id", "starred_only"])
        bench.param.watch(self._tick, "chosen")
        bench.param.watch(self._star, "marks")
        bench.param.watch(self._mark, "selected")

    def _hide(self, event: Any) -> None:
        shown = {CHOICES[place] for place in event.new}
        self.table.hidden_columns = [name for name in CHOICES if name not in shown]

    def _follow(self, *events: Any) -> None:
        """Fill a short table at each change, a long one as often as the plots."""
        name = "revision" if len(self.bench.candidates) <= MANY else "summary"
        if name in {event.name for event in events}:
            self._fill()

    def _fill(self, *_: Any) -> None:
        bench = self.bench
        rows = rows_of(listed(bench.gathered, bench.summed_up))
        if bench.starred_only:
            starred = [bench.is_starred(name) for name in rows["number"]]
            rows = rows.loc[starred].reset_index(drop=True)
        self._ids = rows["number"].tolist()
        self.table.value = with_marks(rows, bench.selected, bench.marks)
        self._tick()

    def _tick(self, *_: Any) -> None:
        """Tick what is in the basket, whoever put it there."""
        chosen = set(self.bench.chosen)
        places = [place for place, name in enumerate(self._ids) if name in chosen]
        if places != sorted(self.table.selection):  # where it is told anew, the table scrolls
            self.table.selection = places

    def _star(self, event: Any) -> None:
        """Show what was said of candidates, without sending the whole table again."""
        rows = {name: place for place, name in enumerate(self._ids)}
        marked = {*event.old, *event.new}
        changed = {name for name in marked if event.old.get(name) != event.new.get(name)}
        if self.bench.starred_only and changed:
            self._fill()  # one that has no row yet may get one
            return
        changed &= rows.keys()
        if not changed:
            return
        said = {name: said_of(event.new.get(name, Mark())) for name in changed}
        columns = ("star", "tags", "note")
        self.table.patch(
            {column: [(rows[name], said[name][column]) for name in changed] for column in columns}
        )

    def _mark(self, event: Any) -> None:
        """Move the dot, without sending the whole table again."""
        rows = {name: place for place, name in enumerate(self._ids)}
        patches = []
        for key, mark in ((event.old, ""), (event.new, SELECTED)):
            kind, _, name = key.partition(":")
            if kind == "candidate" and name in rows:
                patches.append((rows[name], mark))
        if patches:
            self.table.patch({"mark": patches})

    def _hear(self, event: Any) -> None:
        said = event.data
        if said["kind"] == "tick":
            self.tick(said["numbers"], on=said["on"])
        else:
            self.click(said["number"], said["field"])

    def click(self, number: str, field: str) -> None:
        """Select a candidate, or star it, if that is the column; one that is gone is let be."""
        if number not in self.bench.candidates:
            return
        if field == "star":
            self.bench.mark(number, starred=not self.bench.is_starred(number))
        else:
            self.bench.select_candidate(number)

    def tick(self, numbers: Iterable[str], *, on: bool) -> None:
        """Choose candidates for the basket, or take them out of it; the others stay as they are."""
        named = [number for number in numbers if number in self.bench.candidates]
        kept = [number for number in self.bench.chosen if number not in set(named)]
        self.bench.chosen = [*kept, *named] if on else kept
        self._tick()  # the table may have ticked the rows that now stand where those stood

    def __panel__(self) -> pn.Column:
        return card(
            heading("Candidates", self.starred, self.columns, *self._tools),
            self.table,
            self.keys,
            name="table",
        )


def header_filter(name: str, example: str) -> dict[str, Any]:
    """Return a field below a column's name, with a name of its own for screen readers."""
    named = {"aria-label": name, "title": name}
    return {
        "type": "input", "func": "like", "placeholder": example, "elementAttributes": named
    }  # fmt: skip


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


def rows_of(gathered: Gathered) -> pd.DataFrame:
    """Return the rows that all pages have in common, which nobody may change. Safe in a thread."""
    return gathered.once("rows", lambda: frame(by_interest(gathered.in_order)))


def frame(candidates: Iterable[Candidate]) -> pd.DataFrame:
    """Return rows in the order given, without what people said of them."""
    rows = [_row(candidate) | said_of(Mark()) for candidate in candidates]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"above_hull": float, "log_p": float})


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


def said_of(mark: Mark) -> dict[str, str]:
    """Return the cells that tell what people said of a candidate."""
    return {"star": STARS[mark.starred], "tags": ", ".join(mark.tags), "note": mark.note}


def _row(candidate: Candidate) -> dict[str, Any]:
    energy = candidate.energy_above_hull
    return {
        "mark": "",
        "number": candidate.id,
        "formula": candidate.formula,
        "above_hull": math.nan if energy is None else energy,
        "state": candidate.state.value,
        "relaxed": spacegroup_label(candidate.spacegroup_relaxed),
        "novelty": novelty_words(candidate),
        "reason": reason_words(candidate),
        "log_p": candidate.log_likelihood,
        "generated": spacegroup_label(candidate.spacegroup_generated),
        "asked": spacegroup_label(candidate.spacegroup_asked),
    }


def novelty_words(candidate: Candidate) -> str:
    """Say what a candidate equals, if anything."""
    if candidate.state == State.DUPLICATE:
        return f"same as {candidate.matched}"
    if candidate.novel is None:
        return ""
    return "new" if candidate.novel else f"known: {candidate.matched}"


def reason_words(candidate: Candidate) -> str:
    """Say why a candidate went no further, where `novelty_words` does not tell it already."""
    return "" if candidate.state in {State.KNOWN, State.DUPLICATE} else candidate.reason
