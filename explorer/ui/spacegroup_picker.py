"""Space groups chosen from a tree or by search."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from explorer.figures.spacegroups import spacegroup_entries

STATIC = Path(__file__).parent / "static"


class SpaceGroupPicker(JSComponent):
    """A search field over a tree of crystal systems, point groups and groups."""

    value = param.List(default=[], item_type=int, doc="chosen numbers, ascending")
    problem = param.String(default="", doc="why the choice cannot be run; marks the field")
    groups = param.List(default=[], doc="see spacegroup_entries")

    _esm: ClassVar[Path] = STATIC / "spacegroup_picker.js"
    _stylesheets: ClassVar[list[str]] = [(STATIC / "spacegroup_picker.css").read_text("utf-8")]

    def __init__(self, **params: Any):
        params.setdefault("groups", [dict(entry) for entry in spacegroup_entries()])
        super().__init__(**params)
