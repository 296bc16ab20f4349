"""Wyckoff sites by click and as text: one set of sites, two ways to ask for them."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewer

from explorer.figures.asked import LABELS
from explorer.figures.crystal import element_colour
from explorer.figures.words import spacegroup_label
from explorer.figures.wyckoff import position_cards
from explorer.ui.draft import Draft
from explorer.ui.sites import Focus, focus_of, write_sites
from explorer.ui.wyckoff_panel import WyckoffPanel

NO_GROUP = "Choose a space group to see its Wyckoff positions and pick sites by click."
SEVERAL = (
    "Sites to fill belong to one space group: keep one of these. Positions to forbid may be "
    "written for each, such as 139:4d=none."
)
ANYWHERE = "Any space group may be drawn; in this one the forbidden positions stay empty."
MOST_OFFERED = 8


class SitesView(Viewer):
    """The panel of positions with the text field below it; both show `Draft.sites`."""

    def __init__(self, draft: Draft, **params: Any) -> None:
        super().__init__(**params)
        self.draft = draft
        self.panel = WyckoffPanel(sizing_mode="stretch_width", margin=(6, 0, 4, 0))
        self.text = pmui.TextInput.from_param(
            draft.param.sites, label=LABELS["sites"], placeholder="any, or 139:2a=Ca, 139:4d=none",
            sizing_mode="stretch_width", margin=(5, 0), size="small",
        )  # fmt: skip
        draft.param.watch(self._show, ["sites", "spacegroups", "elements", "required"])
        self.panel.param.watch(self._write, "value")
        self.panel.param.watch(self._narrow, "narrow")
        self.panel.param.watch(self._drop, "dropped")
        self._show()

    @property
    def focus(self) -> Focus:
        """What the fields say now."""
        return focus_of(self.draft.spacegroups, self.draft.sites)

    def _show(self, *_: Any) -> None:
        focus = self.focus
        group = position_cards(focus.group) if focus.group else {}
        symbols = sorted(self.draft.elements or self.draft.required)
        chips = [{"symbol": s, "colour": element_colour(s)} for s in symbols]
        offered = [{"number": n, "label": spacegroup_label(n)} for n in focus.several]
        with pn.io.hold():
            self.panel.param.update(
                group=group,
                elements=chips,
                value=focus.panel_value,
                note=_note(focus),
                several=offered[:MOST_OFFERED],
                foreign=focus.group is not None and bool(focus.foreign),
            )

    def _write(self, event: Any) -> None:
        focus = self.focus
        if focus.group is None or event.new == focus.panel_value:
            return
        elsewhere = [str(site) for site in focus.foreign]
        written = write_sites(focus.group, event.new)
        self.draft.sites = ", ".join(filter(None, [written, *elsewhere]))

    def _narrow(self, event: Any) -> None:
        if event.new:
            self.draft.spacegroups = [event.new]
            self.panel.narrow = 0

    def _drop(self, *_: Any) -> None:
        focus = self.focus
        if focus.group is not None:
            self.draft.sites = write_sites(focus.group, focus.panel_value)

    def __panel__(self) -> pn.Column:
        return pn.Column(self.panel, self.text, sizing_mode="stretch_width", margin=0)


def _note(focus: Focus) -> str:
    if focus.group is None:
        return SEVERAL if focus.several else NO_GROUP
    if focus.foreign:
        named = ", ".join(str(site) for site in focus.foreign)
        return f"Sites of another space group are still {_wish(focus)}: {named}."
    return ANYWHERE if focus.anywhere else ""


def _wish(focus: Focus) -> str:
    return "forbidden" if all(site.forbidden for site in focus.foreign) else "asked for"
