"""The live table: one row for every crystal drawn. A row click selects, ticks choose for export."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models.widgets.tables import HTMLTemplateFormatter
from panel.custom import JSComponent
from panel.viewable import Viewer

from explorer.candidate import Candidate
from explorer.marks import Mark
from explorer.ui.table_rows import (
    COLUMNS,
    MANY,
    NUMBERS,
    SELECTED,
    SHEET,
    first_sheet,
    frame,
    listed,
    matching,
    order_of,
    said_of,
    sorted_by,
    with_marks,
)
from explorer.ui.theme import card, heading, words
from explorer.ui.workbench import Workbench

WIDTHS = {
    "mark": 18,
    "star": 34,
    "number": 62,
    "formula": 112,
    "above_hull": 104,
    "by_experience": 110,
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
AT_FIRST_HIDDEN = ("by_experience", "log_p", "generated", "asked", "tags", "note")
"""So that state and reason are seen without scrolling on a small screen."""
TIPS = {
    "mark": "The candidate that is shown has a dot",
    "number": "By this number a candidate is known beside its crystal and in files",
    "star": "Click to star a candidate; its tags and its note are kept beside the crystal",
    "asked": "Space group that the model was asked for",
    "generated": "Space group that spglib finds before relaxation (symprec 0.1 Å)",
    "relaxed": "Space group that spglib finds after relaxation (symprec 0.1 Å)",
    "above_hull": "eV/atom above the hull of the known phases; negative is below it",
    "by_experience": "Where DFT is expected to place a novel crystal, by what it said of such "
    "that the potential had placed; the Facts beside the crystal say how sure that is",
    "log_p": "Natural logarithm of the crystal's probability under the model",
    "state": "Where the crystal stands; one that failed or was rejected says why under Reason",
    "novelty": "The known phase or earlier candidate that it equals, new where it is none of those "
    "that came with the program or with you; a new form is of a composition that is known",
}
NO_ROWS = "Candidates come here as they are read, or drawn"
NO_MATCHES = "No candidate matches what stands below the headings"
LONG = ("novelty", "reason", "tags", "note")
NARROWEST = 18  # pixels; Tabulator's own 40 would widen the dot and the star
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
# The theme's own rules are as specific as can be, hence the exclamation marks.
ROWS = """
.tabulator { border: 0; background: transparent; font-size: 13px !important; }
.tabulator .tabulator-header { border: 0; border-bottom: 1px solid var(--border-color);
  background: transparent; font-size: 12px; }
.tabulator .tabulator-header .tabulator-col { background: transparent !important; border: 0; }
.tabulator .tabulator-header .tabulator-col .tabulator-col-content { padding: 4px 8px !important; }
.tabulator .tabulator-header .tabulator-col-title { padding-right: 12px !important; }
.tabulator .tabulator-col:is([tabulator-field="above_hull"],
  [tabulator-field="by_experience"]) .tabulator-col-title {
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
.tabulator .tabulator-tableholder:focus-visible {
  outline: 2px solid var(--panel-primary-color); outline-offset: -2px; }
.tabulator .tabulator-tableholder .tabulator-table { background: transparent !important; }
"""


class TableKeys(JSComponent):
    """Keeps focus and place in the table where rows are drawn anew, and names its tick boxes.

    Shows nothing. What is clicked and ticked it tells by the number of the candidate, in messages:
    ``{"kind": "click", "number": "000007", "field": "star"}`` or ``{"kind": "tick", "numbers":
    ["000007"], "on": true}``, where "all" instead of "tick" is the box at the top.
    """

    drawn = param.Boolean(default=False, doc="whether the table is there and can be changed")

    _esm: ClassVar[Path] = Path(__file__).parent / "static" / "table_keys.js"

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, "height": 0} | params)

    def reveal(self, number: str) -> None:
        """Scroll the table, not the page, to the row of a candidate, unless it is in sight."""
        self._send_msg({"number": number})


class TableView(Viewer):
    """A Tabulator whose rows follow the candidates.

    The browser has one sheet of rows at a time. Where one is not enough for all, filters and order
    are those of all rows, not only of the sheet.
    """

    def __init__(self, bench: Workbench, tools: tuple[Any, ...] = (), **params: Any) -> None:
        super().__init__(**params)
        self.bench, self._tools = bench, tools
        self._ids: list[str] = []  # of the rows that the browser has
        self._found: list[Candidate] = []  # on all sheets
        self._clicked = ""
        self.table = empty_table()
        self.keys = TableKeys()
        self.sheets = pmui.Pagination(
            count=1, size="small", show_first_button=True, show_last_button=True, margin=0,
            align="center",
        )  # fmt: skip
        self.which = words(margin=(0, 8), align="center")
        self.turn = pn.Row(self.sheets, self.which, margin=(6, 0, 0, 0), visible=False)
        self.columns = columns_menu()
        self.starred = pmui.Checkbox.from_param(
            bench.param.starred_only, label="Starred only", size="small", margin=(0, 6),
            align="center", description="",
        )  # fmt: skip
        self.columns.param.watch(self._hide, "toggled")
        self.keys.on_msg(self._hear)
        self.table.param.watch(self._ask_again, ["filters", "sorters"])
        self.sheets.param.watch(self._turn_sheet, "value")
        bench.param.watch(self._follow, ["revision", "summary"])
        bench.param.watch(self._begin, ["campaign_id", "starred_only"])
        bench.param.watch(self._tick, "chosen")
        bench.param.watch(self._star, "marks")
        bench.param.watch(self._mark, "selected")

    def _hide(self, event: Any) -> None:
        shown = {CHOICES[place] for place in event.new}
        before = self._hull
        self.table.hidden_columns = [name for name in CHOICES if name not in shown]
        if self._hull != before:
            self._fill()

    @property
    def _hull(self) -> str:
        """The hull that what is expected of candidates is told of, where that is shown."""
        campaign = self.bench.campaign
        shown = "by_experience" not in self.table.hidden_columns
        return campaign.spec.hull if campaign and shown else ""

    def _follow(self, *events: Any) -> None:
        """Fill a short table at each change, a long one as often as the plots."""
        name = "revision" if len(self.bench.candidates) <= MANY else "summary"
        if name in {event.name for event in events}:
            self._fill()

    def _begin(self, *_: Any) -> None:
        if self.sheets.value:
            self.sheets.value = 0
        else:
            self._fill()

    def _ask_again(self, *_: Any) -> None:
        """Filter and order all rows anew; those of a single sheet the browser does alone."""
        if self.turn.visible:
            self._begin()

    def _turn_sheet(self, _: Any) -> None:
        self._fill()
        if self._ids:
            self.keys.reveal(self._ids[0])

    def _fill(self, *_: Any) -> None:
        bench, gathered = self.bench, listed(self.bench.gathered, self.bench.summed_up)
        rows = order_of(gathered)
        if bench.starred_only:
            rows = [candidate for candidate in rows if bench.is_starred(candidate.id)]
        self.turn.visible = len(rows) > SHEET
        asked = self.turn.visible and (self.table.filters or self.table.sorters)
        self._found = self._asked_of(rows) if asked else rows
        count = math.ceil(len(self._found) / SHEET) or 1
        if self.sheets.value >= count:
            self.sheets.value = count - 1  # comes here again
            return
        self.sheets.count = count
        first = self.sheets.value * SHEET
        alike = self._found is order_of(gathered) and not first
        shown, hull = self._found[first : first + SHEET], self._hull
        sheet = first_sheet(gathered, hull) if alike else frame(shown, hull)
        self._ids = sheet["number"].tolist()
        self.which.object = which_words(first, len(self._ids), len(self._found), len(rows))
        self.table.value = with_marks(sheet, bench.selected, bench.marks)
        self._tick()

    def _asked_of(self, rows: list[Candidate]) -> list[Candidate]:
        marks, hull = self.bench.marks, self._hull
        found = matching(rows, self.table.filters, marks, hull)
        return sorted_by(found, self.table.sorters, marks, hull)

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
        if event.new.startswith("candidate:") and event.new != self._clicked:
            self._reveal(event.new.partition(":")[2])

    def _reveal(self, number: str) -> None:
        """Bring the row of what was selected elsewhere into sight, from whichever sheet."""
        places = (place for place, found in enumerate(self._found) if found.id == number)
        place = next(places, None)
        if place is not None:
            self.sheets.value = place // SHEET
            self.keys.reveal(number)

    def _hear(self, event: Any) -> None:
        said = event.data
        if said["kind"] == "click":
            self.click(said["number"], said["field"])
        else:
            everything = said["kind"] == "all" and self.turn.visible
            numbers = [found.id for found in self._found] if everything else said["numbers"]
            self.tick(numbers, on=said["on"])

    def click(self, number: str, field: str) -> None:
        """Select a candidate, or star it, if that is the column; one that is gone is let be."""
        if number not in self.bench.candidates:
            return
        if field == "star":
            problem = self.bench.mark(number, starred=not self.bench.is_starred(number))
            if problem and pn.state.notifications:
                pn.state.notifications.error(f"No star: {problem}")
        else:
            self._clicked = f"candidate:{number}"  # it is in sight
            self.bench.select_candidate(number)

    def tick(self, numbers: Iterable[str], *, on: bool) -> None:
        """Choose candidates for the basket, or take them out of it; the others stay as they are."""
        named = [number for number in numbers if number in self.bench.candidates]
        again = set(named)
        kept = [number for number in self.bench.chosen if number not in again]
        self.bench.chosen = [*kept, *named] if on else kept
        self._tick()  # the table may have ticked the rows that now stand where those stood

    def __panel__(self) -> pn.Column:
        return card(
            heading("Candidates", self.starred, self.columns, *self._tools),
            self.table,
            self.turn,
            self.keys,
            name="table",
        )


def empty_table() -> pn.widgets.Tabulator:
    """Return the table without rows; its cells cannot be edited."""
    return pn.widgets.Tabulator(
        frame([]),
        titles=COLUMNS,
        widths=WIDTHS,
        header_tooltips=TIPS,
        formatters={
            "formula": HTMLTemplateFormatter(template=SUBSCRIBED),
            "star": HTMLTemplateFormatter(template=STARRED),
            "above_hull": HTMLTemplateFormatter(template=NUMBER.format(decimals=3)),
            "by_experience": HTMLTemplateFormatter(template=NUMBER.format(decimals=3)),
            "log_p": HTMLTemplateFormatter(template=NUMBER.format(decimals=1)),
            **{name: HTMLTemplateFormatter(template=WHOLE) for name in LONG},
        },
        text_align=dict.fromkeys((*NUMBERS, "number"), "right"),
        header_filters={
            "formula": header_filter("Only formulas that contain", "CaAl2"),
            "state": header_filter("Only states that contain", "filter"),
        },
        hidden_columns=list(AT_FIRST_HIDDEN),
        frozen_columns=list(ALWAYS),
        selectable="checkbox",
        show_index=False,
        pagination=None,  # or Panel would hand the browser the first twenty rows of many
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


def columns_menu() -> pmui.MenuToggle:
    """Return the menu of the columns that can be hidden, in the order of `CHOICES`."""
    return pmui.MenuToggle(
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


def header_filter(name: str, example: str) -> dict[str, Any]:
    """Return a field below a column's name, with a name of its own for screen readers."""
    named = {"aria-label": name, "title": name}
    return {
        "type": "input", "func": "like", "placeholder": example, "elementAttributes": named
    }  # fmt: skip


def which_words(first: int, shown: int, found: int, rows: int) -> str:
    """Say which of all rows the browser has, where it has not all of them."""
    if not shown:
        return f"No row matches; {rows:,} in all"
    place = f"Rows {first + 1:,}\u2013{first + shown:,} of {found:,}"
    return place if found == rows else f"{place} that match; {rows:,} in all"
