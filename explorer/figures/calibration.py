"""What predicted distances from the hull are worth: their means against those of DFT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go


def calibration_figure(told: Mapping[str, Any]) -> go.Figure:
    """Draw the bins of `explorer.evaluate.hull.evaluate_hull` with their spread, in eV/atom."""
    bins = [row for row in told["calibration"] if row["n"]]
    predicted = [row["predicted"] for row in bins]
    measured = [row["dft"] for row in bins]
    ends = [min([*predicted, *measured], default=0.0), max([*predicted, *measured], default=1.0)]
    figure = go.Figure()
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"dash": "dot", "color": "#8492a3"}, name="equal"
    )
    figure.add_scatter(
        x=predicted,
        y=measured,
        mode="markers",
        marker={"size": 10, "color": "#1f83c4"},
        error_y={"type": "data", "array": [row["spread"] for row in bins]},
        text=[f"{row['n']} crystals, {100 * row['stable']:.0f} % stable in DFT" for row in bins],
        name="mean and standard deviation of a bin",
    )
    return figure.update_layout(
        title=f"{told['potential']}: {told['hull']}",
        xaxis_title="predicted distance from the hull (eV/atom)",
        yaxis_title="DFT distance from the hull (eV/atom)",
        template="plotly_white",
    )
