"""What stands below the crystal: its facts, its sites, its powder pattern."""

from __future__ import annotations

from typing import Any

from pymatgen.core import Structure

from explorer.crystals import gate, spacegroup_of
from explorer.encode import EncodingError, encode
from explorer.figures.diffraction import diffraction_figure
from explorer.figures.sites import cell_words, site_rows
from explorer.figures.words import escape
from explorer.ui.plot import figure_json
from model.crystal import WyckoffCrystal

FACTS, SITES, PATTERN = "Facts", "Sites", "Powder pattern"
TABS = [FACTS, SITES, PATTERN]
SITES_LOOK = """
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  margin-top: 6px; font-size: 12.5px; }
th { text-align: left; font-weight: 600; color: var(--muted); padding: 2px 8px 2px 0; }
td { padding: 2px 8px 2px 0; border-top: 1px solid
  color-mix(in srgb, var(--panel-on-surface-color) 9%, transparent); }
"""


def sites_html(crystal: WyckoffCrystal | None, structure: Structure) -> str:
    """Return the table of occupied positions, or why there is none.

    Parameters
    ----------
    crystal
        The description as it was drawn; without one, `structure` is described anew.
    """
    if crystal is not None:
        return _table(crystal)
    reason = gate(structure)
    if reason:
        return f"<p class='problem'>No description: {escape(reason)}</p>"
    try:
        return _table(encode(structure))
    except EncodingError as error:
        return f"<p class='problem'>No description: {escape(error)}</p>"


def _table(crystal: WyckoffCrystal) -> str:
    head = "".join(
        f"<th scope='col'>{name}</th>"
        for name in ("Element", "Position", "Site symmetry", "x", "y", "z")
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in (*row[:3], *row.coordinates))
        + "</tr>"
        for row in site_rows(crystal)
    )
    return (
        f"<p class='muted'>{escape(cell_words(crystal))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def pattern_json(structure: Structure, dark: bool) -> dict[str, Any]:
    """Return the powder pattern of a structure; {} when it has none."""
    if gate(structure) or spacegroup_of(structure) is None:
        return {}
    return figure_json(diffraction_figure(structure.to_conventional(), dark))
