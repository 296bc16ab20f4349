"""Simulated powder patterns (pymatgen's kinematic model)."""

from __future__ import annotations

import plotly.graph_objects as go
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Structure

from explorer.figures.style import layout, palette

WAVELENGTH = "CuKa"
TWO_THETA = (5.0, 90.0)
LABELLED = 5
"""So many of the highest peaks carry their indices."""
WIDTH = 9.0
"""Degrees that a label takes in a narrow figure."""


def diffraction_figure(structure: Structure, dark: bool = False) -> go.Figure:
    """Draw the pattern for Cu K-alpha: intensity, 100 for the highest peak, over 2 theta.

    Parameters
    ----------
    structure
        Any cell of an ordered crystal; indices belong to this cell.
    """
    pattern = XRDCalculator(WAVELENGTH).get_pattern(structure, two_theta_range=TWO_THETA)
    colours = palette(dark)
    names = [", ".join(_indices(each["hkl"]) for each in peak) for peak in pattern.hkls]
    told = [
        f"{name}<br>2θ {angle:.2f}°, intensity {height:.0f}"
        for name, angle, height in zip(names, pattern.x, pattern.y, strict=True)
    ]
    highest = _apart(list(pattern.x), sorted(range(len(names)), key=lambda k: -pattern.y[k]))
    peaks = go.Bar(
        x=list(pattern.x), y=list(pattern.y), width=0.35, marker={"color": colours.stable},
        hovertext=told, hoverinfo="text",
    )  # fmt: skip
    labels = go.Scatter(
        x=[pattern.x[k] for k in highest], y=[pattern.y[k] for k in highest], mode="text",
        text=[names[k].split(", ")[0] for k in highest], textposition="top center",
        textfont={"size": 10, "color": colours.muted}, hoverinfo="skip",
    )  # fmt: skip
    figure = go.Figure([peaks, labels])
    figure.update_layout(layout(colours, "diffraction", showlegend=False))
    figure.update_layout(margin={"l": 40, "r": 8, "t": 8, "b": 40})
    line = {"gridcolor": colours.grid, "zeroline": False}
    figure.update_xaxes(title="2θ, degrees (Cu Kα)", range=TWO_THETA, **line | {"showgrid": False})
    figure.update_yaxes(title="intensity", range=[0, 115], fixedrange=True, **line)
    return figure


def _apart(angles: list[float], order: list[int]) -> list[int]:
    """Return the first peaks of an order whose labels do not touch."""
    kept: list[int] = []
    for place in order:
        if all(abs(angles[place] - angles[other]) > WIDTH for other in kept):
            kept.append(place)
    return kept[:LABELLED]


def _indices(hkl: tuple[int, ...]) -> str:
    """Write Miller indices with bars as minus signs; the third of four hexagonal ones is left."""
    kept = (hkl[0], hkl[1], hkl[-1])
    return " ".join(str(index).replace("-", "−") for index in kept)
