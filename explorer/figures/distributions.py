"""What a campaign has drawn so far, as four small histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pymatgen.core import Element

from explorer.candidate import Candidate, State
from explorer.figures.retrieval import whole_ticks
from explorer.figures.style import BUTTONS, layout, palette
from explorer.figures.words import MINUS, spacegroup_symbol
from model.crystal import lattice_vectors
from model.wyckoff import table

MOST_GROUPS = 8
MOST_ELEMENTS = 8
ENERGY_BINS, DENSITY_BINS = 24, 20
MOST_TICKS = 5
COUNTS = 3  # of the four, the first ones, count crystals
GRAMS_PER_CM3 = 1.66053906660
"""Of one atomic mass unit in a cubic angstrom."""
TITLES = (
    "E above hull, eV/atom",
    "Density, g/cm³",
    "Space groups",
    "Mean fraction",
)


@dataclass(frozen=True)
class Distributions:
    """What the histograms show.

    Attributes
    ----------
    energies
        Above the hull, eV/atom, of the relaxed crystals up to the limit asked for.
    above
        Number of relaxed crystals beyond that limit.
    densities
        g/cm³, of the crystals that could be decoded, as drawn.
    groups
        Number of decoded crystals by space group asked for, the most frequent first.
    elements
        Mean atomic fraction over the decoded crystals of each element; of many elements of the
        most frequent ones, the first of them first.
    """

    energies: tuple[float, ...] = ()
    above: int = 0
    densities: tuple[float, ...] = ()
    groups: tuple[tuple[int, int], ...] = ()
    elements: tuple[tuple[str, float], ...] = ()


def distributions_of(candidates: Iterable[Candidate], limit: float) -> Distributions:
    """Collect the numbers; energies up to `limit` eV/atom are binned."""
    drawn = list(candidates)
    decoded = [candidate for candidate in drawn if candidate.crystal is not None]
    energies = [
        c.energy_above_hull
        for c in drawn
        if c.state == State.RELAXED
        and c.energy_above_hull is not None
        and np.isfinite(c.energy_above_hull)
    ]
    groups = Counter(candidate.crystal.spacegroup for candidate in decoded)
    fractions: Counter[str] = Counter()
    for candidate in decoded:
        atoms = candidate.crystal.n_atoms
        for symbol, count in candidate.crystal.composition.items():
            fractions[symbol] += count / atoms / len(decoded)
    return Distributions(
        tuple(energy for energy in energies if energy <= limit),
        sum(energy > limit for energy in energies),
        tuple(density(candidate) for candidate in decoded),
        tuple(groups.most_common(MOST_GROUPS)),
        _foremost(fractions),
    )


def _foremost(fractions: Counter[str]) -> tuple[tuple[str, float], ...]:
    """Return as many elements as have room for their symbols."""
    if len(fractions) <= MOST_ELEMENTS:
        return tuple(sorted(fractions.items()))
    return tuple(fractions.most_common(MOST_ELEMENTS))


def density(candidate: Candidate) -> float:
    """Density of a decoded crystal as drawn, g/cm³."""
    crystal = candidate.crystal
    volume = abs(np.linalg.det(lattice_vectors(*crystal.lattice)))
    cells = table().centering[crystal.spacegroup - 1]
    mass = sum(float(Element(s).atomic_mass) * n for s, n in crystal.composition.items())
    return float(mass * cells / volume * GRAMS_PER_CM3)


def distributions_figure(shown: Distributions, columns: int = 2, dark: bool = False) -> go.Figure:
    """Draw the four histograms side by side, or in two rows.

    Parameters
    ----------
    columns
        4 for one row, 2 for two.
    """
    colours = palette(dark)
    figure = go.Figure(_empty_figure(columns, dark))
    bars = (
        _histogram(shown.energies, ENERGY_BINS, colours.candidate),
        _histogram(shown.densities, DENSITY_BINS, colours.stable),
        _bars([f"{spacegroup_symbol(g)} " for g, _ in reversed(shown.groups)],
              [n for _, n in reversed(shown.groups)], colours.unstable, "h"),
        _bars([s for s, _ in shown.elements], [f for _, f in shown.elements], colours.found),
    )  # fmt: skip
    counted = (shown.energies, shown.densities, shown.groups, shown.elements)
    for place, (bar, values) in enumerate(zip(bars, counted, strict=True)):
        where = {"row": place // columns + 1, "col": place % columns + 1}
        figure.add_trace(bar, **where)
        if not values:  # numbers on an axis of nothing would be invented
            figure.update_xaxes(showticklabels=False, **where)
            figure.update_yaxes(showticklabels=False, **where)
        elif place < COUNTS:  # of crystals, of which there are no halves
            flat = bar.orientation == "h"
            ticks = whole_ticks(int(max(bar.x if flat else bar.y)), MOST_TICKS)
            (figure.update_xaxes if flat else figure.update_yaxes)(tickvals=ticks, **where)
    return figure


@lru_cache(maxsize=8)
def _empty_figure(columns: int, dark: bool) -> go.Figure:
    """Return the axes without data: Plotly takes five times as long for them as for the bars."""
    colours = palette(dark)
    figure = make_subplots(
        rows=4 // columns, cols=columns, subplot_titles=TITLES,
        horizontal_spacing=0.13 if columns == 2 else 0.05, vertical_spacing=0.24,
    )  # fmt: skip
    groups = {"row": 2 // columns + 1, "col": 2 % columns + 1}
    figure.update_layout(layout(colours, "distributions", showlegend=False, bargap=0.12))
    figure.update_layout(margin={"l": 36, "r": BUTTONS, "t": 24, "b": 30})
    figure.update_layout(modebar={"remove": ["zoom", "pan", "zoomIn", "zoomOut", "resetScale"]})
    figure.update_annotations(font={"size": 12, "color": colours.muted})
    figure.update_yaxes(tickfont={"size": 10})
    line = {"gridcolor": colours.grid, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(**line | {"showgrid": False}, tickangle=0, nticks=4)  # room for 4.825
    figure.update_yaxes(**line, rangemode="tozero", nticks=4)
    figure.update_xaxes(nticks=5, rangemode="tozero", **groups)
    figure.update_xaxes(tickfont={"size": 10}, nticks=None, row=4 // columns, col=columns)
    figure.update_yaxes(nticks=None, showgrid=False, automargin=True, **groups)
    return figure


def _histogram(values: Sequence[float], bins: int, colour: str) -> go.Bar:
    """Bars with whole edges, so that they do not jump while values arrive."""
    counts, edges = np.histogram(values, bins=_edges(values, bins))
    middle = (edges[1:] + edges[:-1]) / 2
    told = [
        f"{a:.3g} to {b:.3g}: {n}".replace("-", MINUS)
        for a, b, n in zip(edges, edges[1:], counts, strict=False)
    ]
    return go.Bar(
        x=middle.tolist(), y=counts.tolist(), width=float(edges[1] - edges[0]) * 0.92,
        marker={"color": colour}, hovertext=told, hoverinfo="text",
    )  # fmt: skip


def _edges(values: Sequence[float], bins: int) -> np.ndarray:
    if not values:
        return np.linspace(0.0, 1.0, bins + 1)
    low, high = min(values), max(values)
    step = max((high - low) / bins, 1e-3)
    nice = 10.0 ** np.floor(np.log10(step))
    step = next(nice * factor for factor in (1, 2, 5, 10) if nice * factor >= step)
    first = np.floor(low / step)
    return step * np.arange(first, np.floor(high / step) + 2)


def _bars(names: list[str], values: list[float], colour: str, orientation: str = "v") -> go.Bar:
    told = [f"{n}: {v:.3g}" for n, v in zip(names, values, strict=True)]
    x, y = (names, values) if orientation == "v" else (values, names)
    return go.Bar(
        x=x, y=y, orientation=orientation, marker={"color": colour}, hovertext=told,
        hoverinfo="text",
    )  # fmt: skip
