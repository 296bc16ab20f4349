"""Distributions of a campaign's crystals, updated as they come."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import panel as pn
from panel.viewable import Viewer

from explorer.figures.distributions import (
    Distributions,
    distributions_figure,
    distributions_of,
)
from explorer.figures.words import counted
from explorer.ui.plot import PlotView, figure_json
from explorer.ui.theme import card, heading, words
from explorer.ui.watched import Gathered
from explorer.ui.workbench import Workbench


class DistributionsView(Viewer):
    """Energy above the hull, density, space groups and elements, redrawn beside the event loop."""

    def __init__(self, bench: Workbench, **params: Any) -> None:
        super().__init__(**params)
        self.bench = bench
        self._drawing = asyncio.Lock()
        self.plot = PlotView(
            label="Energies above the hull, densities, space groups and elements of the crystals",
            sizing_mode="stretch_both", min_height=330, margin=0,
        )  # fmt: skip
        self.note = words()
        bench.param.watch(self._redraw, ["summary", "campaign_id", "threshold", "dark"])
        bench.param.watch(self._redraw, "campaign")

    async def _redraw(self, *events: Any) -> None:
        if {event.name for event in events} == {"campaign"} and events[0].old is not None:
            return  # it was drawn when there were no news of crystals yet
        async with self._drawing:
            bench, campaign_id = self.bench, self.bench.campaign_id
            gathered, limit, dark = bench.summed_up, bench.threshold, bench.dark
            drawing, note = await gathered.drawn(
                ("distributions", limit, dark), partial(_drawn, gathered, limit, dark)
            )
            if bench.campaign_id != campaign_id:  # a redraw of the new one comes next
                return
            with pn.io.hold():
                self.plot.drawing = drawing
                self.note.object = f"<p class='muted'>{note}</p>"

    def __panel__(self) -> pn.Column:
        return card(heading("Distributions"), self.plot, self.note, name="distributions")


def _drawn(gathered: Gathered, limit: float, dark: bool) -> tuple[str, str]:
    """Return the figure and what stands below it."""
    shown = distributions_of(gathered.by_id.values(), limit)
    return figure_json(distributions_figure(shown, dark=dark)), told(shown, limit)


def told(shown: Distributions, limit: float) -> str:
    """Say how many crystals stand behind the histograms."""
    relaxed, decoded = len(shown.energies), len(shown.densities)
    if not decoded:
        return "No crystal yet: the bars grow as crystals are drawn and relaxed."
    beyond = f" ({shown.above:,} beyond)" if shown.above else ""
    return (
        f"Energies of {counted(relaxed, 'relaxed crystal')} up to {limit:.2f} eV/atom{beyond}; "
        f"all else of {counted(decoded, 'crystal')} as drawn."
    )
