"""Where a question starts: a preset, a saved file, or a structure whose symmetry is taken over."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.campaign import SpecError
from explorer.figures.words import escape
from explorer.ui.draft import PRESETS, Draft
from explorer.ui.drop_area import FileField
from explorer.ui.opened import fields_of_file
from explorer.ui.saved import write_toml
from explorer.ui.theme import TOOLTIP_BELOW, words

OPEN_HELP = (
    "Open file: saved constraints (.toml), or a structure (CIF, POSCAR, extxyz, JSON) whose "
    "elements, space group and occupied Wyckoff positions fill the form"
)
# A description is what a screen reader says of the button, so it begins with what the button does.
SAVE_HELP = (
    "Save the constraints: a small text file to keep or send. The page's address holds the same"
)
SMALL = {
    "variant": "text",
    "size": "small",
    "margin": (0, 0, 0, 4),
    "align": "center",
    "stylesheets": [TOOLTIP_BELOW],
    "sx": {"& .MuiButton-root": {"fontSize": 12}},  # the field to open a file knows no size
}


class StartView(Viewer):
    """Presets, Open and Save; what is wrong with a file is said below them."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(**params)
        self.draft = draft
        self.note = words()
        self.slot = pn.Row(margin=0)
        self.save = pmui.FileDownload(
            callback=lambda: StringIO(write_toml(draft)), filename="constraints.toml",
            label="Save", icon="save_alt", auto=True, embed=False, description=SAVE_HELP, **SMALL,
        )  # fmt: skip
        self._offer()

    def _offer(self) -> None:
        """Put an empty field in place, so that the same file can be opened twice."""
        # Of files that it does not accept the field would say nothing.
        self.open = FileField(label="Open file", icon="folder_open", description=OPEN_HELP, **SMALL)
        self.open.param.watch(self._take, "value")
        self.slot[:] = [self.open]

    async def _take(self, event: Any) -> None:
        """Read beside the event loop; the form keeps what it had when the file is bad."""
        if event.new is None:
            return
        name, content = str(self.open.filename), event.new
        self.note.object = "<p class='muted'>reading …</p>"
        try:
            values = await asyncio.to_thread(fields_of_file, name, content)
        except SpecError as error:
            self._offer()
            self.tell(str(error))
        else:
            self._offer()
            self.draft.take(values)
            self.note.object = f"<p class='muted'>{escape(name)} fills the form.</p>"

    def tell(self, problem: str) -> None:
        """Say what is wrong with a file or a link."""
        self.note.object = f"<p class='problem' role='alert'>{escape(problem)}</p>"

    def _preset(self, values: dict[str, Any]) -> None:
        self.note.object = ""
        self.draft.take(values)

    def __panel__(self) -> pn.Column:
        buttons = []
        for name, values in PRESETS.items():
            button = pmui.Button(
                label=name, variant="outlined", color="secondary", size="small", margin=0
            )
            button.on_click(lambda _, chosen=values: self._preset(chosen))
            buttons.append(button)
        title = words("<h3>Start from</h3>", align="center")
        line = pn.Row(title, self.slot, self.save, sizing_mode="stretch_width", margin=0)
        presets = pn.FlexBox(*buttons, gap="6px", margin=(2, 0, 6, 0))
        return pn.Column(line, presets, self.note, sizing_mode="stretch_width", margin=(0, 0, 8, 0))
