"""Rates and energies of drawn crystals, by sampling temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from explorer.figures.experiment import COLOURS
from explorer.figures.style import layout, palette
from explorer.figures.words import in_lines

HEIGHT = 440
"""Pixels."""
# From the lower edge of the figure on, so that many lines of it take room from the plot alone.
BELOW = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"}
"""Where the legend lies."""
RATE_COLOURS = (*COLOURS, "#56b4e9")
BESIDE = ("#5b6675", "#8a6d00", "#008a63", "#c2187a")
"""Of other generators; theirs are dashed lines."""
COLD_TO_HOT = ["rgb(0, 144, 216)", "rgb(160, 111, 176)", "rgb(213, 94, 0)"]
"""Of temperatures, to be seen on a light page and on a dark one."""
TITLE = 40
"""Letters of a line that a telephone has room for."""
SHOWN = (-0.3, 1.5)
"""eV/atom above the hull."""
PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Sampling temperature</title>
</head><body>{body}</body></html>
"""


def temperature_page(told: Mapping[str, Any]) -> str:
    """Return the figures of `explorer.evaluate.temperatures` as a page that needs no network."""
    figures = [temperature_figure(told)]
    if "energies" in told:
        figures.append(energy_figure(told))
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=place == 0)
        for place, figure in enumerate(figures)
    ]
    return PAGE.format(body="\n".join(parts))


def temperature_figure(told: Mapping[str, Any], dark: bool = False) -> go.Figure:
    """Draw each rate with its 95 % interval."""
    rows = told["temperatures"]
    figure = go.Figure()
    for (name, label), colour in zip(told["words"].items(), RATE_COLOURS, strict=True):
        points = [(float(t), row[name]) for t, row in rows.items() if row[name] is not None]
        points.sort(key=lambda point: point[0])
        if not points:
            continue
        shares = [value["share"] for _, value in points]
        figure.add_scatter(
            x=[temperature for temperature, _ in points],
            y=shares,
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [v["interval"][1] - v["share"] for _, v in points],
                "arrayminus": [v["share"] - v["interval"][0] for _, v in points],
                "thickness": 1.2,
            },
            mode="lines+markers",
            line={"color": colour},
            name=label,
        )
    counts = sorted({row["n"] for row in rows.values()})
    drawn = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    title = f"{drawn} crystals at each temperature, as drawn; bars: 95 % intervals"
    return _laid_out(figure, title, {"title": "sampling temperature"}, dark)


def energy_figure(told: Mapping[str, Any], dark: bool = False) -> go.Figure:
    """Draw what share of the crystals lies up to each energy above the hull once relaxed.

    A curve ends below 1 where crystals could not be relaxed or placed.
    """
    energies = told["energies"]
    ours = [name for name in energies if name.startswith("temperature ")]
    shades = sample_colorscale(COLD_TO_HOT, [k / max(len(ours) - 1, 1) for k in range(len(ours))])
    lines = dict(zip(ours, ({"color": shade} for shade in shades), strict=True))
    others = [name for name in energies if name not in lines]
    lines |= {n: {"color": c, "dash": "7px,4px"} for n, c in zip(others, BESIDE, strict=False)}
    figure = go.Figure()
    for name, line in lines.items():
        row = energies[name]
        lowest, highest = min([SHOWN[0], *row["above_hull"]]), max([SHOWN[1], *row["above_hull"]])
        figure.add_scatter(
            x=[lowest, *row["above_hull"], highest],
            y=[k / row["n"] for k in (0, *range(1, row["placed"] + 1), row["placed"])],
            mode="lines",
            line=line | {"shape": "hv", "width": 2.5},
            name=f"{name} ({row['n']} crystals)",
        )
    axis = {"title": "energy above the hull, eV/atom", "range": SHOWN}
    return _laid_out(figure, "crystals up to an energy above the hull, once relaxed", axis, dark)


def _laid_out(figure: go.Figure, title: str, axis: Mapping[str, Any], dark: bool) -> go.Figure:
    colours = palette(dark)
    line = {"gridcolor": colours.grid, "zeroline": False, "automargin": True}
    figure.update_layout(
        layout(
            colours,
            title,
            title={
                "text": in_lines(title, TITLE),
                "font": {"size": 13},
                "y": 0.97,
                "yanchor": "top",
            },
            margin={"l": 8, "r": 16, "t": 56, "b": 8},
            height=HEIGHT,
        )
    )
    figure.update_layout(legend=BELOW)
    figure.update_xaxes(**line | axis)
    figure.update_yaxes(
        **line, title="share of the crystals drawn", range=[0, 1.02], tickformat=".0%"
    )
    return figure
