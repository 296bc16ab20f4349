"""Star, tags and note of the selected candidate."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.figures.words import escape
from explorer.marks import MAX_NOTE, Mark
from explorer.ui.theme import words
from explorer.ui.workbench import Workbench


class NotesView(Viewer):
    """The fields are saved when they are left; every page on this campaign sees them."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._filling = False
        self._refused: pn.widgets.Widget | None = None
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
        for field in (self.star, self.tags, self.note):
            field.param.watch(self._save, "value")

    def _fill(self, *events: Any) -> None:
        """Show what is kept; what was refused stays to be mended, until another is selected."""
        if any(event.name == "selected" for event in events):
            self._refused = None
        candidate = self.bench.selected_candidate
        mark = self.bench.marks.get(candidate.id, Mark()) if candidate else Mark()
        self._filling = True
        self.star.value = mark.starred
        kept = {self.tags: ", ".join(mark.tags), self.note: mark.note}
        for field, text in kept.items():
            if field is not self._refused:
                field.value = text
        if self._refused is None:
            self.problem.object = ""
        self._filling = False

    def _save(self, event: Any) -> None:
        candidate = self.bench.selected_candidate
        if self._filling or candidate is None:
            return
        change: dict[str, Any] = {"starred": event.new}
        if event.obj is self.tags:
            change = {"tags": [tag.strip() for tag in event.new.split(",")]}
        elif event.obj is self.note:
            change = {"note": event.new}
        if self._refused is event.obj:
            self._refused = None
        problem = self.bench.mark(candidate.id, **change)
        if problem:
            self._refused = event.obj
            self.problem.object = f"<p class='problem' role='alert'>{escape(problem)}</p>"
        elif self._refused is None:
            self.problem.object = ""

    def __panel__(self) -> pn.Column:
        return self.box
