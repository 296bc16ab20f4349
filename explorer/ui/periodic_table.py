"""A periodic table of all 118 elements, in which each is asked for, allowed or ruled out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent
from pymatgen.core import Element

STATIC = Path(__file__).parent / "static"

CATEGORIES = {
    "lanthanoid": ("is_lanthanoid", "lanthanoid"),
    "actinoid": ("is_actinoid", "actinoid"),
    "noble": ("is_noble_gas", "noble gas"),
    "halogen": ("is_halogen", "halogen"),
    "alkali": ("is_alkali", "alkali metal"),
    "alkaline": ("is_alkaline", "alkaline earth metal"),
    "metalloid": ("is_metalloid", "metalloid"),
    "transition": ("is_transition_metal", "transition metal"),
    "post": ("is_post_transition_metal", "post-transition metal"),
}
MUST, MAY, NEVER = "must", "may", "never"
"""What can be asked of an element."""
FIRST_LANTHANOID, FIRST_ACTINOID, LENGTH_OF_F_BLOCK = 57, 89, 15


def _category(element: Element) -> tuple[str, str]:
    """Return the CSS class and the words of an element's family."""
    for name, (test, words) in CATEGORIES.items():
        if getattr(element, test):
            return name, words
    return ("nonmetal", "nonmetal") if element.Z < 100 else ("transition", "superheavy element")


def _place(element: Element) -> tuple[int, int]:
    """Return grid row and column from 1; the f block stands below, after a gap in row 8."""
    for first, row in ((FIRST_LANTHANOID, 9), (FIRST_ACTINOID, 10)):
        if first <= element.Z < first + LENGTH_OF_F_BLOCK:
            return row, 3 + element.Z - first
    return element.row, element.group


@cache
def element_cells() -> tuple[dict[str, Any], ...]:
    """Describe the 118 cells: symbol, number, name, family and place in the grid."""
    cells = []
    for number in range(1, 119):
        element = Element.from_Z(number)
        category, words = _category(element)
        row, column = _place(element)
        cells.append(
            {
                "symbol": element.symbol,
                "number": number,
                "name": element.long_name,
                "category": category,
                "category_name": words,
                "row": row,
                "column": column,
            }
        )
    return tuple(cells)


class PeriodicTable(JSComponent):
    """What is asked of each element, by click or keyboard; blocked ones say why they cannot be."""

    states = param.Dict(default={}, doc="symbol -> must, may or never appear; others: not asked")
    others = param.Boolean(default=False, doc="whether elements without a state may join")
    blocked = param.Dict(default={}, doc="symbol -> why it cannot be chosen")
    cells = param.List(default=[], doc="see element_cells")

    _esm: ClassVar[Path] = STATIC / "periodic_table.js"
    _stylesheets: ClassVar[list[str]] = [(STATIC / "periodic_table.css").read_text("utf-8")]

    def __init__(self, **params: Any):
        params.setdefault("cells", [dict(cell) for cell in element_cells()])
        super().__init__(**params)
