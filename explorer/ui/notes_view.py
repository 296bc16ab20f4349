"""Star, tags and note of the selected candidate."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.util import edit_readonly
from panel.viewable import Viewer

from explorer.figures.words import escape
from explorer.marks import MAX_NOTE, Mark
from explorer.ui.theme import words
from explorer.ui.workbench import Workbench

REST = 0.8
"""Seconds without a key after which what is typed is saved, in the middle of it."""


class NotesView(Viewer):
    """The fields are saved when they are left, and when the keys rest: a tab may be closed then.

    Every page on this campaign sees them.
    """

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._filling = False
        self._refused: pn.widgets.Widget | None = None
        self._wrote: dict[pn.widgets.Widget, str] = {}  # what this page saved of the fields last
        self.star = pmui.Checkbox(label="Starred", size="small", margin=0)
        self.tags = pmui.TextInput(
            label="Tags, with commas", placeholder="DFT next, odd coordination", size="small",
            sizing_mode="stretch_width", margin=(4, 0, 6, 0),
        )  # fmt: skip
        self.note = pmui.TextAreaInput(
            label="Note", rows=3, size="small", max_length=MAX_NOTE,
            sizing_mode="stretch_width", margin=(4, 0, 0, 0),
        )  # fmt: skip
        self.problem = words()
        self.box = pn.Column(
            self.star, self.tags, self.note, self.problem, margin=(4, 0, 0, 0), visible=False,
            sizing_mode="stretch_width",
        )  # fmt: skip
        bench.param.watch(self._fill, ["selected", "marks"])
        bench.param.watch(self._open, "campaign")
        for field in (self.star, self.tags, self.note):
            field.param.watch(self._save, "value")
        for field in (self.tags, self.note):
            field.param.watch(self._save_later, "value_input")

    def _open(self, *_: Any) -> None:
        """Let only those write whom the store lets; to others the fields tell what was said."""
        campaign, mine = self.bench.campaign, self.bench.is_mine
        for field in (self.star, self.tags, self.note):
            field.disabled = not mine
        if campaign is not None and not mine:
            who = campaign.person or "an admin"
            self.problem.object = f"<p role='status'>Only {escape(who)} may write here.</p>"

    def _fill(self, *events: Any) -> None:
        """Show what is kept; what is typed or was refused stays, until another is selected.

        Typed is what this page has not saved yet: what it has and another page wrote over gives
        way, or it would write over that page's words when the field is left.
        """
        anew = any(event.name == "selected" for event in events)
        if anew:
            self._refused = None
            self._wrote.clear()
        candidate = self.bench.selected_candidate
        self._filling = True
        self.star.value = candidate is not None and self.bench.is_starred(candidate.id)
        for field, text in self._kept().items():
            typed = field.value_input not in {field.value, self._wrote.get(field)}
            told = text == field.value_input  # to send it again would disturb who goes on typing
            if anew or not (typed or told or field is self._refused):
                field.value = text
                with edit_readonly(field):  # where the value is the same, but not what was typed
                    field.value_input = text
        if self._refused is None and self.bench.is_mine:
            self.problem.object = ""
        self._filling = False

    def _save(self, event: Any) -> None:
        candidate = self.bench.selected_candidate
        if not self._filling and candidate is not None:
            self._keep(candidate.id, event.obj, event.new)

    async def _save_later(self, event: Any) -> None:
        """Save what is typed if no further key comes; the field is left alone."""
        candidate, field, text = self.bench.selected_candidate, event.obj, event.new
        if self._filling or candidate is None:
            return
        await asyncio.sleep(REST)
        now = self.bench.selected_candidate
        same = now is not None and now.id == candidate.id
        if same and field.value_input == text != self._kept()[field]:
            self._keep(candidate.id, field, text)

    def _kept(self) -> dict[pn.widgets.Widget, str]:
        """Return what is in the store for the text fields."""
        candidate = self.bench.selected_candidate
        mark = self.bench.marks.get(candidate.id, Mark()) if candidate else Mark()
        return {self.tags: ", ".join(mark.tags), self.note: mark.note}

    def _keep(self, candidate: str, field: pn.widgets.Widget, value: Any) -> None:
        """Write into the store what stands in a field, or say why not."""
        change: dict[str, Any] = {"starred": value}
        if field is self.tags:
            change = {"tags": [tag.strip() for tag in value.split(",")]}
        elif field is self.note:
            change = {"note": value}
        if self._refused is field:
            self._refused = None
        problem = self.bench.mark(candidate, **change)
        if problem:
            self._refused = field
            self.problem.object = f"<p class='problem' role='alert'>{escape(problem)}</p>"
            return
        self._wrote[field] = value
        if self._refused is None:
            self.problem.object = ""

    def __panel__(self) -> pn.Column:
        return self.box
