"""The atoms of a crystal as a table of Wyckoff positions, as a paper would print it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from explorer.figures.words import spacegroup_label
from model.crystal import WyckoffCrystal
from model.wyckoff import table

LATTICE = ("a", "b", "c", "α", "β", "γ")


class SiteRow(NamedTuple):
    """One occupied position, as text."""

    element: str
    position: str
    site_symmetry: str
    coordinates: tuple[str, str, str]


def site_rows(crystal: WyckoffCrystal) -> list[SiteRow]:
    """Describe each site by the first point of its orbit, fractional coordinates."""
    wyckoff = table()
    rows = []
    for site, position in zip(crystal.sites, crystal.positions, strict=True):
        variables = np.zeros(3)
        variables[wyckoff.free_axes[position]] = site.free
        operation = wyckoff.operations_of(position)[0]
        point = operation[:, :3] @ variables + operation[:, 3]
        rows.append(
            SiteRow(
                site.element,
                wyckoff.name(position),
                str(wyckoff.site_symmetry[position]),
                tuple(f"{value:.4f}" for value in (point + 1e-9) % 1.0),
            )
        )
    return rows


def cell_words(crystal: WyckoffCrystal) -> str:
    """Space group and conventional cell, lengths in Å and angles in degrees."""
    *lengths, alpha, beta, gamma = crystal.lattice
    cell = ", ".join(f"{n} {v:.3f} Å" for n, v in zip(LATTICE, lengths, strict=False))
    angles = ", ".join(
        f"{name} {value:.2f}°"
        for name, value in zip(LATTICE[3:], (alpha, beta, gamma), strict=True)
        if abs(value - 90.0) > 1e-6
    )
    return f"{spacegroup_label(crystal.spacegroup)}: {', '.join(filter(None, (cell, angles)))}"
