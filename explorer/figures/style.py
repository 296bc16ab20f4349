"""Colours and shapes of the figures, safe for colour-blind readers (Okabe-Ito), in two themes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BUTTONS = 34
"""Pixels at the right of a figure that its buttons take while the mouse is over it."""
FONT = "Roboto, 'Segoe UI', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Palette:
    """One theme's colours, CSS strings."""

    text: str
    muted: str
    grid: str
    surface: str
    stable: str
    unstable: str
    candidate: str
    found: str
    selected: str
    # Distance above the hull, near to far: light colours recede on a light page, dark ones on dark.
    distance: tuple[tuple[float, str], ...]
    # Campaigns on the same axes; none is the blue of the known phases.
    series: tuple[str, ...]


LIGHT = Palette(
    text="#1c2430",
    muted="#5b6675",
    grid="#dfe4ea",
    surface="#ffffff",
    stable="#0072b2",
    unstable="#7c8b9c",
    candidate="#d55e00",
    found="#008a63",
    selected="#c2187a",
    distance=((0.0, "#7a1f00"), (0.35, "#d55e00"), (0.7, "#f0a860"), (1.0, "#f7dcc0")),
    series=("#d55e00", "#008a63", "#c2187a", "#8a6d00"),
)
DARK = Palette(
    text="#e6eaf0",
    muted="#9aa7b6",
    grid="#36404d",
    surface="#171d26",
    stable="#56b4e9",
    unstable="#8492a3",
    candidate="#f09a4a",
    found="#2fd6a3",
    selected="#ff7ac6",
    distance=((0.0, "#ffe3b8"), (0.35, "#f5a54f"), (0.7, "#b0602a"), (1.0, "#5f3a26")),
    series=("#f09a4a", "#2fd6a3", "#ff7ac6", "#e0c341"),
)


def palette(dark: bool) -> Palette:
    """Return the colours of a theme."""
    return DARK if dark else LIGHT


def layout(colours: Palette, revision: str, **more: Any) -> dict[str, Any]:
    """Return what all Plotly layouts share; zoom and camera last as long as `revision` does."""
    return {
        "uirevision": revision,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours.text},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.muted,
            "font": {"family": FONT, "size": 12, "color": colours.text},
            "align": "left",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 11, "color": colours.muted},
            "bgcolor": "rgba(0,0,0,0)",
            "itemsizing": "constant",
            "traceorder": "normal",  # a line, also where kinds are groups
        },
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": colours.muted,
            "activecolor": colours.text,
            "orientation": "v",
        },
        "hovermode": "closest",
        "clickmode": "event",
        **more,
    }
