"""Campaigns on the same axes: targets found, energies above the hull, and points of the hull."""

from __future__ import annotations

import html
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.figures.hull import hull_figure, places
from explorer.figures.hull_picture import with_candidates
from explorer.figures.picture import ON_HULL, Dot, HullPicture, Kind
from explorer.figures.retrieval import whole_ticks
from explorer.figures.seeds import band, seeds_alike
from explorer.figures.style import BUTTONS, layout, palette
from explorer.figures.versus import Contender, seeds_told
from explorer.retrieval import Curve

LARGEST_PICTURE = 4
"""Elements of a system whose hull can be drawn."""
# Plotly stretches named dashes with the line, and the legend's sample is a thick one: of a "dash"
# it shows less than two.
DASHES = ("solid", "7px,4px", "3px,3px", "8px,3px,2px,3px")
# Rings of falling size, so that crystals of one composition are all seen; filled on the hull.
SYMBOLS = ("diamond", "square", "circle", "diamond")
SIZES = (15, 12, 9, 6)
SIZES_3D = (8, 6, 5, 4)
MOST_LETTERS = 28
SHADE = 0.22
"""Opacity of what lies between the seeds of one question."""
STEP = {"shape": "hv", "width": 2.5}


def retrieval_versus(contenders: Sequence[Contender], dark: bool = False) -> go.Figure:
    """Draw targets found against crystals drawn, and beside it against relaxations.

    Campaigns that differ in their seed alone have a band between the least and the most found.
    """
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.08)
    colours = palette(dark)
    for alike in seeds_alike(contenders):
        _shade(figure, [contenders[place].curve for place in alike], colours.series[alike[0]])
    for place, (contender, name) in enumerate(zip(contenders, _names(contenders), strict=True)):
        curve = contender.curve
        if not curve.total:  # nothing to find is not the same as nothing found
            continue
        for column, x, y in (
            (1, curve.crystals, curve.found_by_crystals),
            (2, curve.relaxations, curve.found_by_relaxations),
        ):
            line = STEP | {"color": colours.series[place], "dash": DASHES[place]}
            figure.add_scatter(
                x=x.tolist(), y=y.tolist(), mode="lines", line=line, name=name,
                showlegend=column == 1, legendgroup=str(place), row=1, col=column,
                hovertemplate="%{y} of " + str(curve.total) + " after %{x}<extra></extra>",
            )  # fmt: skip
    figure.update_layout(layout(colours, "versus retrieval", margin=_MARGIN))
    top = max((contender.curve.total for contender in contenders), default=1)
    axis = {"gridcolor": colours.grid, "zeroline": False, "rangemode": "tozero"}
    for column, title, lengths in (
        (1, "crystals drawn", [contender.curve.crystals[-1] for contender in contenders]),
        (2, "relaxations", [contender.curve.relaxations[-1] for contender in contenders]),
    ):
        end = max(int(max(lengths, default=0)), 1)
        ticks = {"tickvals": whole_ticks(end), "range": [0, end]}
        figure.update_xaxes(title=title, col=column, **axis, **ticks)
    figure.update_yaxes(range=[0, max(top, 1) * 1.08], tickvals=whole_ticks(max(top, 1)), **axis)
    figure.update_yaxes(title="targets found", col=1)
    return figure


def _shade(figure: go.Figure, curves: Sequence[Curve], colour: str) -> None:
    """Fill between the least and the most that some curves found, where there is something."""
    if not curves[0].total:
        return
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    for column, steps in (
        (1, [(curve.crystals, curve.found_by_crystals) for curve in curves]),
        (2, [(curve.relaxations, curve.found_by_relaxations) for curve in curves]),
    ):
        x, least, most = band(steps)
        edge = {"mode": "lines", "line": {"shape": "hv", "width": 0}, "hoverinfo": "skip"}
        edge |= {"x": x.tolist(), "legendgroup": f"seeds {colour}"}
        figure.add_scatter(y=least.tolist(), showlegend=False, row=1, col=column, **edge)
        figure.add_scatter(
            y=most.tolist(), fill="tonexty", fillcolor=f"rgba({red},{green},{blue},{SHADE})",
            name=f"least to most of {len(curves)} seeds", showlegend=column == 1,
            row=1, col=column, **edge,
        )  # fmt: skip


def energies_versus(contenders: Sequence[Contender], limit: float, dark: bool = False) -> go.Figure:
    """Draw how many relaxed crystals lie within each distance from the hull, up to `limit`."""
    colours = palette(dark)
    figure = go.Figure()
    for place, (contender, name) in enumerate(zip(contenders, _names(contenders), strict=True)):
        energies = contender.energies
        shown = energies[: bisect_right(energies, limit)]
        first = min(0.0, shown[0]) if shown else 0.0
        line = STEP | {"color": colours.series[place], "dash": DASHES[place]}
        figure.add_scatter(
            x=[first, *shown, limit], y=[0, *range(1, len(shown) + 1), len(shown)],
            mode="lines", line=line, name=name,
            hovertemplate=f"%{{y}} of {len(energies)} within %{{x:.3f}} eV/atom<extra></extra>",
        )  # fmt: skip
    figure.update_layout(layout(colours, "versus energies", margin=_MARGIN))
    axis = {"gridcolor": colours.grid, "automargin": True}
    figure.update_xaxes(title="eV/atom above the hull", zerolinecolor=colours.muted, **axis)
    most = max((bisect_right(contender.energies, limit) for contender in contenders), default=0)
    figure.update_yaxes(
        title="crystals within", rangemode="tozero", zeroline=False,
        tickvals=whole_ticks(max(most, 1)), **axis,
    )  # fmt: skip
    return figure


def hull_versus(
    contenders: Sequence[Contender], known: HullPicture, limit: float, dark: bool = False
) -> go.Figure:
    """Draw the known hull with each campaign's candidates up to `limit` eV/atom above it.

    Parameters
    ----------
    contenders
        All of the system that `known` shows, with energies of its scale.
    known
        The known phases of one to `LARGEST_PICTURE` elements.

    Returns
    -------
    plotly.graph_objects.Figure
        A point's `customdata` is "CAMPAIGN/CANDIDATE".
    """
    # Labels keep off what all of them drew, which then is drawn campaign by campaign.
    everything = with_candidates(known, [c for each in contenders for c in each.candidates])
    dots = [replace(d, kind=Kind.CANDIDATE) if d.is_candidate else d for d in everything.dots]
    crowded = replace(known, dots=tuple(dots))
    figure = hull_figure(crowded, threshold=limit, dark=dark, revision="versus hull")
    figure.data = [trace for trace in figure.data if trace.name != Kind.CANDIDATE.value]
    figure.update_layout(showlegend=True, margin={"r": BUTTONS})
    for place, (contender, name) in enumerate(zip(contenders, _names(contenders), strict=True)):
        drawn = with_candidates(known, contender.candidates).visible(limit)
        points = _points([d for d in drawn if d.is_candidate], contender, place, dark)
        figure.add_trace(points | {"name": name})
    return figure.update_traces(showlegend=False, selector={"name": "selected"})


def _points(dots: Sequence[Dot], contender: Contender, place: int, dark: bool) -> dict[str, Any]:
    elements = tuple(sorted(contender.campaign.spec.elements))
    points = places(elements, dots)
    three_d = len(elements) == LARGEST_PICTURE
    symbol = SYMBOLS[place]
    return {
        "type": "scatter3d" if three_d else "scatter",
        "mode": "markers",
        "marker": {
            "symbol": [symbol if d.energy_above_hull <= ON_HULL else f"{symbol}-open" for d in dots]
            or symbol,
            "size": (SIZES_3D if three_d else SIZES)[place],
            "color": palette(dark).series[place],
            "line": {"width": 2, "color": palette(dark).series[place]},
        },
        "customdata": [f"{contender.campaign.id}/{dot.id}" for dot in dots],
        "hovertext": [dot.hover for dot in dots],
        "hoverinfo": "text",
        **_axes(points),
    }


def _axes(points: np.ndarray) -> Mapping[str, list[float]]:
    return dict(zip("xyz", points.T.tolist(), strict=False))


def _names(contenders: Sequence[Contender]) -> list[str]:
    """Return the titles, shortened, with what tells them apart; Plotly reads tags.

    That is the seed, or where that is the same, too, the start of the id.
    """
    told = []
    for contender, seed in zip(contenders, seeds_told(contenders), strict=True):
        title = contender.title
        short = title if len(title) <= MOST_LETTERS else f"{title[: MOST_LETTERS - 1]}…"
        told.append(html.escape(f"{short}, {seed}" if seed else short, quote=False))
    alike = Counter(told)
    ids = [contender.campaign.id[:4] for contender in contenders]
    return [
        f"{name}, {start}" if alike[name] > 1 else name
        for name, start in zip(told, ids, strict=True)
    ]


_MARGIN = {"l": 48, "r": BUTTONS, "t": 30, "b": 44}
