"""Maps of what the network learned of elements and space groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.figures.style import layout, palette
from explorer.figures.words import in_lines, spacegroup_label

TITLES = {
    "elements": "elements, nearest in the same group",
    "spacegroups": "space groups, nearest in the same crystal system",
}
HEIGHT = 600
"""Pixels."""
TITLE = 23
"""Letters of a line: two titles stand side by side on a telephone, too."""
KINDS = {
    "s": ("#d55e00", "#f09a4a"),
    "p": ("#0072b2", "#56b4e9"),
    "d": ("#008a63", "#2fd6a3"),
    "f": ("#c2187a", "#ff7ac6"),
    "triclinic": ("#5b6675", "#9aa7b6"),
    "monoclinic": ("#8a6d00", "#e0c341"),
    "orthorhombic": ("#d55e00", "#f09a4a"),
    "tetragonal": ("#0072b2", "#4f8fe8"),
    "trigonal": ("#56b4e9", "#a5dcff"),
    "hexagonal": ("#008a63", "#2fd6a3"),
    "cubic": ("#c2187a", "#ff7ac6"),
}
"""Blocks of the periodic table and crystal systems, on a light page and on a dark one; colours safe
for colour-blind readers."""


def embedding_figure(told: Mapping[str, Any], dark: bool = False) -> go.Figure:
    """Draw the two maps of `explorer.evaluate.embeddings` beside each other."""
    titles = []
    for name, words in TITLES.items():
        whole, own = (told[name]["nearest"][part] for part in ("whole", "own"))
        share = in_lines(f"{told[name]['n']} {words}: {whole['share']:.0%}", TITLE)
        beside = in_lines(
            f"by what was learned for each alone {own['share']:.0%}, "
            f"with shuffled labels {whole['shuffled']:.0%}",
            TITLE,
        )
        titles.append(f"{share}<br><span style='font-size: 10px'>{beside}</span>")
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, horizontal_spacing=0.04)
    for column, name in enumerate(TITLES, start=1):
        for kind, colours in KINDS.items():
            points = [point for point in told[name]["points"] if point["kind"] == kind]
            if points:
                trace = _scatter(points, kind, colours[dark], symbols=name == "elements")
                figure.add_trace(trace, row=1, col=column)
    figure.update_annotations(font={"size": 12})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    margin = {"t": 104, "l": 8, "r": 8, "b": 8}
    figure.update_layout(layout(palette(dark), "embeddings", height=HEIGHT, margin=margin))
    return figure.update_layout(legend={"y": -0.02, "yanchor": "top"})


def _scatter(
    points: list[Mapping[str, Any]], kind: str, colour: str, *, symbols: bool
) -> go.Scatter:
    """Symbols of elements are written where they lie; space groups are dots that tell on hover."""
    return go.Scatter(
        x=[point["x"] for point in points],
        y=[point["y"] for point in points],
        mode="text" if symbols else "markers",
        text=[p["name"] if symbols else spacegroup_label(int(p["name"])) for p in points],
        textfont={"color": colour, "size": 14},
        marker={"color": colour, "size": 9, "line": {"color": "white", "width": 0.5}},
        hovertext=[_hover(point, symbols) for point in points],
        hoverinfo="text",
        name=f"{kind} block" if symbols else kind,
    )


def _hover(point: Mapping[str, Any], symbols: bool) -> str:
    if not symbols:
        return f"{spacegroup_label(int(point['name']))}, {point['label']}"
    numbered = point["label"].isdecimal()
    return f"{point['name']}, {'group ' if numbered else ''}{point['label']}"
