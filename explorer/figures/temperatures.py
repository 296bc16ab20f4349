"""Rates of what is right with drawn crystals, against the sampling temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from explorer.figures.experiment import COLOURS


def temperature_figure(told: Mapping[str, Any]) -> go.Figure:
    """Draw each rate of `explorer.evaluate.temperatures` with its 95 % interval."""
    rows = told["temperatures"]
    figure = go.Figure()
    for (name, label), colour in zip(told["words"].items(), COLOURS, strict=True):
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
    return figure.update_layout(
        title=f"{drawn} crystals at each temperature, as drawn; bars: 95 % intervals",
        xaxis_title="sampling temperature",
        yaxis={"title": "share of the crystals drawn", "range": [0, 1.02], "tickformat": ".0%"},
        template="plotly_white",
    )
