"""The Wyckoff positions of a space group, required or forbidden by click."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import param
from panel.custom import JSComponent

STATIC = Path(__file__).parent / "static"


class WyckoffPanel(JSComponent):
    """Positions with their pictures; what is asked for are `explorer.ui.sites.PanelSites`."""

    group = param.Dict(default={}, doc="see position_cards; empty shows the note alone")
    elements = param.List(default=[], doc="what sites may hold: dicts of symbol and colour")
    value = param.List(default=[], doc="see `PanelSites`: no symbols are any, None is never")
    note = param.String(default="", doc="why there are no positions, or what does not fit")
    several = param.List(default=[], doc="dicts of number and label: groups to narrow down to")
    narrow = param.Integer(default=0, doc="number of the group that was narrowed down to")
    foreign = param.Boolean(default=False, doc="whether the note is about another group's sites")
    dropped = param.Integer(default=0, doc="grows when those sites are to be dropped")

    _esm: ClassVar[Path] = STATIC / "wyckoff_panel.js"
    _stylesheets: ClassVar[list[str]] = [(STATIC / "wyckoff_panel.css").read_text("utf-8")]
