"""The retrieval experiment as a page: curves with bands, who found what, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.evaluate.experiment import Trial, band, by_method
from explorer.targets import TargetList

COLOURS = ("#0072b2", "#d55e00", "#008a63", "#c2187a", "#8a6d00", "#5b6675")
"""One for each generator, safe for colour-blind readers."""
NOBODY = "#b6bfca"


def experiment_page(trials: Sequence[Trial], sought: TargetList, told: Mapping[str, Any]) -> str:
    """Return a self-contained HTML page."""
    figure = experiment_figure(trials, sought, told)
    return figure.to_html(include_plotlyjs=True, full_html=True)


def experiment_figure(
    trials: Sequence[Trial], sought: TargetList, told: Mapping[str, Any]
) -> go.Figure:
    """Draw targets found against crystals and relaxations, and the table of who found what.

    Parameters
    ----------
    trials : sequence of Trial
    sought : TargetList
    told : mapping
        What `explorer.evaluate.experiment.report` returned, with ``system`` and ``targets``.
    """
    relaxed = any(trial.relaxed for trial in trials)
    ternary = len(told["system"].split("-")) == 3
    beside = {"type": "ternary"} if ternary and not relaxed else {"type": "xy"}
    figure = make_subplots(
        rows=2,
        cols=2,
        specs=[[{"type": "xy"}, beside], [{"type": "xy", "colspan": 2}, None]],
        row_heights=[0.5, 0.5],
        vertical_spacing=0.14,
    )
    grouped = by_method(trials)
    colours = dict(zip(grouped, COLOURS * len(grouped), strict=False))
    _curves(figure, grouped, colours, "crystals", 1)
    if relaxed:
        _curves(figure, grouped, colours, "relaxations", 2)
    elif ternary:
        _triangle(figure, trials, sought, told["system"], colours)
    _finders(figure, told, grouped)
    seeds = max(len(some) for some in grouped.values())
    return figure.update_layout(
        title=f"{told['system']}: {told['n_targets']} {told['targets']}<br>"
        f"<sup>mean of {seeds} seeds; the band reaches from the lowest to the highest</sup>",
        template="plotly_white",
        height=620 + 18 * told["n_targets"],
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )


def _curves(
    figure: go.Figure,
    grouped: Mapping[str, Sequence[Trial]],
    colours: Mapping[str, str],
    axis: str,
    column: int,
) -> None:
    for method, trials in grouped.items():
        curve, colour = band(trials, axis), colours[method]
        place = {"row": 1, "col": column, "legendgroup": method, "x": curve.x}
        edge = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "showlegend": False}
        figure.add_scatter(y=curve.lowest, hoverinfo="skip", **edge, **place)
        figure.add_scatter(
            y=curve.highest,
            hoverinfo="skip",
            fill="tonexty",
            fillcolor=_faint(colour),
            **edge,
            **place,
        )
        line = {"color": colour, "width": 2.5, "shape": "hv"}
        figure.add_scatter(
            y=curve.mean, mode="lines", line=line, name=method, showlegend=column == 1, **place
        )
    figure.update_xaxes(title=_AXIS[axis], row=1, col=column)
    figure.update_yaxes(title="phases found", rangemode="tozero", row=1, col=column)


_AXIS = {"crystals": "crystals drawn", "relaxations": "relaxations"}


def _triangle(
    figure: go.Figure,
    trials: Sequence[Trial],
    sought: TargetList,
    system: str,
    colours: Mapping[str, str],
) -> None:
    """Put each target at its composition, coloured by the generator that needed fewest crystals."""
    first = first_finders(trials)
    elements = system.split("-")
    for method in [*colours, ""]:
        here = [(name, s) for name, s in sought.structures if first.get(name, "") == method]
        shares = [[s.composition.get_atomic_fraction(e) for e in elements] for _, s in here]
        figure.add_scatterternary(
            a=[share[0] for share in shares],
            b=[share[1] for share in shares],
            c=[share[2] for share in shares],
            mode="markers",
            marker={
                "size": 12,
                "color": colours.get(method, NOBODY),
                "symbol": "circle" if method else "x",
            },
            text=[f"{s.composition.reduced_formula} · {name}" for name, s in here],
            hoverinfo="text",
            name=f"first found by {method}" if method else "found by nobody",
            showlegend=bool(here) and not method,
            row=1,
            col=2,
        )
    titles = dict(zip(("aaxis", "baxis", "caxis"), elements, strict=True))
    figure.update_ternaries(
        sum=1, **{axis: {"title": name} for axis, name in titles.items()}, row=1, col=2
    )


def first_finders(trials: Sequence[Trial]) -> dict[str, str]:
    """Generator whose mean number of crystals until each target is lowest, over seeds that did."""
    means: dict[str, list[tuple[float, str]]] = {}
    for method, some in by_method(trials).items():
        for name in {name for trial in some for name in trial.crystals}:
            counts = [trial.crystals[name] for trial in some if name in trial.crystals]
            means.setdefault(name, []).append((sum(counts) / len(counts), method))
    return {name: min(found)[1] for name, found in means.items()}


def _finders(
    figure: go.Figure, told: Mapping[str, Any], grouped: Mapping[str, Sequence[Trial]]
) -> None:
    names = list(told["finders"])
    shares = [
        [told["finders"][name].get(method, 0) / len(some) for method, some in grouped.items()]
        for name in names
    ]
    figure.add_heatmap(
        z=shares,
        x=list(grouped),
        y=names,
        zmin=0,
        zmax=1,
        colorscale=[[0, "#eef1f4"], [1, "#008a63"]],
        colorbar={"title": "share of seeds", "len": 0.45, "y": 0.2},
        hovertemplate="%{y}<br>%{x}: %{z:.0%} of seeds<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_yaxes(autorange="reversed", automargin=True, row=2, col=1)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
