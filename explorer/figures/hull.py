"""The convex hull: ladder, binary line, Gibbs triangle, tetrahedron, and a strip for more."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go

from explorer.figures.marks import (
    AIM,
    BEYOND,
    DEFAULT_SPAN,
    EYE,
    REACH,
    kind_traces,
    line_traces,
    selected_arrow,
    selected_trace,
)
from explorer.figures.picture import HEIGHT, TRIANGLE, Dot, HullPicture, barycentric
from explorer.figures.style import Palette, layout, palette
from explorer.figures.surface import LINES, frame, heights, sheet

FEW_TICKS = 5
TETRAHEDRON = np.array(
    [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.5, HEIGHT, 0.0],
        [0.5, HEIGHT / 3, float(np.sqrt(2 / 3))],
    ]
)


def hull_figure(
    picture: HullPicture,
    *,
    selected: str = "",
    threshold: float | None = None,
    dark: bool = False,
    revision: str = "hull",
    surface: bool = False,
) -> go.Figure:
    """Draw a chemical system.

    Parameters
    ----------
    picture : HullPicture
        Its elements decide the kind of figure: 1 ladder, 2 line, 3 triangle, 4 tetrahedron; any
        other number gives distances above the hull in the order of drawing.
    selected : str
        Key of the point to ring, "candidate:ID" or "phase:ID".
    threshold : float or None
        Points further above the hull than this, in eV/atom, are left out.
    dark : bool
        For a dark page.
    revision : str
        Zoom and camera survive redrawing while this stays the same.
    surface : bool
        Whether the hull of three elements is a surface in three dimensions.

    Returns
    -------
    plotly.graph_objects.Figure
        Each point's `customdata` is its key.
    """
    ternary = _surface if surface else _ternary
    draw = {1: _ladder, 2: _binary, 3: ternary, 4: _quaternary}.get(len(picture.elements), _strip)
    traces, frame = draw(picture, selected, threshold, palette(dark))
    return go.Figure(data=traces, layout=layout(palette(dark), revision, **frame))


def places(elements: Sequence[str], dots: Sequence[Dot]) -> np.ndarray:
    """Return where points stand in the figure of one to four elements: (N, 2), of four (N, 3).

    One element has a ladder of energies, two a line of formation energies over composition, three
    the Gibbs triangle, four the tetrahedron.
    """
    if len(elements) == 1:
        rows = [(_side(dot), dot.energy_above_hull) for dot in dots]
        return np.array(rows, float).reshape(-1, 2)
    if len(elements) == 2:
        rows = [(dot.fractions[1], dot.formation_energy) for dot in dots]
        return np.array(rows, float).reshape(-1, 2)
    shares = np.array([dot.fractions for dot in dots], float).reshape(-1, len(elements))
    return barycentric(shares, TRIANGLE if len(elements) == 3 else TETRAHEDRON)


def _energy_axis(colours: Palette, title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 12}},
        "gridcolor": colours.grid,
        "zeroline": True,
        "zerolinecolor": colours.muted,
        "zerolinewidth": 1,
        "automargin": True,
        "tickfont": {"color": colours.muted},
    }


def _traces(
    picture: HullPicture,
    selected: str,
    threshold: float | None,
    colours: Palette,
    place: Any = None,
    lines: float = 1.3,
) -> list[dict[str, Any]]:
    place = place or partial(places, picture.elements)
    return [
        *line_traces(picture, colours, place, lines),
        *kind_traces(picture, colours, threshold, place),
        selected_trace(picture, selected, colours, place),
    ]


def _ladder(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """One element: rungs of energy, known phases on the left, candidates on the right."""
    traces = _traces(picture, selected, threshold, colours)
    for item in traces:
        item.pop("text", None)
        item["mode"] = "lines" if item["mode"] == "lines" else "markers"
    sides = {
        "range": [-0.6, 1.6],
        "tickvals": [0, 1],
        "ticktext": ["known phases", "candidates"],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    title = f"eV/atom above the lowest known {picture.elements[0]}"
    rungs = _energy_axis(colours, title)
    ringed = picture.find(selected)
    seen = [*picture.visible(threshold), *([ringed] if ringed else [])]
    if not any(dot.energy_above_hull for dot in seen):  # it would go from -1 to 1
        span = threshold or DEFAULT_SPAN
        rungs["range"] = [-0.04 * span, span]
    return traces, {"xaxis": sides, "yaxis": rungs}


def _side(dot: Dot) -> float:
    """Spread rungs sideways, always the same way for the same point, so that none hides another."""
    spread = (zlib.crc32(dot.id.encode()) % 1000) / 1000 - 0.5
    return (1.0 if dot.is_candidate else 0.0) + 0.5 * spread


def _binary(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """Two elements: formation energy against composition."""
    first, second = picture.elements
    composition = {
        "title": {"text": f"atomic fraction of {second}", "font": {"size": 12}},
        "range": [-0.04, 1.04],
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
        "ticktext": [first, "0.25", "0.5", "0.75", second],
        "gridcolor": colours.grid,
        "zeroline": False,
        "automargin": True,
    }
    axes = {"xaxis": composition, "yaxis": _energy_axis(colours, "formation energy (eV/atom)")}
    return _traces(picture, selected, threshold, colours), axes


def _ternary(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """Three elements: the Gibbs triangle seen from above, the facets of the hull as tie lines."""
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    frame = {
        "xaxis": {**hidden, "range": [-0.09, 1.09]},
        "yaxis": {**hidden, "range": [-0.12, HEIGHT + 0.09], "scaleanchor": "x"},
        "annotations": _corner_names(picture.elements, colours),
        "dragmode": "pan",
    }
    border = _triangle_border(colours)
    return [border, *_traces(picture, selected, threshold, colours)], frame


def _surface(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """Three elements: formation energy over the Gibbs triangle, the facets as a sheet."""
    traces = _traces(picture, selected, threshold, colours, heights, LINES)
    around = frame(colours)
    around["scene"]["annotations"] = selected_arrow(picture, selected, colours, heights)
    return [*sheet(picture, colours), *traces], around


def _triangle_border(colours: Palette) -> dict[str, Any]:
    """Return the edges of the triangle with a faint grid at every fifth."""
    steps: list[Any] = []
    for fifth in range(6):
        t = fifth / 5
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            start = (1 - t) * TRIANGLE[a] + t * TRIANGLE[b]
            end = (1 - t) * TRIANGLE[a] + t * TRIANGLE[c]
            steps += [start.tolist(), end.tolist(), [None, None]]
    return {
        "type": "scatter",
        "uid": "BORDER",
        "mode": "lines",
        "x": [row[0] for row in steps],
        "y": [row[1] for row in steps],
        "line": {"width": 1, "color": colours.grid},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _corner_names(elements: Sequence[str], colours: Palette) -> list[dict[str, Any]]:
    away = ((-0.045, -0.045), (0.045, -0.045), (0.0, 0.06))
    return [
        {
            "x": float(corner[0] + shift[0]),
            "y": float(corner[1] + shift[1]),
            "text": f"<b>{symbol}</b>",
            "showarrow": False,
            "font": {"size": 16, "color": colours.text},
        }
        for symbol, corner, shift in zip(elements, TRIANGLE, away, strict=True)
    ]


def _quaternary(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """Four elements: compositions in a tetrahedron that can be turned."""
    middle = TETRAHEDRON.mean(axis=0)
    names = middle + BEYOND * (TETRAHEDRON - middle)
    corners = {
        "type": "scatter3d",
        "uid": "CORNERS",
        "mode": "text",
        "text": [f"<b>{symbol}</b>" for symbol in picture.elements],
        "textfont": {"size": 16, "color": colours.text},
        "hoverinfo": "skip",
        "showlegend": False,
        **dict(zip("xyz", names.T.tolist(), strict=True)),
    }
    hidden = {"visible": False, "showbackground": False}
    view = {"eye": np.add(EYE, AIM), "center": np.array(AIM)}
    camera = {name: dict(zip("xyz", point.tolist(), strict=True)) for name, point in view.items()}
    scene = {
        "xaxis": hidden,
        "yaxis": hidden,
        "zaxis": hidden,
        "aspectmode": "data",
        "annotations": selected_arrow(
            picture, selected, colours, partial(places, picture.elements)
        ),
        "camera": camera,
        "dragmode": "orbit",
    }
    traces = _traces(picture, selected, threshold, colours, lines=LINES)
    return [*traces, corners], {"scene": scene, "meta": {"reach": REACH}}


def _strip(
    picture: HullPicture, selected: str, threshold: float | None, colours: Palette
) -> tuple[list[dict], dict]:
    """Five elements or more: no picture of the hull, but every candidate's distance from it."""
    order = {dot.key: place for place, dot in enumerate(d for d in picture.dots if d.is_candidate)}
    candidates = [dot for dot in picture.dots if dot.is_candidate]
    only = replace(picture, dots=tuple(candidates), tie_lines=(), live_lines=())

    def place(dots: Sequence[Dot]) -> np.ndarray:
        rows = [(order[dot.key] + 1, dot.energy_above_hull) for dot in dots]
        return np.array(rows, float).reshape(-1, 2)

    number = {
        "title": {"text": "candidates placed on the hull, in order", "font": {"size": 12}},
        "tickvals": [*range(0, len(order) + 1, max(1, len(order) // FEW_TICKS))],
        "gridcolor": colours.grid,
        "zeroline": False,
        "automargin": True,
    }
    traces = _traces(only, selected, threshold, colours, place)
    above = _energy_axis(colours, "eV/atom above the hull") | {"rangemode": "tozero"}
    span = threshold or DEFAULT_SPAN
    if not any(dot.energy_above_hull <= span for dot in candidates):
        number["range"], above["range"] = [0, max(len(order), 1)], [0, span]
    return traces, {"xaxis": number, "yaxis": above}
