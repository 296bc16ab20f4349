"""The powder pattern of the crystal, and one that was measured on the same axes."""

from __future__ import annotations

import asyncio
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewer
from pymatgen.core import Structure

from explorer.crystals import gate, to_structure
from explorer.figures.diffraction import RADIATIONS, WAVELENGTH, diffraction_figure
from explorer.figures.words import escape
from explorer.powder import MAX_MEGABYTES, MeasuredPattern, PatternError, read_pattern
from explorer.ui.drop_area import drop_area, short_name
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import words
from model.crystal import WyckoffCrystal

HELP = (
    "<p class='muted'>Compare with a measured pattern: a text file with two columns, 2θ in degrees "
    "and intensity (.xy, .csv, .dat, .txt). Both are drawn with their highest point at 100.</p>"
)


class PatternView(Viewer):
    """Plot, wavelength and upload; what was measured stays while crystals are clicked through."""

    wavelength = param.Selector(default=WAVELENGTH, objects=RADIATIONS)
    measured = param.ClassSelector(class_=MeasuredPattern, allow_None=True)

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.plot = PlotView(
            label="Powder pattern", sizing_mode="stretch_width", height=240, margin=0
        )
        self.radiation = pmui.Select.from_param(
            self.param.wavelength, label="Radiation", size="small", width=190, margin=(8, 0, 0, 0)
        )
        self.note = words(HELP, margin=(6, 0, 4, 0))
        self.clear = pmui.Button(
            label="Remove", variant="text", size="small", margin=0, visible=False, align="center",
            description="Remove the measured pattern", on_click=self._clear,
        )  # fmt: skip
        self.slot = pn.Column(sizing_mode="stretch_width", margin=0)
        told = pn.Row(self.note, self.clear, sizing_mode="stretch_width", margin=0)
        # A component of its own stays in the flow when it is hidden; a column does not.
        self.box = pn.Column(
            self.plot, self.radiation, told, self.slot, visible=False, margin=(6, 0, 0, 0),
            sizing_mode="stretch_width",
        )  # fmt: skip
        self._offer()

    def _offer(self) -> None:
        """Put an empty drop area in place: one that holds a file cannot be emptied from here."""
        self.dropper = drop_area(MAX_MEGABYTES, self._take, "a measured pattern")
        self.slot[:] = [self.dropper]

    async def _take(self, *_: Any) -> None:
        """Read what was dropped beside the event loop; one that cannot be read leaves the last."""
        name, data = self.dropper.filename, self.dropper.value
        if data is None:
            return
        short = short_name(name)
        try:
            self.measured = await asyncio.to_thread(read_pattern, short, data)
        except PatternError as error:
            self.note.object = f"<p class='problem' role='alert'>{escape(error)}</p>"
            self._offer()
            return
        points = len(self.measured.angles)
        self.note.object = f"<p class='muted'>{escape(short)}: {points} points</p>"
        self.clear.visible, self.slot.visible = True, False

    def _clear(self, *_: Any) -> None:
        self._offer()
        self.measured = None
        self.note.object = HELP
        self.clear.visible, self.slot.visible = False, True

    def draw(self, structure: Structure, dark: bool, crystal: WyckoffCrystal | None = None) -> str:
        """Return the pattern of a structure; "" when it has none. Safe in a thread.

        Indices belong to the cell of `crystal`, the description of the structure: another choice of
        axes has other indices, and without its symmetry each peak is several that lie side by side.
        """
        if gate(structure):
            return ""
        cell = structure if crystal is None else to_structure(crystal, primitive=False)
        return figure_json(diffraction_figure(cell, dark, self.wavelength, self.measured))

    def show(self, pattern: str) -> None:
        """Show a pattern; "" hides it."""
        self.plot.drawing = pattern
        self.box.visible = bool(pattern)

    def __panel__(self) -> pn.Column:
        return self.box
