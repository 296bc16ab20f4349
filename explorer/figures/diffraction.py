"""Simulated powder patterns (pymatgen's kinematic model), and a measured one on the same axes."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from pymatgen.core import Structure

from explorer.figures.style import Palette, layout, palette
from explorer.powder import MeasuredPattern

WAVELENGTH = "CuKa"
WAVELENGTHS = {
    "CuKa": 1.54184,
    "CuKa1": 1.54056,
    "CoKa": 1.79026,
    "CoKa1": 1.78896,
    "FeKa": 1.93735,
    "CrKa": 2.291,
    "MoKa": 0.71073,
    "MoKa1": 0.7093,
    "AgKa": 0.560885,
}
"""Å, by pymatgen's names: as in its table, which takes half a second to import."""
RADIATIONS = {
    f"{name[:2]} K{name[3:].replace('a', 'α').replace('1', '₁')} ({length:.4f} Å)": name
    for name, length in WAVELENGTHS.items()
}
"""What people read, to pymatgen's name."""
TWO_THETA = (5.0, 90.0)
LABELLED = 5
"""So many of the highest peaks carry their indices."""
WIDTH = 9.0
"""Degrees that a label takes in a narrow figure."""
MOST_POINTS = 4000
"""Of a measured pattern, drawn."""


def diffraction_figure(
    structure: Structure,
    dark: bool = False,
    wavelength: str = WAVELENGTH,
    measured: MeasuredPattern | None = None,
) -> go.Figure:
    """Draw intensity, 100 for the highest peak, over 2 theta.

    Parameters
    ----------
    structure
        Any cell of an ordered crystal; indices belong to this cell.
    wavelength
        As pymatgen names it, a value of `RADIATIONS`.
    measured
        Drawn behind, from its lowest intensity at 0 to its highest at 100.
    """
    from pymatgen.analysis.diffraction.xrd import XRDCalculator  # noqa: PLC0415 - half a second

    low, high = TWO_THETA
    if measured is not None:
        low, high = min(low, measured.angles[0]), max(high, measured.angles[-1])
    pattern = XRDCalculator(wavelength).get_pattern(structure, two_theta_range=(low, high))
    colours = palette(dark)
    names = [", ".join(_indices(each["hkl"]) for each in peak) for peak in pattern.hkls]
    told = [
        f"{name}<br>2θ {angle:.2f}°, intensity {height:.0f}"
        for name, angle, height in zip(names, pattern.x, pattern.y, strict=True)
    ]
    highest = _apart(list(pattern.x), sorted(range(len(names)), key=lambda k: -pattern.y[k]))
    peaks = go.Bar(
        x=list(pattern.x), y=list(pattern.y), width=0.35, marker={"color": colours.stable},
        hovertext=told, hoverinfo="text", name="simulated",
    )  # fmt: skip
    labels = go.Scatter(
        x=[pattern.x[k] for k in highest], y=[pattern.y[k] for k in highest], mode="text",
        text=[names[k].split(", ")[0] for k in highest],
        textposition=[_inward(pattern.x[k], low, high) for k in highest],
        textfont={"size": 10, "color": colours.muted}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    behind = [] if measured is None else [_measured(measured, colours)]
    figure = go.Figure([*behind, peaks, labels])
    return _framed(figure, (float(low), float(high)), wavelength, colours, bool(behind))


def _measured(measured: MeasuredPattern, colours: Palette) -> dict[str, Any]:
    angles, intensities = measured.thinned(MOST_POINTS)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "measured",
        "x": angles.tolist(),
        "y": intensities.tolist(),
        "line": {"color": colours.candidate, "width": 1.3},
        "hovertemplate": "measured<br>2θ %{x:.2f}°, intensity %{y:.0f}<extra></extra>",
    }


def _framed(
    figure: go.Figure, angles: tuple[float, float], wavelength: str, colours: Palette, both: bool
) -> go.Figure:
    radiation = next(words for words, name in RADIATIONS.items() if name == wavelength)
    title = f"2θ, degrees, {radiation.split(' (')[0]}"
    figure.update_layout(layout(colours, f"diffraction {wavelength}", showlegend=both))
    figure.update_layout(margin={"l": 40, "r": 8, "t": 22 if both else 8, "b": 40})
    line = {"gridcolor": colours.grid, "zeroline": False}
    figure.update_xaxes(
        title={"text": title, "font": {"size": 12}}, range=angles, **line | {"showgrid": False}
    )
    figure.update_yaxes(
        title={"text": "intensity", "font": {"size": 12}}, range=[0, 115], fixedrange=True, **line
    )
    return figure


def _inward(angle: float, low: float, high: float) -> str:
    """Return where a label stands so that it does not leave the figure."""
    if angle < low + WIDTH / 2:
        return "top right"
    return "top left" if angle > high - WIDTH / 2 else "top center"


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
