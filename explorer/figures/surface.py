"""The hull of three elements as a surface: energy stands upright over the Gibbs triangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from explorer.figures.picture import TRIANGLE, Dot, HullPicture, barycentric
from explorer.figures.style import Palette

NAMES_AWAY = 1.1  # of the middle's distance to a corner
EYE = (0.45, -1.6, 0.5)
"""Where the camera stands: before an edge, a little aside, so that no corner hides another."""
REACH = 1.1
"""Width of the surface with its names as it is seen first, in heights of the figure."""
LINES = 4.0  # pixels; thinner ones are lost in three dimensions


def heights(dots: Sequence[Dot]) -> np.ndarray:
    """Return where points of a ternary stand, (N, 3): in the Gibbs triangle, and eV/atom."""
    shares = np.array([dot.fractions for dot in dots], float).reshape(-1, 3)
    energies = np.array([dot.formation_energy for dot in dots], float)
    return np.column_stack([barycentric(shares, TRIANGLE), energies])


def sheet(picture: HullPicture, colours: Palette) -> list[dict[str, Any]]:
    """Return the facets of the hull as a sheet, and the triangle of the elements at zero."""
    return [_facets(picture, colours), _elements_at_zero(picture, colours)]


def _facets(picture: HullPicture, colours: Palette) -> dict[str, Any]:
    facets = np.array(picture.facets, int).reshape(-1, 3)
    # Points of no facet, hidden ones too, would stretch the axis of energy.
    used, corners = np.unique(facets, return_inverse=True)
    points, corners = heights([picture.dots[k] for k in used]), corners.reshape(-1, 3)
    return {
        "type": "mesh3d",
        "uid": "SHEET",
        **dict(zip("xyz", points.T.tolist(), strict=True)),
        **dict(zip("ijk", corners.T.tolist(), strict=True)),
        "color": colours.stable,
        "opacity": 0.22,
        "flatshading": True,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _elements_at_zero(picture: HullPicture, colours: Palette) -> dict[str, Any]:
    """Return the triangle of no formation energy, with the elements' names at its corners."""
    middle = TRIANGLE.mean(axis=0)
    names = middle + NAMES_AWAY * (TRIANGLE - middle)
    ring = [*TRIANGLE, TRIANGLE[0]]
    steps = [(*row, 0.0) for row in ring] + [(None,) * 3] + [(*row, 0.0) for row in names]
    labels = [f"<b>{symbol}</b>" for symbol in picture.elements]
    return {
        "type": "scatter3d",
        "uid": "CORNERS",
        "mode": "lines+text",
        **{axis: [row[k] for row in steps] for k, axis in enumerate("xyz")},
        "text": [""] * (len(ring) + 1) + labels,
        "textfont": {"size": 16, "color": colours.text},
        "line": {"width": 2, "color": colours.muted},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def frame(colours: Palette) -> dict[str, Any]:
    """Return the layout of the scene: one axis, of energy, and a camera to begin with."""
    hidden = {"visible": False, "showbackground": False}
    energy = {
        "title": {"text": "formation energy (eV/atom)", "font": {"size": 11}},
        "tickfont": {"size": 10, "color": colours.muted},
        "gridcolor": colours.grid,
        "zerolinecolor": colours.muted,
        "showbackground": False,
        "nticks": 5,
    }
    return {
        "scene": {
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": energy,
            "aspectmode": "manual",
            "aspectratio": {"x": 1.0, "y": 0.87, "z": 0.9},
            "camera": {
                "eye": dict(zip("xyz", EYE, strict=True)),
                "center": {"x": 0.04, "y": 0, "z": -0.06},
            },
            "dragmode": "orbit",
        },
        "meta": {"reach": REACH},
    }
