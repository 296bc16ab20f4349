"""The tolerances within which two crystals are the same, and the way to see both side by side."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import param
from panel.viewable import Viewer

from explorer.novelty import Matcher
from explorer.ui.theme import STEPPERS
from explorer.ui.workbench import Workbench

USUAL = Matcher()
FIELDS = {
    "ltol": ("ltol", USUAL.ltol, 0.05, "Fractional tolerance of lengths"),
    "stol": ("stol", USUAL.stol, 0.05, "Tolerance of positions, in units of ∛(volume per atom)"),
    "angle_tol": ("angle, °", USUAL.angle_tol, 1.0, "Tolerance of angles, degrees"),
}
OVERLAY_HELP = (
    "Cubes where the atoms of the nearest phase stand in this crystal's cell; rods to its atoms"
)


class MatchingView(Viewer):
    """Three numbers of pymatgen's StructureMatcher; they change what is shown here alone."""

    matcher = param.ClassSelector(default=USUAL, class_=Matcher)
    overlay = param.Boolean(default=False, doc="draw the nearest phase over the crystal")

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._nearest = ""
        self.fields = {
            name: pmui.FloatInput(
                label=label, value=value, step=step, start=0.0, size="small", width=92,
                description=tip, margin=(8, 6, 0, 0), sx=STEPPERS,
            )
            for name, (label, value, step, tip) in FIELDS.items()
        }  # fmt: skip
        self.beside = pmui.Button(
            label="Side by side", icon="compare", variant="outlined", size="small",
            margin=(8, 0, 0, 0), align="center",
        )  # fmt: skip
        self.over = pmui.Checkbox.from_param(
            self.param.overlay, label="Overlay", size="small", margin=(8, 10, 0, 0),
            align="center", description=OVERLAY_HELP,
        )  # fmt: skip
        self.box = pn.FlexBox(
            *self.fields.values(), self.over, self.beside, visible=False, margin=0,
            align_items="center", sizing_mode="stretch_width",
        )  # fmt: skip
        for field in self.fields.values():
            field.param.watch(self._change, "value")
        self.beside.on_click(self._compare)

    def _change(self, *_: Any) -> None:
        given = {name: field.value for name, field in self.fields.items()}
        if all(value is not None and value > 0 for value in given.values()):
            self.matcher = Matcher(**given)

    def _compare(self, *_: Any) -> None:
        self.bench.compared = [self.bench.selected, f"phase:{self._nearest}"]

    def show(self, visible: bool, nearest: str) -> None:
        """Show the tolerances, with a button when there is a phase to put beside the crystal."""
        self._nearest = nearest
        self.beside.visible = self.over.visible = bool(nearest)
        self.box.visible = visible

    def __panel__(self) -> pn.FlexBox:
        return self.box
